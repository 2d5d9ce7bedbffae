"""A plan before and after, and whether less is promised."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import permutations
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from dr_orchestrator.compliance.promise import changes, promise_of, sha256_of
from dr_orchestrator.compliance.promised_field import all_shapes, change_words, shape_of
from dr_orchestrator.core.promise import Direction, PromiseChange
from dr_orchestrator.plan.document import plain_data, read_document
from dr_orchestrator.plan.effective import with_defaults
from dr_orchestrator.plan.model import Plan

LOOSENED, TIGHTENED, OTHER = Direction.LOOSENED, Direction.TIGHTENED, Direction.OTHER
_Edit = Callable[[dict[str, Any]], object]

_EXAMPLE = Path(__file__).parents[3] / "plans" / "example.yaml"
_WHOLE: dict[str, Any] = plain_data(read_document(_EXAMPLE.read_bytes(), "example.yaml").root)
_WHOLE["repositories"]["served"] = {
    "location": "rest:https://backup.example/riverside",
    "password": {"env": "KEY"},
    "append_only": True,
}
_WHOLE["contacts"]["manager"]["signing_key"] = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA"
_WHOLE["report"] |= {"mail": ["manager"], "s3": {"to": "s3://reports/riverside"}}
_WHOLE["kit"] |= {"s3": {"to": "s3://kits/riverside"}}
_WHOLE["evidence"] = {"anchor": {"s3": {"to": "s3://anchors/riverside"}}}
_WHOLE["policies"] = ["hipaa", "insurer-common"]
_WHOLE["notify"] += [
    {"email": "oncall@msp.example", "on": ["breach"], "after": "2h", "systems": ["emr", "imaging"]},
    {"ping": {"env": "PING"}},
]
_WHOLE["systems"]["pharmacy"] = {
    "rto": "8h",
    "rpo": "24h",
    "assets": {
        "dump": {
            "kind": "command",
            "dump": ["/opt/vendor/dump", "--secret-looking"],
            "restore": ["/opt/vendor/load", "{dump}"],
            "ends_with": "-- done",
        }
    },
    "verify": [{"title": "orders", "asset": "dump", "run": ["/opt/ask", "1"], "expect": "> 0"}],
}
_WHOLE["systems"]["archive"] = {
    "rto": "2d",
    "rpo": "2d",
    "assets": {
        "dump": {
            "kind": "mariadb",
            "existing": {"path": "/srv/dumps/old.sql.gz", "tag": "nightly", "host": "old"},
        }
    },
}
_WHOLE["systems"]["emr"]["assets"]["documents"]["exclude"] = ["*.tmp", "cache/**"]


def _plan(*edits: _Edit) -> Plan:
    content = copy.deepcopy(_WHOLE)
    for edit in edits:
        edit(content)
    return with_defaults(Plan.model_validate_json(json.dumps(content)))


def _promise(*edits: _Edit) -> Mapping[str, str]:
    return promise_of(_plan(*edits), {"clinic": "sha256 of its text"})


PROMISE = _promise()


def _set(path: str, value: Any) -> _Edit:
    """Return the edit that states one field; `None` takes it out."""

    def edit(content: dict[str, Any]) -> None:
        *folders, last = path.split(".")
        node: Any = content
        for key in folders:
            node = node[int(key)] if isinstance(node, list) else node.setdefault(key, {})
        if value is None:
            del node[int(last) if isinstance(node, list) else last]
        else:
            node[int(last) if isinstance(node, list) else last] = value

    return edit


_EMR, _S3 = "systems.emr", "repositories.offsite"
_SERVED = "repositories.served"
_CLOSED = [f"2026-12-{day:02d}" for day in range(1, 32)]
_DOCUMENTS, _FAR_TEST = f"{_EMR}.assets.documents", f"{_EMR}.restore_tests.1"
LESS: dict[str, tuple[_Edit, str, Direction]] = {
    what: (_set(path, value), field, back)
    for what, path, value, field, back in (
        ("a longer RTO", f"{_EMR}.rto", "24h", f"{_EMR}.rto", TIGHTENED),
        ("a longer RPO", f"{_EMR}.rpo", "1h1s", f"{_EMR}.rpo", TIGHTENED),
        ("older data", f"{_EMR}.max_data_age", "2d", f"{_EMR}.max_data_age", TIGHTENED),
        ("no limit of age", f"{_EMR}.max_data_age", None, f"{_EMR}.max_data_age", TIGHTENED),
        ("more skew", f"{_EMR}.max_skew", "11m", f"{_EMR}.max_skew", TIGHTENED),
        ("less important", f"{_EMR}.importance", "routine", f"{_EMR}.importance", TIGHTENED),
        (
            "less time allowed for what nobody proves",
            f"{_EMR}.recovery.0.allow",
            "5m",
            f"{_EMR}.recovery[replacement server]",
            TIGHTENED,
        ),
        (
            "a step that is not counted",
            f"{_EMR}.recovery.0",
            None,
            f"{_EMR}.recovery[replacement server]",
            TIGHTENED,
        ),
        ("a system less", "systems.billing", None, "systems.billing", TIGHTENED),
        ("an uncovered one less", "systems.portal", None, "systems.portal", OTHER),
        (
            "somebody else's system",
            "systems.billing",
            {"protected_by": "the vendor"},
            "systems.billing",
            TIGHTENED,
        ),
        (
            "nobody's system",
            "systems.billing",
            {"not_protected": "old", "accepted_by": "manager"},
            "systems.billing",
            TIGHTENED,
        ),
        (
            "another protector",
            "systems.phones.protected_by",
            "somebody",
            "systems.phones",
            LOOSENED,
        ),
        (
            "confirmed less",
            "systems.phones.attest.every",
            "91d",
            "systems.phones.attest",
            TIGHTENED,
        ),
        ("an asset less", _DOCUMENTS, None, _DOCUMENTS, TIGHTENED),
        ("another path", f"{_DOCUMENTS}.path", "/srv/other", f"{_DOCUMENTS}.path", LOOSENED),
        (
            "another database",
            f"{_EMR}.assets.database.database",
            "copy",
            f"{_EMR}.assets.database.database",
            LOOSENED,
        ),
        (
            "more left out",
            f"{_DOCUMENTS}.exclude",
            ["*.tmp", "cache/**", "*.pdf"],
            f"{_DOCUMENTS}.exclude",
            TIGHTENED,
        ),
        ("no marker", f"{_DOCUMENTS}.marker", None, f"{_DOCUMENTS}.marker", TIGHTENED),
        (
            "fewer files",
            f"{_DOCUMENTS}.require_files",
            0,
            f"{_DOCUMENTS}.require_files",
            TIGHTENED,
        ),
        (
            "compared less closely",
            f"{_DOCUMENTS}.baseline",
            {"level": "counts", "budget": "2m"},
            f"{_DOCUMENTS}.baseline",
            TIGHTENED,
        ),
        (
            "another command",
            "systems.pharmacy.assets.dump.dump",
            ["/opt/vendor/dump", "--less"],
            "systems.pharmacy.assets.dump.dump",
            LOOSENED,
        ),
        ("another newest row", f"{_EMR}.newest.sql", "select now()", f"{_EMR}.newest", LOOSENED),
        ("backed up less", f"{_EMR}.backup.schedule", "every 2h", f"{_EMR}.backup", TIGHTENED),
        ("no copy", f"{_EMR}.backup.copy_to", [], f"{_EMR}.backup.copy_to", TIGHTENED),
        (
            "copied less",
            f"{_EMR}.backup.copying.schedule",
            "04:00",
            f"{_EMR}.backup.copying",
            TIGHTENED,
        ),
        (
            "fewer kept",
            f"{_EMR}.retention.keep_yearly",
            5,
            f"{_EMR}.retention.keep_yearly",
            TIGHTENED,
        ),
        ("a test less", _FAR_TEST, None, f"{_EMR}.restore_tests[offsite]", TIGHTENED),
        (
            "tested less",
            f"{_FAR_TEST}.schedule",
            "0 4 1 * *",
            f"{_EMR}.restore_tests[offsite]",
            TIGHTENED,
        ),
        (
            "proven less",
            f"{_FAR_TEST}.prove_every",
            "90d",
            f"{_EMR}.restore_tests[offsite].prove_every",
            TIGHTENED,
        ),
        (
            "a smaller sample",
            f"{_FAR_TEST}.files.sample",
            "4%",
            f"{_EMR}.restore_tests[offsite].sample",
            TIGHTENED,
        ),
        (
            "another point",
            f"{_FAR_TEST}.point",
            "latest",
            f"{_EMR}.restore_tests[offsite].point",
            LOOSENED,
        ),
        (
            "a check less",
            f"{_EMR}.verify",
            [each for each in _WHOLE["systems"]["emr"]["verify"] if each != "baseline"],
            f"{_EMR}.verify[baseline]",
            TIGHTENED,
        ),
        (
            "a check that asks something else",
            f"{_EMR}.verify.1.sql",
            "select 0",
            f"{_EMR}.verify[{_WHOLE['systems']['emr']['verify'][1]['title']}]",
            LOOSENED,
        ),
        (
            "governance",
            f"{_S3}.object_lock.mode",
            "governance",
            f"{_S3}.object_lock",
            TIGHTENED,
        ),
        ("fewer days", f"{_S3}.object_lock.days", 29, f"{_S3}.object_lock.days", TIGHTENED),
        ("no lock", f"{_S3}.object_lock", None, f"{_S3}.object_lock", TIGHTENED),
        (
            "never tried",
            f"{_S3}.maintenance.immutability",
            "never",
            f"{_S3}.immutability",
            TIGHTENED,
        ),
        ("never read back", f"{_S3}.maintenance.check", "never", f"{_S3}.check", TIGHTENED),
        (
            "gone sooner",
            f"{_S3}.bucket.keep_noncurrent",
            "1d",
            f"{_S3}.keep_noncurrent",
            TIGHTENED,
        ),
        ("a folder", f"{_S3}.location", "/srv/far", _S3, LOOSENED),
        (
            "not append-only",
            "repositories.served.append_only",
            None,
            "repositories.served.append_only",
            TIGHTENED,
        ),
        ("a repository less", "repositories.served", None, "repositories.served", TIGHTENED),
        ("no key", "custody.0", None, "custody[manager]", TIGHTENED),
        ("another form", "custody.0.form", "note", "custody[manager]", LOOSENED),
        ("never shown", "custody.0.prove_every", None, "custody[manager].prove_every", TIGHTENED),
        ("not told", "notify.0", None, "notify[manager]", TIGHTENED),
        ("told of less", "notify.0.on", ["recovery"], "notify[manager]", TIGHTENED),
        ("told of one", "notify.0.systems", ["emr"], "notify[manager].systems", TIGHTENED),
        ("told later", "notify.0.after", "2d", "notify[manager].after", TIGHTENED),
        (
            "another address",
            "contacts.manager.email",
            "x@msp.example",
            "contacts.manager.email",
            LOOSENED,
        ),
        (
            "another signature",
            "contacts.manager.signing_key",
            "ssh-ed25519 AAAA",
            "contacts.manager.signing_key",
            LOOSENED,
        ),
        ("fewer hours", "practice.open", {"mon-fri": "08:00-18:00"}, "practice.open", TIGHTENED),
        ("closed for weeks", "practice.closed", _CLOSED, "practice.closed", TIGHTENED),
        ("another zone", "practice.timezone", "Asia/Tokyo", "practice.timezone", LOOSENED),
        ("here", "repositories.served.location", "rest:http://127.0.0.1/x", _SERVED, LOOSENED),
        (
            "only at night",
            f"{_EMR}.backup.schedule",
            "*/31 1 * * *",
            f"{_EMR}.backup",
            TIGHTENED,
        ),
        ("other hours", "practice.open", {"sun": "00:00-24:00"}, "practice.open", LOOSENED),
        ("no page", "report", None, "report", TIGHTENED),
        ("a page less often", "report.schedule", "0 7 1 * *", "report", TIGHTENED),
        ("no mail", "report.mail", None, "report.mail", TIGHTENED),
        ("not after tests", "report.after_tests", False, "report.after_tests", TIGHTENED),
        ("no kit", "kit", None, "kit", TIGHTENED),
        ("an older kit", "kit.valid", "60d", "kit.valid", TIGHTENED),
        ("no anchor", "evidence.anchor.mail", [], "evidence.anchor.mail", TIGHTENED),
        ("a short anchor", "evidence.anchor.keep", "1d", "evidence.anchor.keep", TIGHTENED),
        ("a rule less", "policies", ["hipaa"], "policies", TIGHTENED),
        (
            "later put right",
            "corrective_actions",
            {"due": "60d"},
            "corrective_actions.due",
            TIGHTENED,
        ),
    )
}  # fmt: skip
SAME: dict[str, _Edit] = {
    "title": _set(f"{_EMR}.title", "The records"),
    "host": _set(f"{_EMR}.assets.database.host", "10.0.0.77"),
    "password": _set(f"{_EMR}.assets.database.password", {"env": "ANOTHER"}),
    "key file": _set("repositories.onsite.password", {"file": "/elsewhere"}),
    "telephone": _set("contacts.manager.phone", "+1 555 9999"),
    "bandwidth": _set(f"{_S3}.bandwidth", {"upload": "1 MiB"}),
    "the default, stated": _set("evidence.schedule", "05:00"),
    "another way to write it": _set(f"{_EMR}.backup.schedule", "every 1800s"),
    "a day": _set("custody.0.prove_every", "4320h"),
    "next year's holidays": lambda content: content["practice"]["closed"].append("2027-12-25"),
}


@pytest.mark.parametrize("what", LESS)
def test_changes_finds_each_loosening_and_nothing_beside_it(what: str) -> None:
    edit, field, back = LESS[what]
    after = _promise(edit)

    found = {each.field: each.direction for each in changes(PROMISE, after)}

    assert found[field] is LOOSENED
    assert TIGHTENED not in found.values()
    returned = {each.field: each.direction for each in changes(after, PROMISE)}
    assert returned[field] is back


@pytest.mark.parametrize("what", SAME)
def test_promise_of_is_the_same_where_nothing_is_promised_otherwise(what: str) -> None:
    assert _promise(SAME[what]) == PROMISE


def test_promise_of_has_values_in_the_words_of_the_plan() -> None:
    shown = {
        "systems.emr": "protected",
        "systems.emr.rto": "4h",
        "systems.emr.assets.documents.exclude": "*.tmp, cache/**",
        "systems.emr.restore_tests[offsite].sample": "5%",
        "systems.phones": "protected by telephone vendor",
        "custody[manager].prove_every": "180d",
        "repositories.offsite.object_lock.days": "30",
    }

    assert {field: PROMISE[field] for field in shown} == shown
    assert list(PROMISE) == sorted(PROMISE)


def test_promise_of_tells_no_argument_host_user_or_secret() -> None:
    told = "\n".join(PROMISE.values())

    for hidden in ("--secret-looking", "10.0.0.5", "EMR_DB_PASSWORD", "/etc/dro/keys"):
        assert hidden not in told


def test_every_shape_of_a_field_is_in_some_promise() -> None:
    """A rule that fits no field of the widest plan is dead, or its field is misspelt."""
    assert {shape_of(field) for field in PROMISE} == all_shapes()


def test_own_backups_in_the_place_of_another_tools_promise_no_less() -> None:
    own = {"kind": "mariadb", "host": "old", "user": "backup", "database": "old"}
    after = _promise(_set("systems.archive.assets.dump", own))

    assert {each.direction for each in changes(PROMISE, after)} == {TIGHTENED}
    assert LOOSENED in {each.direction for each in changes(after, PROMISE)}


def test_changes_names_what_went_as_a_whole_and_not_its_parts() -> None:
    after = _promise(_set("systems.billing", None))

    assert changes(PROMISE, after) == (
        PromiseChange(field="systems.billing", before="protected", after="", direction=LOOSENED),
    )


def test_changes_hides_no_part_behind_a_whole_that_only_changed() -> None:
    after = _promise(_set("report.schedule", "06:00"), _set("report.mail", None))

    found = {each.field: each.direction for each in changes(PROMISE, after)}

    assert found == {"report": TIGHTENED, "report.mail": LOOSENED}


def test_changes_takes_a_field_that_it_does_not_know_for_loosened() -> None:
    before, after = {"systems.emr.of_another_version": "1"}, {"systems.emr.of_another_version": "2"}

    (change,) = changes(before, after)

    assert change.direction is LOOSENED


def test_another_bucket_is_another_place_and_promises_no_less() -> None:
    after = _promise(_set(f"{_S3}.location", "s3:https://s3.eu-west-1.amazonaws.com/other"))

    assert [each.direction for each in changes(PROMISE, after)] == [OTHER]


def test_the_order_of_a_plan_makes_no_difference() -> None:
    def turned_round(content: dict[str, Any]) -> None:
        for key in ("systems", "repositories", "contacts"):
            first = content["repositories"].pop("onsite") if key == "repositories" else None
            content[key] = dict(reversed(content[key].items()))
            if first is not None:  # the first one is where everything goes
                content[key] = {"onsite": first, **content[key]}
        for key in ("custody", "notify", "policies"):
            content[key] = content[key][::-1]
        for key in ("verify", "restore_tests", "recovery"):
            content["systems"]["emr"][key] = content["systems"]["emr"][key][::-1]

    assert _promise(turned_round) == PROMISE


def test_things_of_one_name_are_told_apart_in_any_order() -> None:
    tests = [
        {"schedule": "03:30", "from": "onsite"},
        {"schedule": "Sun 12:00", "from": "onsite", "point": "random"},
    ]
    promises = [
        _promise(_set(f"{_EMR}.restore_tests", list(order))) for order in permutations(tests)
    ]

    assert promises[0] == promises[1]
    assert promises[0]["systems.emr.restore_tests[onsite 2]"] == "Sun 12:00"


_ASKS: dict[str, Any] = {"asset": "database", "expect": "> 0"}


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        (
            f"{_EMR}.verify",
            [{**_ASKS, "title": "two\nlines", "sql": "select 1"}],
            [{**_ASKS, "title": "two\nlines", "sql": "select 2"}],
        ),
        (
            f"{_EMR}.verify",
            [{**_ASKS, "title": each, "sql": f"select {each[1:]} 1"} for each in ("x", "x 2")]
            + [{**_ASKS, "title": "x", "sql": "select 3"}],
            [{**_ASKS, "title": each, "sql": f"select {each[1:]} 1"} for each in ("x", "x 2")]
            + [{**_ASKS, "title": "x", "sql": "select 4"}],
        ),
        (f"{_DOCUMENTS}.exclude", ["*.tmp, cache/**"], ["*.tmp", "cache/**"]),
        (f"{_EMR}.backup.schedule", "*/15 8-18 * * 1-5", "18:00"),
    ],
    ids=["a name of two lines", "a name like a number's", "a comma", "seldom, and no weekend"],
)
def test_changes_is_not_deceived_by(path: str, before: Any, after: Any) -> None:
    found = changes(_promise(_set(path, before)), _promise(_set(path, after)))

    assert [each.direction for each in found] == [LOOSENED]


# --- whatever is edited ---------------------------------------------------------------------------

_EDITS = {**{what: edit for what, (edit, *_) in LESS.items()}, **SAME}


@cache
def _edited(those: frozenset[str]) -> Mapping[str, str] | None:
    """Return the promise of a plan with some edits; `None` where they contradict each other."""
    try:
        return _promise(*(_EDITS[each] for each in sorted(those)))
    except (KeyError, IndexError, TypeError, ValueError):
        return None


_PROMISES = (
    st.frozensets(st.sampled_from(sorted(_EDITS)), max_size=4)
    .map(_edited)
    .filter(lambda each: each is not None)
)


@settings(max_examples=25, deadline=None)
@given(before=_PROMISES, after=_PROMISES)
def test_changes_lead_back_where_they_came_from(
    before: Mapping[str, str], after: Mapping[str, str]
) -> None:
    there = {each.field: each for each in changes(before, after)}
    back = {each.field: each for each in changes(after, before)}

    assert there.keys() == back.keys()
    for field, change in there.items():
        assert (change.before, change.after) == (back[field].after, back[field].before)
        both = {change.direction, back[field].direction}
        assert both not in ({TIGHTENED}, {TIGHTENED, OTHER}), field
        assert change_words(change)
    assert changes(before, before) == ()
    assert (sha256_of(before) == sha256_of(after)) == (before == after)


@settings(max_examples=25, deadline=None)
@given(
    before=st.dictionaries(st.sampled_from(sorted(PROMISE)), st.text(max_size=8)),
    after=st.dictionaries(st.sampled_from(sorted(PROMISE)), st.text(max_size=8)),
)
def test_changes_of_whatever_another_version_wrote_never_fail(
    before: Mapping[str, str], after: Mapping[str, str]
) -> None:
    told = {each.field for each in changes(before, after)}

    assert bool(told) == any(
        before.get(field, "") != after.get(field, "") for field in {*before, *after}
    )


# --- nothing of a plan is forgotten ---------------------------------------------------------------

PROMISED = {
    "Practice.open", "Practice.timezone", "Practice.closed",
    "Contact.email", "Contact.signing_key", "Contact.signs",
    "Custody.holder", "Custody.form", "Custody.prove_every",
    "ObjectLock.mode", "ObjectLock.days",
    "Bucket.keep_noncurrent",
    "Maintenance.check", "Maintenance.read_all_every", "Maintenance.extend",
    "Maintenance.immutability",
    "RepositorySpec.location", "RepositorySpec.append_only", "RepositorySpec.object_lock",
    "BaselineSpec.level", "BaselineSpec.budget",
    "DataTime.newest", "DataTime.max_age", "DataTime.at_least",
    *(f"{kind}Asset.kind" for kind in ("Postgres", "Mariadb", "Sqlite", "Files", "Smb", "Command")),
    "PostgresAsset.database", "PostgresAsset.scope", "PostgresAsset.baseline",
    "MariadbAsset.database", "MariadbAsset.scope", "MariadbAsset.baseline",
    "SqliteAsset.path", "SqliteAsset.baseline",
    "FilesAsset.path", "FilesAsset.exclude", "FilesAsset.marker", "FilesAsset.require_files",
    "FilesAsset.baseline", "FilesAsset.data_time",
    "SmbAsset.share", "SmbAsset.path", "SmbAsset.exclude", "SmbAsset.marker",
    "SmbAsset.require_files", "SmbAsset.permissions", "SmbAsset.baseline", "SmbAsset.data_time",
    "CommandAsset.dump", "CommandAsset.restore", "CommandAsset.at_least", "CommandAsset.ends_with",
    "CommandAsset.data_time",
    "RecoveryStep.step", "RecoveryStep.allow",
    "NewestRow.asset", "NewestRow.sql", "NewestRow.timezone",
    "BackupSpec.schedule", "BackupSpec.to", "BackupSpec.copy_to", "BackupSpec.copying",
    "Timing.schedule",
    *(f"ListedBy.{each}" for each in ("asset", "sql", "prefix")),
    *(f"FilesCheckBody.{each}" for each in ("asset", "listed_by", "at_least")),
    "BaselineCheck.title", "BaselineCheck.baseline",
    *(f"SqlCheck.{each}" for each in ("title", "asset", "sql", "expect", "timezone")),
    "FilesCheck.title", "FilesCheck.files",
    *(f"RunCheck.{each}" for each in ("title", "asset", "run", "at_capture", "expect", "timezone")),
    "PackCheck.pack", "PackCheck.title", "PackCheck.assets",
    *(f"Retention.keep_{each}" for each in
      ("last", "hourly", "daily", "weekly", "monthly", "yearly")),
    "FilesSample.sample",
    *(f"RestoreTestSpec.{each}" for each in
      ("schedule", "from_", "point", "files", "prove_every")),
    *(f"ProtectedSystem.{each}" for each in
      ("importance", "rto", "rpo", "max_data_age", "max_skew", "recovery", "assets", "newest",
       "backup", "restore_tests", "retention", "verify")),
    "Attestation.every",
    "ProtectedElsewhere.protected_by", "ProtectedElsewhere.attest",
    "NotProtected.not_protected", "NotProtected.accepted_by",
    "BucketPlace.to",
    *(f"Notification.{each}" for each in
      ("to", "email", "url", "webhook", "ping", "sns", "ses", "on", "systems", "remind_every",
       "after")),
    "Sns.topic", "Ses.to",
    *(f"ReportSpec.{each}" for each in
      ("schedule", "folder", "s3", "mail", "readers", "after_tests")),
    *(f"AnchorSpec.{each}" for each in ("schedule", "mail", "s3", "keep")),
    "EvidenceSpec.schedule", "EvidenceSpec.anchor",
    "ActionSpec.owner", "ActionSpec.due",
    "ExistingAsset.kind", "ExistingAsset.existing",
    *(f"Existing.{each}" for each in ("path", "tag", "host")),
    *(f"KitSpec.{each}" for each in ("schedule", "folder", "s3", "mail", "valid")),
    *(f"Plan.{each}" for each in
      ("contacts", "custody", "repositories", "systems", "notify", "report", "evidence",
       "corrective_actions", "policies", "kit", "practice")),
}  # fmt: skip
NOT_PROMISED = {
    "Plan.version", "Plan.extends", "Practice.id", "Practice.name",
    "Contact.role", "Contact.phone", "Contact.verified",
    "RepositorySpec.password", "RepositorySpec.credentials", "RepositorySpec.bucket",
    "RepositorySpec.sheet_credentials",
    "RepositorySpec.bandwidth", "RepositorySpec.maintenance",
    *(f"Credentials.{each}" for each in
      ("aws_profile", "access_key_id", "secret_access_key", "user", "password")),
    *(f"SecretReference.{each}" for each in
      ("env", "file", "command", "aws_secret", "key", "aws_profile", "region", "obtain")),
    "Bucket.region", "Bucket.kms_key", "Bandwidth.upload", "Bandwidth.download",
    *(f"Maintenance.{each}" for each in
      ("forget", "prune", "blackout", "location", "credentials")),
    *(f"{timing}.{each}" for timing in ("Timing", "BackupSpec", "RestoreTestSpec")
      for each in ("catch_up", "grace", "blackout")),
    *(f"{kind}Asset.{each}" for kind in ("Postgres", "Mariadb")
      for each in ("host", "port", "user", "password", "sslmode", "method", "lab", "timeout")),
    "SqliteAsset.timeout",
    *(f"FilesAsset.{each}" for each in ("made_by", "timeout")),
    *(f"SmbAsset.{each}" for each in
      ("host", "port", "user", "domain", "password", "made_by", "timeout")),
    *(f"CommandAsset.{each}" for each in ("output", "secrets", "made_by", "lab", "timeout")),
    "ExistingAsset.lab",
    "DataTime.settled", "RecoveryStep.by", "RecoveryStep.rehearsed",
    *(f"ProtectedSystem.{each}" for each in ("title", "depends_on", "runbook")),
    "ProtectedElsewhere.title", "NotProtected.title",
    "Sns.aws_profile", "Ses.sender", "Ses.region", "Ses.aws_profile", "Notification.ticket",
    "BucketPlace.aws_profile", "BucketPlace.endpoint",
}  # fmt: skip


def test_every_field_of_a_plan_is_either_promised_or_was_left_out_on_purpose() -> None:
    """Whoever adds a field to the plan decides here whether it may be changed in silence."""
    fields = {
        f"{section.__name__}.{name}"
        for section in _sections(Plan, set())
        for name in section.model_fields
    }

    assert not PROMISED & NOT_PROMISED
    assert fields == PROMISED | NOT_PROMISED


def _sections(section: type[BaseModel], seen: set[type[BaseModel]]) -> set[type[BaseModel]]:
    if section not in seen:
        seen.add(section)
        for field in section.model_fields.values():
            for each in _models_in(field.annotation):
                _sections(each, seen)
    return seen


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in {Annotated, Union, UnionType, dict, tuple}:
        for each in get_args(annotation):
            yield from _models_in(each)
