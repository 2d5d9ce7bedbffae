from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dr_orchestrator.core.problem import Occasion, OpenProblem, Problem, ProblemKind, Telling
from dr_orchestrator.notify.channel import Channel, channels_of, channels_of_machine
from dr_orchestrator.notify.decision import (
    FLAPPING,
    LASTING,
    SILENT_LIMIT,
    STALE,
    Duty,
    as_it_is,
    duties,
    next_try,
    unreached,
)
from dr_orchestrator.plan.model import Plan
from dr_orchestrator.plan.notification import Notification
from tests.support.clock import START
from tests.support.evidence import make_plan

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def channel(name: str = "manager", **said: Any) -> Channel:
    spec = Notification.model_validate({"email": f"{name}@riverside.example", **said})
    return Channel(name=name, spec=spec, place=name, address=f"{name}@riverside.example")


def trouble(
    key: str = "failure/emr/backup", kind: ProblemKind = ProblemKind.FAILURE, system: str = "emr"
) -> Problem:
    return Problem(
        key=key,
        kind=kind,
        practice="riverside",
        system=system,
        what="it failed",
        next="mend it",
        since=None,
    )


def known(key: str = "failure/emr/backup", **more: Any) -> OpenProblem:
    kind = ProblemKind(key.partition("/")[0])
    fields: dict[str, Any] = {"id": key, "problem": trouble(key, kind), "opened_at": START, **more}
    return OpenProblem(**fields)


def told(
    problem: OpenProblem,
    at: Any = START,
    channel: str = "manager",
    occasion: Occasion = Occasion.OPENED,
    reason: str = "",
) -> Telling:
    return Telling(
        practice="riverside",
        problem=problem.id,
        channel=channel,
        occasion=occasion,
        at=at,
        delivered=not reason,
        reason=reason,
    )


def due(
    *problems: OpenProblem, tellings: tuple[Telling, ...] = (), now: Any = START, **more: Any
) -> list[tuple[str, Occasion]]:
    sorted_out: dict[str, tuple[Telling, ...]] = defaultdict(tuple)
    for each in tellings:
        sorted_out[each.problem] += (each,)
    channels = more.pop("channels", (channel(),))
    found = duties(problems, sorted_out, channels, now, because=more.pop("because", {}), **more)
    return [(each.problem.problem.key, each.occasion) for each in found]


@pytest.mark.parametrize(
    ("said", "kind", "hears"),
    [
        ({}, ProblemKind.FAILURE, True),
        ({"on": ["breach"]}, ProblemKind.FAILURE, False),
        ({"on": ["breach"]}, ProblemKind.BREACH, True),
        ({"systems": ["files"]}, ProblemKind.FAILURE, False),
        ({"systems": ["emr"]}, ProblemKind.FAILURE, True),
    ],
)
def test_channel_hears_what_it_asked_for(
    said: dict[str, Any], kind: ProblemKind, *, hears: bool
) -> None:
    assert channel(**said).hears(trouble(kind=kind)) is hears


def test_channel_hears_what_concerns_every_system() -> None:
    assert channel(systems=["files"]).hears(trouble(system=""))


def test_channels_are_named_by_what_they_say_and_hold_no_secret() -> None:
    content = make_plan().model_dump(mode="json", by_alias=True, exclude_none=True)
    content["contacts"] = {"manager": {"role": "manager", "email": "m@riverside.example"}}
    content["notify"] = [{"to": "manager"}, {"to": "manager", "after": "4h"}]
    hook = Notification.model_validate({"webhook": {"file": "/etc/dro/keys/hook"}})
    found = channels_of(Plan.model_validate(content), (hook,))
    assert [each.name for each in found] == [
        "manager",
        "manager 2",
        "webhook (file /etc/dro/keys/hook)",
    ]
    assert [each.address for each in found] == ["m@riverside.example", "m@riverside.example", ""]
    assert [each.name for each in channels_of_machine((hook,))] == [found[2].name]


def test_duties_open_once() -> None:
    each = known()
    assert due(each) == [("failure/emr/backup", Occasion.OPENED)]
    assert due(each, tellings=(told(each),), now=START + HOUR) == []
    assert due(each, tellings=(told(each, reason="refused"),)) == [
        ("failure/emr/backup", Occasion.OPENED)
    ]


def test_duties_remind_until_acknowledged() -> None:
    each = known()
    reminder = [("failure/emr/backup", Occasion.REMINDER)]
    assert due(each, tellings=(told(each),), now=START + DAY) == reminder
    acknowledged = known(acknowledged_at=START + HOUR, acknowledged_by="Jo")
    assert due(acknowledged, tellings=(told(each),), now=START + DAY) == []


def test_duties_escalate_what_nobody_acknowledged() -> None:
    later = channel("owner", after="4h")
    assert due(known(), channels=(later,), now=START + 3 * HOUR) == []
    assert due(known(), channels=(later,), now=START + 4 * HOUR) == [
        ("failure/emr/backup", Occasion.ESCALATION)
    ]
    acknowledged = known(acknowledged_at=START + HOUR)
    assert due(acknowledged, channels=(later,), now=START + DAY) == []


def test_duties_tell_a_recovery_to_those_who_were_told() -> None:
    over = known(closed_at=START + HOUR)
    now = START + HOUR + LASTING
    channels = (channel(), channel("other"), channel("third", on=["failure"]))
    tellings = (told(over), told(over, channel="third"))
    assert due(over, tellings=tellings, channels=channels, now=now) == [
        ("failure/emr/backup", Occasion.RECOVERED)
    ]
    assert due(over, tellings=tellings, now=now - MINUTE) == []
    recovered = told(over, now, occasion=Occasion.RECOVERED)
    assert due(over, tellings=(*tellings, recovered), channels=channels, now=now + DAY) == []


def test_duties_leave_out_what_follows_from_what_is_heard() -> None:
    failure, copies = known(), known("breach/emr/copies/onsite")
    because = {"breach/emr/copies/onsite": frozenset({"failure/emr/backup"})}
    assert due(failure, copies, because=because) == [("failure/emr/backup", Occasion.OPENED)]
    only_breach = (channel(on=["breach"]),)
    assert due(failure, copies, because=because, channels=only_breach) == [
        ("breach/emr/copies/onsite", Occasion.OPENED)
    ]


def test_duties_are_none_of_a_ping() -> None:
    spec = Notification.model_validate({"ping": {"env": "PING"}})
    assert due(known(), channels=(Channel(name="ping", spec=spec, place="ping"),)) == []


def test_unreached_after_a_while_and_until_it_is_reached() -> None:
    each = known()
    failed = told(each, reason="refused")
    here = (channel(),)
    assert list(unreached("riverside", here, [failed], [], START + SILENT_LIMIT / 2)) == []
    (found,) = unreached("riverside", here, [failed], [], START + SILENT_LIMIT)
    assert (found.key, found.what) == ("undelivered/manager", "manager could not be told: refused")
    open_one = known("undelivered/manager", problem=found)
    # what it could not be told is over and forgotten: it was still not reached
    (still,) = unreached("riverside", here, [], [open_one], START + DAY)
    assert still.since == START
    reached = told(open_one, START + DAY)
    assert list(unreached("riverside", here, [failed, reached], [open_one], START + DAY)) == []
    assert list(unreached("riverside", (), [failed], [open_one], START + DAY)) == []


def test_a_clock_that_was_a_year_ahead_keeps_nobody_from_being_told() -> None:
    ahead = START + 365 * DAY
    open_one = known()
    reminded = (told(open_one, START - 2 * DAY), told(open_one, ahead))
    assert due(open_one, tellings=reminded) == [(open_one.id, Occasion.REMINDER)]
    late = (channel("late", after="2h"),)
    assert due(known(opened_at=ahead), channels=late) == [(open_one.id, Occasion.ESCALATION)]
    over = known(closed_at=ahead)
    assert due(over, tellings=(told(over),)) == [(over.id, Occasion.RECOVERED)]
    again = as_it_is([trouble()], [over], START, new_id=lambda: "new")
    assert [each.id for each in again if each.closed_at is None] == ["new"]


def test_what_comes_back_every_other_hour_is_one_problem_from_the_second_time_on() -> None:
    first = known(id="first", opened_at=START - 3 * HOUR, closed_at=START - 2 * HOUR)
    second = known(id="second", closed_at=START + HOUR)
    problems = as_it_is([trouble()], [first, second], START + 3 * HOUR, new_id=lambda: "third")
    assert [each.id for each in problems if each.closed_at is None] == ["second"]
    looked_after = known(id="second", closed_at=START + HOUR, acknowledged_at=START)
    problems = as_it_is(
        [trouble()], [first, looked_after], START + 3 * HOUR, new_id=lambda: "third"
    )
    assert [each.id for each in problems if each.closed_at is None] == ["third"]


@pytest.mark.parametrize(
    ("kind", "before", "after", "news"),
    [
        (ProblemKind.FAILURE, "the backup failed in part: a", "the backup failed: b", True),
        (ProblemKind.FAILURE, "the backup failed: b", "the backup failed in part: a", False),
        (ProblemKind.FAILURE, "the backup failed: a", "the backup failed: b", False),
        (ProblemKind.SUSPICIOUS, "docs grew", "docs grew; docs has 90 % changed", True),
        (ProblemKind.SUSPICIOUS, "docs grew", "docs grew", False),
    ],
)
def test_what_got_worse_is_told_although_somebody_looks_after_it(
    kind: ProblemKind, before: str, after: str, *, news: bool
) -> None:
    was = replace(trouble(kind=kind), what=before)
    looked_after = OpenProblem(id="old", problem=was, opened_at=START, acknowledged_at=START)
    now = START + DAY
    problems = as_it_is([replace(was, what=after)], [looked_after], now, new_id=lambda: "new")
    (here,) = (each for each in problems if each.closed_at is None)
    assert (here.id, here.acknowledged_at is None) == (("new", True) if news else ("old", False))
    told_so = (told(looked_after),)
    expected = [(trouble().key, Occasion.OPENED)] if news else []
    assert due(*problems, tellings=told_so, now=now + DAY) == expected  # and nothing is over


def test_next_try_waits_longer_each_time_and_half_an_hour_at_most() -> None:
    waits = [(next_try(failures, START) - START) / MINUTE for failures in range(1, 9)]
    assert waits == [1, 2, 5, 10, 30, 30, 30, 30]


_KEYS = ("failure/emr/backup", "breach/emr/rpo", "breach/emr/copies/onsite")
_BECAUSE = {_KEYS[2]: frozenset({_KEYS[0]})}
_CHANNELS = (
    channel("all", remind_every="3h"),
    channel("breach", on=["breach", "recovery"], remind_every="8h"),
    channel("late", after="2h"),
    channel("mute", on=["failure", "breach"]),
)
_STEP = st.tuples(
    st.integers(1, 200),
    st.sets(st.sampled_from(_KEYS)),
    st.sets(st.sampled_from(_KEYS)),
    st.sets(st.sampled_from([each.name for each in _CHANNELS])),
)
"""Minutes that pass; what is wrong then; what somebody acknowledges; whom nothing reaches."""


@settings(max_examples=150)
@given(st.lists(_STEP, max_size=25))
def test_duties_keep_their_promises_over_any_history(
    history: list[tuple[int, set[str], set[str], set[str]]],
) -> None:
    now, numbers = START, count()
    record: dict[str, OpenProblem] = {}
    tellings: dict[str, tuple[Telling, ...]] = {}
    for minutes, wrong, acknowledged, dead in history:
        now += minutes * MINUTE
        before = dict(record)
        recent = [
            each for each in record.values() if not each.closed_at or now - each.closed_at < STALE
        ]
        problems = as_it_is(
            [trouble(key, ProblemKind(key.partition("/")[0])) for key in sorted(wrong)],
            recent,
            now,
            new_id=lambda: f"{next(numbers):04}",
        )
        record |= {each.id: each for each in problems}
        found = duties(problems, tellings, _CHANNELS, now, because=_BECAUSE)
        _check_changes(before, record, wrong)
        _check_duties(found, tellings)
        for duty in found:
            reason = "refused" if duty.channel.name in dead else ""
            telling = told(duty.problem, now, duty.channel.name, duty.occasion, reason)
            tellings[duty.problem.id] = (*tellings.get(duty.problem.id, ()), telling)
        _check_nobody_is_left_out(record, tellings, dead)
        _check_recoveries(record, tellings, dead, now)
        for each in list(record.values()):
            if each.closed_at is None and each.problem.key in acknowledged:
                record[each.id] = OpenProblem(
                    id=each.id,
                    problem=each.problem,
                    opened_at=each.opened_at,
                    acknowledged_at=each.acknowledged_at or now,
                )
    for of_problem in tellings.values():
        for name in {each.channel for each in of_problem}:
            took = [each for each in of_problem if each.channel == name and each.delivered]
            _check_story(took)


def _check_changes(
    before: dict[str, OpenProblem], after: dict[str, OpenProblem], wrong: set[str]
) -> None:
    assert sorted(each.problem.key for each in after.values() if each.closed_at is None) == sorted(
        wrong
    )
    for id_, was in before.items():
        if was.closed_at is not None and after[id_].closed_at is None:
            assert after[id_].opened_at == was.opened_at  # it is the same one again


def _check_duties(found: tuple[Duty, ...], tellings: dict[str, tuple[Telling, ...]]) -> None:
    assert len({(each.channel.name, each.problem.id) for each in found}) == len(found)
    for duty in found:
        took = [
            each
            for each in tellings.get(duty.problem.id, ())
            if each.channel == duty.channel.name and each.delivered
        ]
        assert duty.number == len(took) + 1
        if duty.problem.acknowledged_at is not None:
            assert duty.occasion is Occasion.RECOVERED
        assert bool(took) is (duty.occasion in {Occasion.REMINDER, Occasion.RECOVERED})


def _check_nobody_is_left_out(
    record: dict[str, OpenProblem], tellings: dict[str, tuple[Telling, ...]], dead: set[str]
) -> None:
    here = {each.problem.key: each for each in record.values() if each.closed_at is None}
    for key, each in here.items():
        if each.acknowledged_at is not None:
            continue
        for listener in _CHANNELS:
            if listener.spec.after or listener.name in dead or not listener.hears(each.problem):
                continue
            reasons = [
                here[cause]
                for cause in _BECAUSE.get(key, ())
                if cause in here and listener.hears(here[cause].problem)
            ]
            told_of = {
                one.id
                for one in (each, *reasons)
                if any(
                    telling.channel == listener.name and telling.delivered
                    for telling in tellings.get(one.id, ())
                )
            }
            assert told_of or any(one.acknowledged_at for one in reasons)


def _check_recoveries(
    record: dict[str, OpenProblem],
    tellings: dict[str, tuple[Telling, ...]],
    dead: set[str],
    now: datetime,
) -> None:
    here = {each.problem.key for each in record.values() if each.closed_at is None}
    for each in record.values():
        gone = now - (each.closed_at or now)
        lasted = gone >= LASTING
        surely = gone >= FLAPPING * LASTING and each.problem.key not in here
        for listener in _CHANNELS:
            took = [
                telling.occasion
                for telling in tellings.get(each.id, ())
                if telling.channel == listener.name and telling.delivered
            ]
            asked = "recovery" in listener.spec.on
            if not (asked and took and lasted):
                assert Occasion.RECOVERED not in took
            elif listener.name not in dead and surely:
                assert took[-1] is Occasion.RECOVERED


def _check_story(took: list[Telling]) -> None:
    occasions = [each.occasion for each in took]
    if not occasions:
        return
    assert occasions[0] in {Occasion.OPENED, Occasion.ESCALATION}
    assert occasions.count(Occasion.RECOVERED) <= 1
    assert Occasion.RECOVERED not in occasions[:-1]
    assert set(occasions[1:]) <= {Occasion.REMINDER, Occasion.RECOVERED}
    every = next(each for each in _CHANNELS if each.name == took[0].channel).spec.remind_every
    for earlier, later in pairwise(took):
        if later.occasion is Occasion.REMINDER:
            assert later.at - earlier.at >= every
