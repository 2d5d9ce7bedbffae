"""What all parts of the page ask: names as people know them, days as they were, evidence as it is.

Here the page doubts the findings it was given: recovery counts as kept only where the record holds
a restore test that passed recently enough, and nothing only while all that is promised is what the
practice accepted and the record is as it was written, whatever a finding says.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from dr_orchestrator.compliance.case import CLOCK_TOLERANCE, open_case
from dr_orchestrator.compliance.custody import custody_standings, repositories_of_keys
from dr_orchestrator.compliance.promise import NotAccepted, certifications, not_accepted
from dr_orchestrator.compliance.vouched import without_vouching
from dr_orchestrator.core.finding import Finding, Objective, Verdict, worst
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import date_words, day_words, moment_words
from dr_orchestrator.plan.model import IMPORTANCES
from dr_orchestrator.report.room import ROOMS, Room
from dr_orchestrator.report.say import say

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from dr_orchestrator.core.custody import CustodyStanding
    from dr_orchestrator.core.record import PracticeRecord
    from dr_orchestrator.core.restore_test import RestoreTest
    from dr_orchestrator.core.runbook import Drill
    from dr_orchestrator.core.sign_off import SignOff
    from dr_orchestrator.plan.model import Plan, ProtectedSystem
    from dr_orchestrator.report.subject import Subject

_NEEDS_A_TEST = frozenset({Objective.RTO, Objective.RESTORE_TEST})
_INSTANT = re.compile(r"\b(\d{4}-\d\d-\d\d) (\d\d:\d\d) (?:[A-Z]{2,5}\b|[+-]\d{2,4}\b)")
MSP = "msp"
"""Somebody a plan may name without listing them as a contact."""


@dataclass(frozen=True)
class View:
    """What is known of one practice, seen at one instant."""

    subject: Subject
    room: Room = ROOMS[0]

    @property
    def plan(self) -> Plan:
        """What is promised."""
        return self.subject.plan

    @property
    def record(self) -> PracticeRecord:
        """What is remembered."""
        return self.subject.record

    @property
    def now(self) -> datetime:
        """The instant the page is of."""
        return self.subject.now

    @property
    def zone(self) -> ZoneInfo:
        """The practice's own time zone."""
        return self.plan.practice.timezone

    @property
    def today(self) -> date:
        """The day it is at the practice."""
        return self.now.astimezone(self.zone).date()

    def day(self, instant: datetime) -> str:
        """Return a day; its year only where it is not this one."""
        return date_words(instant, self.zone, beside=self.now)

    def moment(self, instant: datetime) -> str:
        """Return day and time of day; the year only where it is not this one."""
        return moment_words(instant, self.zone, beside=self.now)

    def plain(self, text: str) -> str:
        """Return a reason with its instants as the page writes them.

        Reasons carry them as `2026-11-21 19:15 CST`, in the practice's own time zone.
        """
        return _INSTANT.sub(self._plain_instant, text)

    def _plain_instant(self, found: re.Match[str]) -> str:
        try:
            day = date.fromisoformat(found[1])
        except ValueError:
            return found[0]
        return f"{day_words(day, beside=self.today)}, {found[2]}"

    def title(self, system: str) -> str:
        """Return a system's title, or its id where it has none. Of one that there is no room for
        the middle is left out: systems are often told apart by the end.
        """
        spec = self.plan.systems.get(system)
        title = (spec.title if spec else "") or system
        room = self.room.title
        if len(title) <= room:
            return title
        return f"{title[: room * 2 // 3].rstrip()}…{title[-(room // 3) :].lstrip()}"

    def yours(self, system: str) -> str:
        """Return a system's title as part of a sentence: `your electronic medical record`.

        Only a title of several words in sentence case becomes part of it: any other may be a name.
        """
        title = self.title(system)
        sentence_case = " " in title and title[:1].isupper() and title[1:] == title[1:].lower()
        if not sentence_case:
            return title
        return say("manager.sentence.yours", title=title[0].lower() + title[1:])

    def person(self, identifier: str) -> str:
        """Return the role of a contact, or the plan's own word for somebody."""
        contact = self.plan.contacts.get(identifier)
        if contact:
            return contact.role
        return say("common.person.msp") if identifier == MSP else identifier

    @cached_property
    def custody(self) -> tuple[CustodyStanding, ...]:
        """How each holder of a key stands; nothing is proven where the record was altered."""
        found = custody_standings(self.plan, self.record, self.now)
        if not self.is_altered:
            return found
        of_all = repositories_of_keys(self.plan, self.record)
        return tuple(replace(each, proven=None, unproven=of_all) for each in found)

    @property
    def several_systems(self) -> bool:
        """Whether the page has to share its room."""
        return len(self.systems) > 1

    @property
    def several_repositories(self) -> bool:
        """Whether it must be said from which repository."""
        return len(self.plan.repositories) > 1

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """The findings, with recovery `unproven` where the record does not carry a `met`, and all
        of them where it was altered.
        """
        found = tuple(self._doubted(finding) for finding in self.subject.findings)
        return without_vouching(self.plan, found) if self.is_altered else found

    @property
    def is_altered(self) -> bool:
        """Whether the record is not as it was written, or nobody can vouch for it."""
        return bool(self.subject.evidence.faults)

    @property
    def notice(self) -> str:
        """What a report begins with where the record was altered; empty where it was not."""
        return say("common.altered", practice=self.plan.practice.id) if self.is_altered else ""

    def _doubted(self, finding: Finding) -> Finding:
        if finding.verdict is not Verdict.MET or finding.objective not in _NEEDS_A_TEST:
            return finding
        failed = {test.repository for test in self.failures(finding.system)}
        if finding.repository in failed or (failed and finding.repository is None):
            reason = say("manager.doubt.failed")
        elif not self.is_recently_proven(finding.system, finding.repository):
            reason = say("manager.doubt.stale")
        else:
            return finding
        return replace(finding, verdict=Verdict.UNPROVEN, reason=reason, since=None, due=None)

    def is_recently_proven(self, system: str, repository: str | None = None) -> bool:
        """Return whether a restore test passed that is young enough by the plan; from `repository`,
        where one is named.
        """
        spec = self.plan.protected.get(system)
        return spec is not None and any(
            test.result is Result.PASSED
            and test.repository in self.plan.repositories
            and repository in {None, test.repository}
            and self.now - test.finished_at <= self._proof_lasts(spec, test.repository)
            for test in self.tests(system)
        )

    def _proof_lasts(self, spec: ProtectedSystem, repository: str) -> timedelta:
        """Return how long a test from `repository` proves: the longest the plan gives any test."""
        every = [test.prove_every for test in spec.restore_tests]
        here = [
            test.prove_every
            for test in spec.restore_tests
            if (test.from_ or self.plan.first_repository) == repository
        ]
        return max(here or every, default=timedelta())

    def findings_of(self, system: str) -> tuple[Finding, ...]:
        """Return the findings on one system."""
        return tuple(finding for finding in self.findings if finding.system == system)

    @cached_property
    def loosened(self) -> tuple[NotAccepted, ...]:
        """What promises less than the practice accepted."""
        return not_accepted(self.record) if self.record.promises else ()

    def loosened_of(self, system: str) -> tuple[NotAccepted, ...]:
        """Return those that touch a system: its own, and the practice's."""
        return tuple(each for each in self.loosened if each.system in {"", system})

    def is_loosened(self, system: str, field: str) -> bool:
        """Return whether `field` of a system is among them: `rto`."""
        name = f"systems.{system}.{field}"
        return any(each.change.field == name for each in self.loosened)

    def may_say_kept(self, system: str) -> bool:
        """Return whether anything about a system may be called kept."""
        is_vouched = not self.is_altered and not self.loosened_of(system)
        return is_vouched and self.is_recently_proven(system)

    def verdict(self, system: str) -> Verdict:
        """Return the worst verdict on a system.

        `met` only if its recovery was judged too, no test failed, asked for by the plan or not, and
        what is promised is what the practice accepted.
        """
        findings = self.findings_of(system)
        verdict = worst(tuple(finding.verdict for finding in findings))
        proven = self._is_judged_whole(system) and not self.loosened_of(system)
        return Verdict.UNPROVEN if verdict is Verdict.MET and not proven else verdict

    @property
    def practice_verdict(self) -> Verdict:
        """The worst verdict on any system; what it lost by a change counts, system or none."""
        verdict = worst(tuple(self.verdict(system) for system in self.systems))
        return Verdict.UNPROVEN if self.loosened and verdict is Verdict.MET else verdict

    def would_be_kept(self, system: str) -> bool:
        """Return whether all that is promised now is kept, accepted or not."""
        met = (
            finding.verdict is Verdict.MET
            for finding in self.findings_of(system)
            if finding.objective is not Objective.ACCEPTANCE
        )
        return all(met) and self._is_judged_whole(system)

    def _is_judged_whole(self, system: str) -> bool:
        judged = {finding.objective for finding in self.findings_of(system)}
        return judged >= _NEEDS_A_TEST and not self.failures(system)

    @cached_property
    def systems(self) -> tuple[str, ...]:
        """The systems that are judged, the worst first, then the most important."""
        ids = dict.fromkeys((*self.plan.protected, *(finding.system for finding in self.findings)))
        worst_first = (Verdict.BREACHED, Verdict.UNPROVEN, Verdict.MET)
        return tuple(
            sorted(
                ids,
                key=lambda name: (
                    worst_first.index(self.verdict(name)),
                    IMPORTANCES.index(self.importance(name)),
                ),
            )
        )

    def importance(self, system: str) -> str:
        """Return critical, important or routine."""
        spec = self.plan.protected.get(system)
        return spec.importance if spec else "routine"

    @cached_property
    def all_tests(self) -> tuple[RestoreTest, ...]:
        """The restore tests that had begun by now, oldest first."""
        latest = self.now + CLOCK_TOLERANCE
        begun = (test for test in self.record.tests if test.started_at <= latest)
        return tuple(sorted(begun, key=_when))

    @cached_property
    def drills(self) -> tuple[Drill, ...]:
        """The drills that had begun by now: one that a wrong clock dated ahead hides none."""
        latest = self.now + CLOCK_TOLERANCE
        return tuple(each for each in self.subject.drills if each.started_at <= latest)

    @cached_property
    def sign_offs(self) -> tuple[SignOff, ...]:
        """The sign-offs that count and were given by now, oldest first."""
        latest = self.now + CLOCK_TOLERANCE
        return tuple(each for each in certifications(self.record) if each.at <= latest)

    def tests(self, system: str) -> tuple[RestoreTest, ...]:
        """Return the restore tests of one system, oldest first."""
        return tuple(test for test in self.all_tests if test.system == system)

    def last_results(self, system: str) -> tuple[RestoreTest, ...]:
        """Return the newest test of each repository that passed or failed.

        Tests that only locate the damage another one found do not make that one undone.
        """
        newest = {
            test.repository: test
            for test in self.tests(system)
            if test.result is not Result.UNPROVEN
            and test.follow_up_of is None
            and test.repository in self.plan.repositories
        }
        return tuple(newest.values())

    def failures(self, system: str) -> tuple[RestoreTest, ...]:
        """Return those of `last_results` that failed, newest first."""
        return _newest_first(t for t in self.last_results(system) if t.result is Result.FAILED)

    def headline_test(self, system: str) -> RestoreTest | None:
        """Return the test that speaks for a system: a failed one before the newest that passed, and
        of these one of all files before one of a share.
        """
        failed = self.failures(system)
        passed = _newest_first(t for t in self.last_results(system) if t.result is Result.PASSED)
        whole_first = sorted(passed, key=lambda test: not test.share.is_whole)
        return next(iter((*failed, *whole_first)), None)

    def has_restorable(self, system: str) -> bool:
        """Return whether any backup on record may still come back."""
        spec = self.plan.protected.get(system)
        return spec is not None and bool(
            open_case(self.plan, system, self.record, self.now).restorable
        )

    def none_came_back(self, system: str) -> bool:
        """Return whether a test failed, and no other backup is left to hope for."""
        return bool(self.failures(system)) and not self.has_restorable(system)

    def rescue(self, failed: RestoreTest) -> RestoreTest | None:
        """Return the newest test that passed while looking for the damage `failed` found."""
        found = _newest_first(
            test
            for test in self.tests(failed.system)
            if test.follow_up_of == failed.id and test.result is Result.PASSED
        )
        return next(iter(found), None)


def _when(test: RestoreTest) -> tuple[datetime, str, str]:
    return test.started_at, test.id, test.system


def _newest_first(tests: Iterable[RestoreTest]) -> tuple[RestoreTest, ...]:
    return tuple(sorted(tests, key=_when, reverse=True))
