"""What a plan promises, field by field, and whether a change lowers it. Pure.

Only what is promised to the practice is in it: objectives, what is covered, how it is proven, how
long it is kept, who is told, who holds a key. Where programs lie and how a server is reached is
not: an engineer moves that without asking anybody. `promised_field.py` holds the table.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any

from dr_orchestrator.compliance.promised_field import (
    ALL_FILES,
    PROTECTED,
    direction,
    is_promise,
    says_it_all,
    shape_of,
)
from dr_orchestrator.compliance.successor import under_successors
from dr_orchestrator.core.promise import Direction, PromiseChange
from dr_orchestrator.plan.anchoring import anchor_contacts
from dr_orchestrator.plan.effective import leaves, plan_data

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date, datetime

    from dr_orchestrator.core.promise import PromiseMade
    from dr_orchestrator.core.record import PracticeRecord
    from dr_orchestrator.core.sign_off import SignOff
    from dr_orchestrator.plan.model import Plan

_Data = dict[str, Any]
_SELF = ""
"""Key of a thing's own value, beside the values of its parts."""
_DIGITS = 12
_MONTH = timedelta(days=28)
_SIGNS = "contacts.*.signs"
_OF_SIGNERS = frozenset({_SIGNS, "contacts.*.signing_key"})
_PROGRAMS = ("dump", "restore", "run", "at_capture")
_WAYS = ("to", "email", "url", "webhook", "ping", "sns", "ses")


def promise_of(plan: Plan, own_packs: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """Return what a plan promises: field -> value in the plan's own words, sorted by field.

    `plan` is complete, as `load_plan` returns it. In which order it lists systems, checks or
    contacts makes no difference. Of a program of the practice's own only its name and a hash over
    its arguments is told; of `own_packs`, whose checks no version of ours fixes, the hash given.
    """
    told = dict(_fields({**_arranged(plan_data(plan), plan), "packs": dict(own_packs or {})}))
    return {field: told[field] for field in sorted(told) if is_promise(field)}


def sha256_of(fields: Mapping[str, str]) -> str:
    """Return the hash over what is promised: `PromiseMade.sha256`."""
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[PromiseChange, ...]:
    """Return the fields that differ, sorted, each with where that leads.

    What cannot be told to promise as much as before counts as loosened: a check that asks something
    else, a system that somebody else is said to protect. Of what came or went as a whole its parts
    are not named.
    """
    fields = before.keys() | after.keys()
    differ = {field for field in fields if before.get(field, "") != after.get(field, "")}
    return tuple(
        PromiseChange(
            field=field,
            before=before.get(field, ""),
            after=after.get(field, ""),
            direction=_direction(field, before, after),
        )
        for field in sorted(differ)
        if not _is_part(field, differ, before, after)
    )


def _direction(field: str, before: Mapping[str, str], after: Mapping[str, str]) -> Direction:
    """Return where a change leads. Who signs where nobody did takes nobody's word away."""
    if shape_of(field) in _OF_SIGNERS and not signers(before):
        return Direction.OTHER
    return direction(field, before.get(field, ""), after.get(field, ""))


def signers(fields: Mapping[str, str]) -> frozenset[str]:
    """Return the contacts that sign for the practice."""
    return frozenset(field.split(".")[1] for field in fields if shape_of(field) == _SIGNS)


def _is_part(
    field: str, differ: Iterable[str], before: Mapping[str, str], after: Mapping[str, str]
) -> bool:
    if field in before and field in after:
        return False
    other = before if field in after else after
    return any(says_it_all(above, field, one_sided=above not in other) for above in differ)


@dataclass(frozen=True, kw_only=True)
class NotAccepted:
    """A field that promises less than what the practice accepted."""

    change: PromiseChange
    """From what was accepted (else first promised) to what is promised now."""
    made: PromiseMade
    """The version that last changed the field."""
    since: datetime
    """From when on it promised less than that, without a break: changing it again gains no time."""
    system: str
    """Whose field it is; empty where it is the practice's."""


def is_same_text(version: PromiseMade, plan_sha256: str, fields: Mapping[str, str]) -> bool:
    """Return whether a version was read out of this very plan, with the packs in `fields`."""
    return version.plan_sha256 == plan_sha256 and _packs(version.fields) == _packs(fields)


def _packs(fields: Mapping[str, str]) -> Mapping[str, str]:
    return {field: each for field, each in fields.items() if field.startswith("packs.")}


def not_accepted(record: PracticeRecord) -> tuple[NotAccepted, ...]:
    """Return what promises less now than the newest version that was signed; than the first one
    ever seen, where none was. What was loosened and taken back is not among them, nor what another
    version of this program calls otherwise, nor a repository that was retired for one like it.
    """
    if not record.promises:
        return ()
    versions = under_successors(_since_accepted(record), record.retired)
    accepted, newest = versions[0], versions[-1]
    return tuple(
        NotAccepted(
            change=each,
            made=_last_change(each.field, versions),
            since=_loosened_since(each.field, versions),
            system=_system(each.field),
        )
        for each in changes(accepted.fields, newest.fields)
        if each.direction is Direction.LOOSENED
    )


def accepted_version(record: PracticeRecord) -> PromiseMade | None:
    """Return the newest version of the promise that was signed; `None` where none was."""
    signed = {each.promise for each in certifications(record)}
    return next((each for each in reversed(record.promises) if each.id in signed), None)


def certifications(record: PracticeRecord) -> tuple[SignOff, ...]:
    """Return the sign-offs that count, oldest first.

    Each is of a contact that signed for the practice by the version that was accepted before (else
    first promised): whoever edits the plan makes nobody a signer by that. Where no version tells
    who signs, as of a program that did not ask, everybody's counts.
    """
    if not record.sign_offs:
        return ()
    versions = _read_as_now(record.promises)
    places = {each.id: place for place, each in enumerate(versions)}
    counted, accepted = [], 0
    for given in record.sign_offs:
        place = places.get(given.promise, accepted)
        may_sign = (
            signers(versions[accepted].fields) or signers(versions[place].fields)
            if versions
            else frozenset()
        )
        if not may_sign or given.contact in may_sign:
            counted.append(given)
            accepted = max(accepted, place)
    return tuple(counted)


def relied_on(record: PracticeRecord) -> PromiseMade | None:
    """Return what the practice relies on, as this program reads it: the newest version that was
    signed, else the first ever seen; `None` where nothing is on record.
    """
    return next(iter(_since_accepted(record)), None)


def _since_accepted(record: PracticeRecord) -> tuple[PromiseMade, ...]:
    accepted = accepted_version(record)
    begin = record.promises.index(accepted) if accepted else 0
    return _read_as_now(record.promises[begin:])


def _read_as_now(versions: tuple[PromiseMade, ...]) -> tuple[PromiseMade, ...]:
    """Return the versions with the fields that the program of today reads out of a plan: what came
    or went while the plan stayed the same did so by an update of the program.
    """
    told = list(versions)
    for index, (before, after) in enumerate(pairwise(versions), 1):
        if is_same_text(before, after.plan_sha256, after.fields):
            told[:index] = [_as_read(each, before.fields, after.fields) for each in told[:index]]
    return tuple(told)


def _as_read(
    version: PromiseMade, before: Mapping[str, str], after: Mapping[str, str]
) -> PromiseMade:
    came = {field: after[field] for field in after.keys() - before.keys()}
    kept = {
        field: each
        for field, each in version.fields.items()
        if field in after or before.get(field) != each
    }
    return replace(version, fields={**came, **kept})


def _last_change(field: str, versions: tuple[PromiseMade, ...]) -> PromiseMade:
    return next(
        later
        for earlier, later in reversed(tuple(pairwise(versions)))
        if earlier.fields.get(field) != later.fields.get(field)
    )


def _loosened_since(field: str, versions: tuple[PromiseMade, ...]) -> datetime:
    accepted = versions[0].fields.get(field, "")
    since = versions[-1].at
    for version in reversed(versions[1:]):
        now = version.fields.get(field, "")
        if now == accepted or direction(field, accepted, now) is not Direction.LOOSENED:
            break
        since = version.at
    return since


def _system(field: str) -> str:
    first, _, rest = field.partition(".")
    return rest.partition(".")[0] if first == "systems" else ""


# --- the plan, arranged as its promise ------------------------------------------------------------


def _arranged(data: _Data, plan: Plan) -> _Data:
    """Return a plan's data with everything that is a list of things under names of its own."""
    anchor = data["evidence"]["anchor"]
    told = _told(plan)
    return {
        "practice": {
            "timezone": data["practice"]["timezone"],
            "open": _pairs(data["practice"]["open"]),
            "closed": f"{_most_closed(plan.practice.closed)} days in four weeks",
        },
        "contacts": {
            name: _contact(each, is_told=name in told) for name, each in data["contacts"].items()
        },
        "custody": _named(
            (each["holder"], {**each, _SELF: each["form"]}) for each in data["custody"]
        ),
        "notify": _named(_notification(each) for each in data["notify"]),
        "policies": data["policies"],
        "corrective_actions": data["corrective_actions"],
        "report": _delivered(data.get("report")),
        "kit": _delivered(data.get("kit")),
        "evidence": {
            _SELF: data["evidence"]["schedule"],
            "anchor": {
                **_delivered(anchor),
                "mail": list(anchor_contacts(plan, has_mail=True)),
            },
        },
        "repositories": {
            name: _repository(each, plan, name) for name, each in data["repositories"].items()
        },
        "systems": {name: _system_data(each) for name, each in data["systems"].items()},
    }


def _contact(contact: _Data, *, is_told: bool) -> _Data:
    signs = contact["signs"]
    return {
        "signs": "true" if signs else "",
        "signing_key": contact.get("signing_key", "") if signs else "",
        "email": contact.get("email", "") if signs or is_told else "",
    }


def _most_closed(days: Iterable[date]) -> int:
    """Return on how many days of four weeks in a row the practice is closed, at most: the next
    year's holidays promise no less.
    """
    closed = frozenset(days)
    return max(
        (sum(1 for day in closed if first <= day < first + _MONTH) for first in closed), default=0
    )


def _told(plan: Plan) -> frozenset[str]:
    """Return the contacts that are written to."""
    report, kit = plan.report, plan.kit
    return frozenset(
        (
            *(each.to for each in plan.notify if each.to),
            *(report.mail if report else ()),
            *(kit.mail if kit else ()),
            *anchor_contacts(plan, has_mail=True),
        )
    )


def _notification(each: _Data) -> tuple[str, _Data]:
    way = next(way for way in _WAYS if way in each)
    told = each[way]
    match way:
        case "to" | "email":
            name = told
        case "sns":
            name = f"sns {told['topic']}"
        case "ses":
            name = f"ses {told['to']}"
        case _:
            name = way  # where its address is kept is no promise
    return name, {**each, _SELF: way if way == "ping" else each["on"]}


def _delivered(spec: _Data | None) -> _Data:
    if spec is None:
        return {}
    s3 = spec.get("s3")
    return {**spec, _SELF: spec["schedule"], "s3": s3["to"] if s3 else ""}


def _repository(spec: _Data, plan: Plan, name: str) -> _Data:
    upkeep, lock, model = spec["maintenance"], spec.get("object_lock"), plan.repositories[name]
    return {
        _SELF: spec["location"],
        "append_only": "true" if spec["append_only"] else "",
        "object_lock": {**lock, _SELF: lock["mode"], "extend": upkeep["extend"]} if lock else {},
        "keep_noncurrent": spec["bucket"]["keep_noncurrent"] if model.is_s3 else "",
        "check": upkeep["check"],
        "read_all_every": upkeep["read_all_every"],
        "immutability": upkeep["immutability"] if model.keeps_attackers_out else "",
    }


def _system_data(system: _Data) -> _Data:
    if "protected_by" in system:
        attest = system.get("attest")
        return {
            _SELF: f"protected by {system['protected_by']}",
            "attest": attest["every"] if attest else "",
        }
    if "not_protected" in system:
        return {
            _SELF: f"not protected: {system['not_protected']}; accepted by {system['accepted_by']}"
        }
    backup = system["backup"]
    return {
        **system,
        _SELF: PROTECTED,
        "recovery": _named((each["step"], {_SELF: each["allow"]}) for each in system["recovery"]),
        "assets": {name: _asset(each) for name, each in system["assets"].items()},
        "newest": _pairs(system.get("newest", {})),
        "backup": {
            _SELF: backup["schedule"],
            "to": backup["to"],
            "copy_to": backup["copy_to"],
            "copying": backup["copying"]["schedule"] if backup["copy_to"] else "",
        },
        "restore_tests": _named(_restore_test(each) for each in system["restore_tests"]),
        "verify": _named(_check(each) for each in system["verify"] if _promises(each, system)),
    }


def _promises(check: _Data | str, system: _Data) -> bool:
    """Whether a check says anything: of what another tool saved there is no baseline."""
    theirs = any("existing" in asset for asset in system["assets"].values())
    return not (theirs and (check == "baseline" or "baseline" in check))


def _asset(asset: _Data) -> _Data:
    data_time, baseline = asset.get("data_time"), asset.get("baseline")
    return {
        **_with_programs(asset),
        _SELF: asset["kind"],
        "data_time": {**data_time, _SELF: data_time["newest"]} if data_time else {},
        "baseline": {**baseline, _SELF: baseline["level"]} if baseline else {},
    }


def _restore_test(test: _Data) -> tuple[str, _Data]:
    sample = test["files"]["sample"] if "files" in test else ALL_FILES
    return test["from"], {**test, _SELF: test["schedule"], "sample": sample}


def _check(check: _Data | str) -> tuple[str, _Data]:
    if isinstance(check, str):
        return check, {_SELF: check}
    asked = {key: value for key, value in check.items() if key != "title"}
    title = check.get("title") or f"pack {check['pack']}"
    return title, {_SELF: _pairs(_with_programs(asked))}


def _with_programs(data: _Data) -> _Data:
    """Return `data` with the command lines in it as one text each, without their arguments."""
    return {key: _program(each) if key in _PROGRAMS else each for key, each in data.items()}


def _program(argv: list[str]) -> str:
    if not argv:
        return ""
    digest = hashlib.sha256(shlex.join(argv).encode()).hexdigest()
    return f"{argv[0]} (sha256 of the whole: {digest[:_DIGITS]})"


def _pairs(data: _Data) -> str:
    return ", ".join(f"{path}: {value}" for path, value in leaves(data)) if data else ""


def _named(things: Iterable[tuple[str, _Data]]) -> _Data:
    """Return things by their names in brackets; where several have one name, numbered in an order
    that is not the file's.
    """
    found: dict[str, list[_Data]] = {}
    for name, thing in things:
        found.setdefault(name, []).append(thing)
    named: _Data = {}
    for name, those in sorted(found.items(), key=lambda each: (len(each[1]), each[0])):
        numbers = count(2)
        for thing in sorted(those, key=str):
            key = f"[{name}]"
            while key in named:  # also where that is the name of another
                key = f"[{name} {next(numbers)}]"
            named[key] = thing
    return named


def _fields(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, each in value.items():
            dot = "." if path and key and not key.startswith("[") else ""
            yield from _fields(each, f"{path}{dot}{key}")
    elif isinstance(value, list):
        if value:
            # in a text of its own a comma separates nothing
            yield path, ", ".join(sorted({str(each).replace(", ", ",\\ ") for each in value}))
    elif isinstance(value, bool):
        yield path, "true" if value else "false"
    elif value != "":
        yield path, str(value)
