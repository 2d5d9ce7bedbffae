"""What a plan says of repositories, copies and their locks, and contradicts elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from dr_orchestrator.errors import PlanInvalid
from dr_orchestrator.plan.load import LoadedPlan, effective_yaml, load_plan, read_plan
from dr_orchestrator.plan.problem import Problem

_PLAN = """\
version: 1
practice: {id: riverside, name: Riverside, timezone: America/Chicago}
custody: [{holder: manager, form: sheet}, {holder: msp, form: vault}]
repositories:
  onsite: {location: /srv/restic, password: {env: KEY}}
  offsite:
    location: LOCATION
    password: {env: KEY}
    KEYS
systems:
  emr:
    rto: 4h
    rpo: 1h
    assets: {files: {kind: files, path: /srv/emr}}
    backup: {schedule: every 30m, to: [onsite], copy_to: [offsite]}
"""
_S3 = "s3:https://s3.us-east-2.amazonaws.com/dr"
_REST = "rest:https://backup.example/dr"
_LOCK = "object_lock: {mode: governance, days: 30}"
_ATTACKERS = "no copy that an attacker with our credentials cannot destroy"


def _text(location: str, *keys: str) -> str:
    """Return a plan with a second repository."""
    lines = "\n    ".join(keys)
    return _PLAN.replace("LOCATION", location).replace("    KEYS\n", f"    {lines}\n")


def _loaded(text: str) -> LoadedPlan:
    return read_plan(text.encode(), "plan.yaml")


def _only_problem(text: str, at: str) -> Problem:
    """Return the only mistake of a plan, which must stand where `at` last does."""
    with pytest.raises(PlanInvalid) as caught:
        _loaded(text)
    (problem,) = caught.value.problems
    assert isinstance(problem, Problem)
    line = text.splitlines()[problem.line - 1]
    assert line[problem.column - 1 :].startswith(at)
    return problem


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        # object lock and bucket
        (_text("/srv/two", _LOCK), "{mode", "has no effect"),
        (_text(_REST, _LOCK), "{mode", "has no effect"),
        (_text(_S3, "object_lock: {mode: compliant, days: 30}"), "compliant", "must be one of"),
        (_text(_S3, "object_lock: {mode: governance, days: 0}"), "0", "at least 1"),
        (_text(_S3, "object_lock: {mode: governance}"), "{mode", "is missing"),
        (
            _text(_S3, "object_lock: {mode: governance, days: 13}"),
            "13",
            "is shorter than two rounds of `maintenance.extend`",
        ),
        (
            _text(_S3, _LOCK, 'maintenance: {extend: "0 6 1 * *"}'),
            "30",
            "is shorter than two rounds of `maintenance.extend`",
        ),
        (_text(_S3, "maintenance: {extend: Sat 08:00}"), "Sat", "has no effect"),
        (_text(_REST, "maintenance: {immutability: Sat 08:00}"), "Sat", "has no effect"),
        (_text("/srv/two", "bucket: {region: us-east-2}"), "us-east-2", "has no effect"),
        (_text(_REST, "bucket: {keep_noncurrent: 7d}"), "7d", "has no effect"),
        (_text(_S3, "bucket: {keep_noncurrent: 36h}"), "36h", "S3 counts whole days"),
        # append-only
        (_text(_S3, "append_only: true"), "true", "has no effect on S3"),
        (_text("/srv/two", "append_only: true"), "true", "nothing proves it"),
        (_text("sftp:dr@backup:/srv", "append_only: true"), "true", "nothing proves it"),
        (
            _text(_REST, "append_only: true", 'maintenance: {forget: "05:30"}'),
            '"05:30"',
            "lets nothing be removed",
        ),
        (
            _text(_REST, "append_only: true", "maintenance: {prune: Sun 06:00, forget: never}"),
            "Sun",
            "lets nothing be removed",
        ),
        # the way to remove things
        (_text(_REST, f'maintenance: {{location: "{_REST}/"}}'), '"rest', "what `location` says"),
        (_text(_REST, "maintenance: {location: srv/dr}"), "srv", "must be an absolute path"),
        (_text(_REST, "maintenance: {location: /srv/restic}"), "/srv", "is where `onsite` is too"),
        (
            _text(_REST, 'maintenance: {location: "rest:http://u:hunter2@host/"}'),
            '"rest',
            "has a password in it",
        ),
        (
            _text(_REST, "maintenance: {location: /srv/emr/dr}"),
            "/srv/emr}",
            "repository `offsite` lies inside it",
        ),
        (
            _text(_REST, "maintenance: {location: /srv/dr, credentials: {aws_profile: a}}"),
            "a}",
            "has no effect",
        ),
        # credentials
        (_text("rest:https://dr@backup.example/dr"), "rest:", "has a user in it"),
        (_text("/srv/two", "credentials: {aws_profile: a}"), "a}", "has no effect"),
        (_text(_REST, "credentials: {aws_profile: a}"), "a}", "has no effect"),
        (
            _text(_S3, "credentials: {user: a, password: {env: P}}").replace("user: a, ", ""),
            "{env: P}",
            "has no effect",
        ),
        (_text(_REST, "credentials: {user: a}"), "a}", "needs `password` beside it"),
        (
            _text(_S3, "credentials: {access_key_id: {env: A}}"),
            "{env: A}",
            "needs `secret_access_key` beside it",
        ),
        (
            _text(
                _S3,
                "credentials: "
                "{access_key_id: {env: A}, secret_access_key: {env: B}, aws_profile: a}",
            ),
            "a}",
            "names keys a second time",
        ),
        (
            _text(_S3, "credentials: {access_key_id: AKIAhunter2, secret_access_key: {env: B}}"),
            "AKIA",
            "must be a reference",
        ),
        # copies
        (
            _text(_S3).replace("copy_to: [offsite]", "copy_to: [offsite, offsite]"),
            "offsite]",
            "is named twice",
        ),
        (_text(_S3).replace("copy_to: [offsite]", "copy_to: [onsite]"), "onsite]", "named twice"),
        (_text(_S3).replace("copy_to: [offsite]", "copy_to: [ofsite]"), "ofsite", "no such repo"),
        (
            _text(_S3).replace("copy_to: [offsite]", "copying: {schedule: every 1h}"),
            "{schedule: every 1h",
            "has no effect",
        ),
        (
            _text(_S3).replace(
                "[offsite]}", "[offsite], copying: {schedule: every 1h, grace: 1h}}"
            ),
            "1h}",
            "has no effect",
        ),
        (
            _text(_S3, "credentials: {aws_profile: a}").replace(
                "/srv/restic,", '"s3:https://s3.example/b", credentials: {aws_profile: b},'
            ),
            "offsite]",
            "is opened with other `credentials`",
        ),
        (
            _text(_S3, "bucket: {region: eu-west-1}").replace(
                "/srv/restic,", '"s3:https://s3.example/b",'
            ),
            "offsite]",
            "in another `region`, than `onsite`",
        ),
        # restore tests of a share
        (
            _text(_S3)
            .replace("kind: files, path: /srv/emr", "kind: sqlite, path: /srv/emr.db")
            .replace(
                "    backup:",
                "    restore_tests: [{schedule: every 1d, files: {sample: 5%}}]\n    backup:",
            ),
            "5%",
            "has no effect",
        ),
        (
            _text(_S3).replace(
                "    backup:",
                "    restore_tests: [{schedule: every 1d, files: {sample: 100%}}]\n    backup:",
            ),
            "100%",
            "has no effect",
        ),
        (
            _text(_S3).replace(
                "    backup:",
                "    restore_tests: [{schedule: every 1d, files: {sample: 0%}}]\n    backup:",
            ),
            "0%",
            "more than zero",
        ),
    ],
)
def test_contradiction_of_a_repository_is_one_problem_where_it_stands(
    text: str, at: str, message: str
) -> None:
    problem = _only_problem(text, at)

    assert message in problem.message
    assert "hunter2" not in problem.text()


@pytest.mark.parametrize(
    "text",
    [
        _text(_S3, _LOCK, "credentials: {aws_profile: a}"),
        _text(_S3, "credentials: {access_key_id: {env: A}, secret_access_key: {aws_secret: B}}"),
        _text(_REST, "append_only: true", "credentials: {user: a, password: {env: P}}"),
        _text(
            _REST,
            "append_only: true",
            'maintenance: {location: /srv/dr, forget: "05:30", prune: Sun 06:00}',
        ),
        _text(_REST, "append_only: true", "maintenance: {forget: never, prune: never}"),
        _text(_S3, _LOCK, "maintenance: {credentials: {aws_profile: other}}"),
        _text(_S3, "credentials: {aws_profile: a}").replace(
            "/srv/restic,", '"s3:https://s3.example/b", credentials: {aws_profile: a},'
        ),
        _text("rclone:store:dr", "credentials: {aws_profile: a}"),
        _text("sftp:dr@backup:/srv"),
        _text(_S3, "bandwidth: {upload: 2 MiB, download: 512 KiB}"),
    ],
)
def test_plan_of_a_repository_reads_back_as_it_was_written_out(text: str) -> None:
    loaded = _loaded(text)

    assert _loaded(effective_yaml(loaded)).plan == loaded.plan


def _warnings(text: str) -> list[tuple[str, str]]:
    return [(each.path, each.message) for each in _loaded(text).warnings]


def test_warnings_say_that_nothing_outlives_an_attacker() -> None:
    assert _warnings(_text(_S3)) == [("repositories", _ATTACKERS)]
    assert _warnings(_text(_S3, _LOCK)) == []
    assert _warnings(_text(_REST, "append_only: true")) == []


def test_warnings_name_the_systems_that_do_not_outlive_an_attacker() -> None:
    other = "  billing: {rto: 4h, rpo: 1h, assets: {files: {kind: files, path: /srv/b}}}\n"

    assert _warnings(_text(_S3, _LOCK) + other) == [
        (
            "repositories",
            "no copy of billing that an attacker with our credentials cannot destroy",
        )
    ]


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        (
            _text(_S3, _LOCK, "maintenance: {extend: never}"),
            "repositories.offsite.maintenance.extend",
            "nobody renews the locks but a prune",
        ),
        (
            _text(_S3, _LOCK, 'maintenance: {immutability: "0 6 1 * *"}'),
            "repositories.offsite.object_lock.days",
            "is shorter than two rounds of `maintenance.immutability`",
        ),
        (
            _text(_S3, _LOCK).replace("[offsite]}", "[offsite], copying: {schedule: Sun 04:00}}"),
            "systems.emr.backup.copying.schedule",
            "leaves 7 days between two copies",
        ),
        (
            _text(_S3, _LOCK).replace("{env: KEY}", "{file: /srv/restic/../restic/key}", 1),
            "repositories.onsite.password.file",
            "lies in the folder of the repository that it opens",
        ),
    ],
)
def test_warnings_say_what_leaves_copies_behind_or_open(text: str, path: str, message: str) -> None:
    assert _warnings(text) == [(path, message)]


def test_blackout_without_anything_to_keep_out_is_a_mistake_unless_locks_are_renewed() -> None:
    quiet = "maintenance: {check: never, forget: never, prune: never, blackout: {sun: 10:00-12:00}}"

    assert "has no effect" in _only_problem(_text(_S3, quiet), "{sun").message
    assert _loaded(_text(_S3, _LOCK, quiet)).plan.repositories["offsite"].maintenance.blackout


@pytest.mark.parametrize(
    "path",
    [
        "credentials.secret_access_key",
        "credentials.password",
        "maintenance.credentials.access_key_id",
    ],
)
def test_keys_of_a_repository_are_kept_out_of_git(tmp_path: Path, path: str) -> None:
    (tmp_path / ".git").mkdir()
    *sections, key = path.split(".")
    words = f"{key}: {{file: {tmp_path}/key}}"
    halves = {"secret_access_key": "access_key_id", "access_key_id": "secret_access_key"}
    beside = halves.get(key, "user")
    words += f", {beside}: {'a' if beside == 'user' else '{env: A}'}"
    for section in reversed(sections):
        words = f"{section}: {{{words}}}"
    file = tmp_path / "riverside.yaml"
    file.write_text(_text(_REST if key == "password" else _S3, words))

    with pytest.raises(PlanInvalid) as caught:
        load_plan(file)

    (problem,) = caught.value.problems
    assert isinstance(problem, Problem)
    assert problem.path == f"repositories.offsite.{path}.file"
    assert "lies in the git work tree" in problem.message


def test_append_only_server_has_nothing_removed_unless_there_is_another_way() -> None:
    own = _loaded(_text(_REST, "append_only: true")).plan.repositories["offsite"]
    other = "maintenance: {location: /srv/dr, credentials: {}}"
    both = _loaded(_text(_REST, "append_only: true", other)).plan.repositories["offsite"]

    assert (own.maintenance.forget, own.maintenance.prune) == ("never", "never")
    assert (str(both.maintenance.forget), str(both.maintenance.prune)) == ("05:30", "Sun 06:00")


def test_repository_is_reached_by_another_way_to_remove_from_it_where_there_is_one() -> None:
    keys = "credentials: {aws_profile: saves}"
    other = "maintenance: {credentials: {aws_profile: removes}}"
    spec = _loaded(_text(_S3, keys, other)).plan.repositories["offsite"]
    alone = _loaded(_text(_S3, keys)).plan.repositories["offsite"]

    assert spec.reached() == (_S3, spec.credentials)
    assert spec.reached(directly=True)[1].aws_profile == "removes"
    assert alone.reached(directly=True) == alone.reached()


_HALVES = "access_key_id: {env: A}, secret_access_key: {env: B}"


@pytest.mark.parametrize(
    ("printed", "own", "at", "message"),
    [
        ("aws_profile: reads", "", "reads", "cannot be printed"),
        (_HALVES, f"credentials: {{{_HALVES}}}", "{access_key_id", "are those of the backup"),
        ("access_key_id: {env: A}", "", "{env: A}", "needs `secret_access_key` beside it"),
    ],
)
def test_credentials_for_a_key_sheet_can_be_printed_and_are_others(
    printed: str, own: str, at: str, message: str
) -> None:
    lines = [own, f"sheet_credentials: {{{printed}}}"]
    assert message in _only_problem(_text(_S3, *filter(None, lines)), at).message
