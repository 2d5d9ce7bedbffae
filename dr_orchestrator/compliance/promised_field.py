"""The fields of a promise: which there are, what each is called, and when it promises less. Pure.

What is not in the table is no promise, and `promise_of` leaves it out. The names of fields and the
way their values are written are kept for years in the record: what is renamed here looks, to
everybody who accepted it, as if it had been taken back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from dr_orchestrator.core.promise import Direction
from dr_orchestrator.core.wording import duration_words
from dr_orchestrator.plan.model import RepositorySpec
from dr_orchestrator.plan.opening import OpeningHours
from dr_orchestrator.plan.quantity import parse_duration, parse_percentage, parse_size
from dr_orchestrator.plan.schedule import Schedule
from dr_orchestrator.plan.secret_reference import SecretReference

if TYPE_CHECKING:
    from dr_orchestrator.core.promise import PromiseChange

PROTECTED = "protected"
"""The value of `systems.NAME` where this plan protects it."""
ALL_FILES = "100%"
_WEEKDAYS = 7
_MINUTE = timedelta(minutes=1)
_NEVER = timedelta(days=1_000_000)
_IN_BRACKETS = re.compile(r"\[.*\]", re.DOTALL)  # a title may have several lines
_NAMED = re.compile(r"^(systems|contacts|repositories|packs)\.[^.]+")
_ASSET = re.compile(r"\.assets\.[^.]+")

_Compare = Callable[[str, str], Direction]


def _by(rank: Callable[[str], Any]) -> _Compare:
    """Compare values by a rank: the higher it is, the more is promised."""

    def compare(before: str, after: str) -> Direction:
        was, is_now = rank(before), rank(after)
        if was == is_now:
            return Direction.OTHER
        return Direction.TIGHTENED if is_now > was else Direction.LOOSENED

    return compare


def _by_set(members: Callable[[str], frozenset[Any]]) -> _Compare:
    """Compare sets: more is promised only where nothing of what was there is gone."""

    def compare(before: str, after: str) -> Direction:
        was, is_now = members(before), members(after)
        if was == is_now:
            return Direction.OTHER
        return Direction.TIGHTENED if was < is_now else Direction.LOOSENED

    return compare


def _names(value: str) -> frozenset[str]:
    return frozenset(value.split(", "))


def _open_minutes(value: str) -> frozenset[tuple[int, int]]:
    hours = OpeningHours.parse(dict(day.split(": ", 1) for day in value.split(", ")))
    return frozenset(
        (day, minute)
        for day in range(_WEEKDAYS)
        for opens, closes in hours.week[day]
        for minute in range(opens // _MINUTE, closes // _MINUTE)
    )


def _periods(value: str) -> tuple[timedelta, timedelta]:
    if value == "never":
        return _NEVER, _NEVER
    schedule = Schedule.parse(value)
    return schedule.period, schedule.mean_period


def _ranked(*words: str) -> _Compare:
    return _by(words.index)


def _fewer(before: str, after: str) -> Direction:
    return _by_set(_names)(after, before)


def _cannot_be_told(_before: str, _after: str) -> Direction:
    return Direction.LOOSENED


def _another_word(_before: str, _after: str) -> Direction:
    return Direction.OTHER


def _same_kind_of_place(before: str, after: str) -> Direction:
    """Another bucket is another place; a folder, or this machine, instead may promise less."""
    return Direction.OTHER if _place(before) == _place(after) else Direction.LOOSENED


def _place(location: str) -> tuple[str, bool]:
    spec = RepositorySpec.model_construct(
        location=location, password=SecretReference.model_construct()
    )
    return spec.scheme, spec.is_elsewhere


def _oftener(before: str, after: str) -> Direction:
    """Compare the longest gap and the number: neither makes up for the other."""
    (longest, mean), (longest_now, mean_now) = _periods(before), _periods(after)
    if (longest, mean) == (longest_now, mean_now):
        return Direction.OTHER
    is_less = longest_now > longest or mean_now > mean
    return Direction.LOOSENED if is_less else Direction.TIGHTENED


_sooner = _by(lambda value: -parse_duration(value))
_longer = _by(parse_duration)
_more = _by(int)
_fewer_days = _by(lambda value: -int(value.partition(" ")[0]))
_larger = _by(parse_size)
_larger_share = _by(parse_percentage)
_more_names = _by_set(_names)
_stated = _ranked("false", "true")


@dataclass(frozen=True)
class _Field:
    words: str
    """For a person; `{0}` is the name of the innermost thing."""
    compare: _Compare
    absent_is_more: bool = False
    """Nothing stated promises more than anything stated: no exclusion, no delay."""


_FIELDS: Mapping[str, _Field] = {
    "practice.timezone": _Field("the time zone", _cannot_be_told),
    "practice.closed": _Field("the most closed days", _fewer_days),
    "practice.open": _Field("opening hours", _by_set(_open_minutes)),
    "contacts.*.email": _Field("the e-mail address of {0}", _cannot_be_told),
    "contacts.*.signs": _Field("that {0} signs for the practice", _stated, absent_is_more=True),
    "contacts.*.signing_key": _Field(
        "the key that {0} signs with", _cannot_be_told, absent_is_more=True
    ),
    "custody[]": _Field("the key held by {0}", _cannot_be_told),
    "custody[].prove_every": _Field("how often {0} shows that the key opens", _sooner),
    "notify[]": _Field("what {0} is told of", _more_names),
    "notify[].systems": _Field("of which systems {0} is told", _more_names, absent_is_more=True),
    "notify[].after": _Field("how long {0} is not told yet", _sooner, absent_is_more=True),
    "notify[].remind_every": _Field("how often {0} is reminded", _sooner),
    "policies": _Field("the rules that are reported on", _more_names),
    "corrective_actions.owner": _Field("who puts failed tests right", _another_word),
    "corrective_actions.due": _Field("the time in which failed tests are put right", _sooner),
    "report": _Field("when reports are made", _oftener),
    "report.readers": _Field("whom reports are for", _more_names),
    "report.mail": _Field("who gets reports by e-mail", _more_names),
    "report.folder": _Field("the folder of reports", _another_word),
    "report.s3": _Field("the bucket of reports", _another_word),
    "report.after_tests": _Field("reports after each restore test", _stated),
    "kit": _Field("when the kit is made", _oftener),
    "kit.valid": _Field("how long the kit counts as current", _sooner),
    "kit.mail": _Field("who gets the kit by e-mail", _more_names),
    "kit.folder": _Field("the folder of the kit", _another_word),
    "kit.s3": _Field("the bucket of the kit", _another_word),
    "evidence": _Field("when the evidence is saved", _oftener),
    "evidence.anchor": _Field("when the head of the evidence is anchored", _oftener),
    "evidence.anchor.mail": _Field("whose mailbox keeps the head of the evidence", _more_names),
    "evidence.anchor.s3": _Field("the bucket that keeps the head of the evidence", _another_word),
    "evidence.anchor.keep": _Field("how long the head of the evidence is locked", _longer),
    "repositories.*": _Field("the repository {0}", _same_kind_of_place),
    "repositories.*.append_only": _Field("append-only in {0}", _stated),
    "repositories.*.object_lock": _Field(
        "the object lock of {0}", _ranked("governance", "compliance")
    ),
    "repositories.*.object_lock.days": _Field("the days of object lock in {0}", _more),
    "repositories.*.keep_noncurrent": _Field("how long {0} keeps what was deleted", _longer),
    "repositories.*.check": _Field("when {0} is read back", _oftener),
    "repositories.*.read_all_every": _Field("how often all of {0} is read back", _sooner),
    "repositories.*.object_lock.extend": _Field("when locks in {0} are renewed", _oftener),
    "repositories.*.immutability": _Field("when it is tried to destroy {0}", _oftener),
    "packs.*": _Field("what the pack {0} asks", _cannot_be_told),
    "systems.*": _Field("protection", _cannot_be_told),
    "systems.*.attest": _Field("how often its protection is confirmed", _sooner),
    "systems.*.importance": _Field("importance", _ranked("routine", "important", "critical")),
    "systems.*.rto": _Field("limit of the recovery time", _sooner),
    "systems.*.rpo": _Field("limit of the work that may be lost", _sooner),
    "systems.*.max_data_age": _Field("limit of the age of the data", _sooner),
    "systems.*.max_skew": _Field("limit of the time between its parts", _sooner),
    "systems.*.recovery[]": _Field("the time allowed for “{0}”", _longer),
    "systems.*.assets.*": _Field("the asset {0}", _cannot_be_told),
    "systems.*.assets.*.database": _Field("the database of {0}", _cannot_be_told),
    "systems.*.assets.*.scope": _Field("the scope of {0}", _ranked("database", "cluster")),
    "systems.*.assets.*.path": _Field("the path of {0}", _cannot_be_told),
    "systems.*.assets.*.share": _Field("the share of {0}", _cannot_be_told),
    "systems.*.assets.*.dump": _Field("the dump of {0}", _cannot_be_told),
    "systems.*.assets.*.restore": _Field("how the dump of {0} is loaded", _cannot_be_told),
    "systems.*.assets.*.ends_with": _Field("the end of a dump of {0}", _cannot_be_told),
    "systems.*.assets.*.exclude": _Field("what is left out of {0}", _fewer, absent_is_more=True),
    "systems.*.assets.*.marker": _Field("the marker of {0}", _cannot_be_told),
    "systems.*.assets.*.require_files": _Field("the files that {0} has at least", _more),
    "systems.*.assets.*.permissions": _Field("the permissions of {0}", _ranked("skip", "save")),
    "systems.*.assets.*.at_least": _Field("the size that {0} has at least", _larger),
    "systems.*.assets.*.data_time": _Field("which files of {0} tell its age", _cannot_be_told),
    "systems.*.assets.*.data_time.max_age": _Field("how old the data of {0} may be", _sooner),
    "systems.*.assets.*.data_time.at_least": _Field("the size of a file in {0}", _larger),
    "systems.*.assets.*.existing.path": _Field(
        "where {0} lies in what another tool saves", _cannot_be_told, absent_is_more=True
    ),
    "systems.*.assets.*.existing.tag": _Field(
        "the tag that {0} is known by", _cannot_be_told, absent_is_more=True
    ),
    "systems.*.assets.*.existing.host": _Field(
        "the host that {0} is known by", _cannot_be_told, absent_is_more=True
    ),
    "systems.*.assets.*.baseline": _Field(
        "how closely {0} is compared", _ranked("counts", "sampled", "full")
    ),
    "systems.*.assets.*.baseline.budget": _Field("the time to look at {0} closely", _longer),
    "systems.*.newest": _Field("the question for the newest row", _cannot_be_told),
    "systems.*.backup": _Field("when it is backed up", _oftener),
    "systems.*.backup.to": _Field("the repositories it is backed up to", _more_names),
    "systems.*.backup.copy_to": _Field("the repositories it is copied to", _more_names),
    "systems.*.backup.copying": _Field("when it is copied", _oftener),
    "systems.*.retention.keep_last": _Field("backups kept", _more),
    "systems.*.retention.keep_hourly": _Field("hourly backups kept", _more),
    "systems.*.retention.keep_daily": _Field("daily backups kept", _more),
    "systems.*.retention.keep_weekly": _Field("weekly backups kept", _more),
    "systems.*.retention.keep_monthly": _Field("monthly backups kept", _more),
    "systems.*.retention.keep_yearly": _Field("yearly backups kept", _more),
    "systems.*.restore_tests[]": _Field("the restore test from {0}", _oftener),
    "systems.*.restore_tests[].prove_every": _Field("how often {0} is proven", _sooner),
    "systems.*.restore_tests[].point": _Field("which point is tested from {0}", _cannot_be_told),
    "systems.*.restore_tests[].sample": _Field("the files tested from {0}", _larger_share),
    "systems.*.verify[]": _Field("the check “{0}”", _cannot_be_told),
}
_WHOLE = frozenset({"systems.*", "systems.*.assets.*"})
"""What is of another kind has other fields; that it changed says everything."""


def is_promise(field: str) -> bool:
    """Return whether a field is part of what is promised."""
    return shape_of(field) in _FIELDS


def shape_of(field: str) -> str:
    """Return a field without the names that a plan gives: `systems.*.rto`, `custody[]`."""
    return _ASSET.sub(".assets.*", _NAMED.sub(r"\1.*", _IN_BRACKETS.sub("[]", field)))


def all_shapes() -> frozenset[str]:
    """Return the shapes of all fields there may be."""
    return frozenset(_FIELDS)


def direction(field: str, before: str, after: str) -> Direction:
    """Return where it leads that a field is `after` now; empty: it is not there."""
    known = _FIELDS.get(shape_of(field))
    if known is None:  # written by another version of this program
        return Direction.LOOSENED
    if shape_of(field) == "systems.*":
        return _protection(before, after)
    if not before or not after:
        more = bool(after) is not known.absent_is_more
        return Direction.TIGHTENED if more else Direction.LOOSENED
    try:
        return known.compare(before, after)
    except ValueError:
        return Direction.LOOSENED


def _protection(before: str, after: str) -> Direction:
    if after == PROTECTED:
        return Direction.TIGHTENED
    return Direction.LOOSENED if before else Direction.OTHER


def says_it_all(above: str, field: str, *, one_sided: bool) -> bool:
    """Return whether a change of `above` makes it needless to name a change of `field`, which is
    there on one side only; `one_sided`: `above` is there on the same side only.
    """
    below = field.startswith((f"{above}.", f"{above}["))
    return below and (one_sided or shape_of(above) in _WHOLE)


def change_words(change: PromiseChange) -> str:
    """Return a change as a clause: `limit of the recovery time: 4 h became 24 h`."""
    known = _FIELDS.get(shape_of(change.field))
    what = known.words.format(_innermost(change.field)) if known else change.field
    if not change.after:
        return f"{what} was taken out"
    if not change.before:
        return f"{what} was added"
    if known is None or known.compare is _cannot_be_told:
        return f"{what} was changed"
    return f"{what}: {_value(change.before)} became {_value(change.after)}"


def _innermost(field: str) -> str:
    if "[" in field:
        return field[field.index("[") + 1 : field.rindex("]")]
    parts = field.split(".")
    return parts[3] if ".assets." in field else parts[min(1, len(parts) - 1)]


def _value(text: str) -> str:
    try:
        return duration_words(parse_duration(text))
    except ValueError:
        return text
