"""From the record to what reports are made of. It reads, and decides nothing.

Of years of the record only what a report shows is read: by indexes, and of the evidence by kind.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from dr_orchestrator.compliance.judge import judge
from dr_orchestrator.compliance.vouched import found_altered
from dr_orchestrator.core.record import Anchored, ReportDelivered, Restored
from dr_orchestrator.evidence.entries import entries_in
from dr_orchestrator.evidence.facts import KINDS
from dr_orchestrator.evidence.line import CHAIN_STARTED
from dr_orchestrator.evidence.signing import fingerprint
from dr_orchestrator.report.subject import EvidenceSeen, Fleet, StepsDone, Subject

if TYPE_CHECKING:
    from dr_orchestrator.core.record import PracticeRecord
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.store.base import ChainHead, EvidenceLog, Store

LOOKED_BACK = timedelta(days=396)
"""13 months: twelve whole ones, and the one we are in."""
KEPT = timedelta(days=6 * 366)
"""How long evidence is kept at least: six years, as 45 CFR 164.316(b)(2)(i) asks."""

_Said = TypeVar("_Said", Anchored, ReportDelivered, Restored)


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What a report shows and the record does not hold."""

    next_page: datetime | None = None
    steps: tuple[StepsDone, ...] = ()
    disks: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    """Where the record was found not to be as it was written, just now."""


def gather(store: Store, loaded: LoadedPlan, now: datetime, beside: Beside = Beside()) -> Subject:
    """Return all that reports on one practice are made of, as of `now` (aware).

    Raises:
        StoreUnusable: the record cannot be read.
    """
    plan = loaded.plan
    practice = plan.practice.id
    record = store.practice_record(practice)
    since = now - LOOKED_BACK
    return Subject(
        plan=plan,
        plan_sha256=loaded.sha256,
        record=record,
        findings=judge(plan, record, now),
        now=now,
        evidence=_vouched(evidence_seen(store.evidence, practice, since), record, beside.faults),
        tests=store.tests(practice, since=since),
        due=store.tests_due(practice, since=since),
        drills=store.followed.drills(practice),
        followed=store.followed.runs(practice),
        exercised=store.followed.exercised(practice),
        kit=store.followed.kit(practice),
        restored=said(store.evidence, practice, Restored, since),
        next_page=beside.next_page,
        steps=beside.steps,
        disks=beside.disks,
    )


def gather_fleet(store: Store, plans: Iterable[LoadedPlan], now: datetime) -> Fleet:
    """Return what the report on many practices is made of; their tests are only counted.

    Raises:
        StoreUnusable: the record cannot be read.
    """
    subjects = tuple(_briefly(store, loaded, now) for loaded in plans)
    practices = [each.plan.practice.id for each in subjects]
    months = store.months_of_tests(practices, since=now - KEPT)
    return Fleet(subjects=subjects, months=months, now=now)


def _briefly(store: Store, loaded: LoadedPlan, now: datetime) -> Subject:
    practice = loaded.plan.practice.id
    record = store.practice_record(practice)
    seen = evidence_seen(store.evidence, practice, now - LOOKED_BACK)
    return Subject(
        plan=loaded.plan,
        plan_sha256=loaded.sha256,
        record=record,
        findings=judge(loaded.plan, record, now),
        now=now,
        evidence=_vouched(seen, record),
    )


def _vouched(
    seen: EvidenceSeen, record: PracticeRecord, faults: tuple[str, ...] = ()
) -> EvidenceSeen:
    """Return what is seen of the evidence, with what was found wrong now; else by the newest run
    that keeps it: that held it against copies elsewhere, too.
    """
    run = found_altered(record)
    return replace(seen, faults=faults or ((run.reason,) if run else ()))


def evidence_seen(log: EvidenceLog, practice: str, since: datetime) -> EvidenceSeen:
    """Return how far the evidence of a practice has come, with what was anchored since then."""
    chains = log.chains(practice)
    ours = next((each for each in chains if each.ours), None)
    if ours is None:
        return EvidenceSeen(others=tuple(each.chain for each in chains))
    return EvidenceSeen(
        chain=ours.chain,
        number=ours.number,
        head=ours.head,
        fingerprint=_fingerprint(log, ours),
        anchors=_newest_anchors(said(log, practice, Anchored, since)),
        others=tuple(each.chain for each in chains if not each.ours),
    )


def said(log: EvidenceLog, practice: str, noun: type[_Said], since: datetime) -> tuple[_Said, ...]:
    """Return the entries of one kind that are in the evidence since then, oldest first."""
    lines = log.lines(practice, kinds=[KINDS[noun]], since=since)
    return tuple(sorted(entries_in(lines, noun), key=lambda each: each.at))


def _fingerprint(log: EvidenceLog, ours: ChainHead) -> str:
    """Return the fingerprint of the key that a chain began with: later ones are signed by it."""
    started: Iterator[str] = log.lines(ours.practice, chain=ours.chain, kinds=[CHAIN_STARTED])
    first = next(started, None)
    return fingerprint(json.loads(first)["about"]["key"] if first else ours.key)


def _newest_anchors(anchored: Iterable[Anchored]) -> tuple[Anchored, ...]:
    """Return the newest at each place that came there, and a newer one that did not."""
    newest: dict[tuple[str, bool], Anchored] = {}
    for each in anchored:
        newest.pop((each.place, False), None)
        newest[each.place, not each.reason] = each
    return tuple(sorted(newest.values(), key=lambda each: each.at))
