"""What runs without anybody: the scheduler's parts, and what is done beside the operations.

Wires what `schedule`, `notify` and `fleet` need to one `App`. It decides nothing.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from dr_orchestrator.core.run import Operation
from dr_orchestrator.errors import DroError
from dr_orchestrator.schedule.carry_out import carry_out
from dr_orchestrator.schedule.child_worker import ChildWorker
from dr_orchestrator.schedule.loop import Chore, Planning
from dr_orchestrator.schedule.plan_shelf import PlanShelf, kept_plan
from dr_orchestrator.schedule.planner import kit_after_change, report_after_test

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from dr_orchestrator.app import App
    from dr_orchestrator.core.occurrence import Occurrence
    from dr_orchestrator.notify.tell import Teller
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.schedule.dispatcher import Dispatcher
    from dr_orchestrator.schedule.retry import Ended
    from dr_orchestrator.schedule.trouble import Troubles
    from dr_orchestrator.store.base import Claim

_SWEEP_EVERY = timedelta(minutes=10)
_TELL_EVERY = timedelta(minutes=1)
_KITS_EVERY = timedelta(minutes=1)
_NOTE_EVERY = timedelta(minutes=1)
_CHANGES_STANDING = frozenset({Operation.BACKUP, Operation.RESTORE_TEST})
_REPORTS_EVERY = timedelta(seconds=15)
"""A page is there within a minute of the test, and making one takes a while."""


class Unattended:
    """The orchestrator of one machine, while nobody sits before it."""

    def __init__(self, app: App) -> None:
        self._app = app

    @cached_property
    def shelf(self) -> PlanShelf:
        """The plans as they run on a schedule."""
        return PlanShelf(self._app.settings.plans, self._app.kept_plans, self._app.clock)

    def carry_out(self, claim: Claim) -> Ended:
        """Make one attempt at an occurrence by the plan that runs; write down what it promises
        before, and how the practice stands after that.
        """
        ended = carry_out(
            claim,
            self._plan_that_runs,
            self._app,
            pauses=self._app.store.pauses([claim.occurrence.practice]),
            now=self._app.clock.now(),
        )
        if claim.occurrence.operation in _CHANGES_STANDING:
            with contextlib.suppress(DroError):  # the scheduler notes it in a minute, or complains
                if loaded := self._plan_that_runs(claim.occurrence.practice):
                    self._app.note_standing(loaded)
        return ended

    def _plan_that_runs(self, practice: str) -> LoadedPlan | None:
        loaded = kept_plan(self._app.kept_plans, practice, self._app.settings.plans)
        if loaded is not None:
            self._app.note_promise(loaded)
        return loaded

    def child_worker(self, log: FilteringBoundLogger) -> ChildWorker:
        """Return a worker that makes each attempt in a process of its own."""
        return ChildWorker(
            self._app.launcher,
            self._app.store.ledger,
            # -P: what lies in the folder we were started in is no part of this program
            program=(sys.executable, "-P", "-m", "dr_orchestrator"),
            env=self._app.settings.whole_environment(),
            clock=self._app.clock,
            log=log,
        )

    def planning(
        self, dispatcher: Dispatcher, troubles: Troubles, log: FilteringBoundLogger
    ) -> Planning:
        """Return what looks at what is due."""
        return Planning(
            shelf=self.shelf,
            store=self._app.store,
            dispatcher=dispatcher,
            clock=self._app.clock,
            troubles=troubles,
            log=log,
        )

    def chores(self, planning: Planning) -> tuple[Chore, ...]:
        """Return what is done beside the operations, again and again."""
        return (
            Chore(name="sweeping up", every=_SWEEP_EVERY, do=self._sweep_or_say),
            Chore(
                name="telling people",
                every=_TELL_EVERY,
                do=lambda: self.teller.tell(self._running_plans(), planning.problems()),
            ),
            Chore(
                name="looking for kits that are stale",
                every=_KITS_EVERY,
                do=lambda: planning.have_done(self._changed_kits()),
            ),
            Chore(
                name="looking for restore tests to report",
                every=_REPORTS_EVERY,
                do=lambda: planning.have_done(self._reports_of_tests()),
            ),
            Chore(name="noting how practices stand", every=_NOTE_EVERY, do=self._note),
            *self._publishing(),
        )

    def _note(self) -> None:
        trouble = None
        for loaded in self._ours().values():
            try:
                self._app.note_promise(loaded)
                self._app.note_standing(loaded)
            except Exception as error:  # noqa: BLE001 - the other practices are noted all the same
                trouble = trouble or error
        if trouble is not None:
            raise trouble

    def _changed_kits(self) -> list[Occurrence]:
        from dr_orchestrator.runbook.kit.make import kit_due

        store, now = self._app.store, self._app.clock.now()
        last_due = store.ledger.last_due()
        due = (
            kit_after_change(practice, inputs, last_due, now)
            for practice, loaded in self._ours().items()
            if (inputs := kit_due(loaded, store))
        )
        return [each for each in due if each is not None]

    def _reports_of_tests(self) -> list[Occurrence]:
        """Return the reports that restore tests have made due: where one ended after the newest
        report was begun.
        """
        store, now = self._app.store, self._app.clock.now()
        reported = store.newest_finished(Operation.REPORT)
        last_due = store.ledger.last_due()
        due, plans = [], self._ours()
        for practice, test in store.newest_finished(Operation.RESTORE_TEST).items():
            wanted = practice in plans and plans[practice].plan.report
            before, tested = reported.get(practice), test.finished_at
            if not wanted or not wanted.after_tests or tested is None:
                continue
            if before is None or before.started_at < tested:
                due.append(report_after_test(practice, tested, last_due, now))
        return [each for each in due if each is not None]

    def _running_plans(self) -> list[Plan]:
        return [loaded.plan for loaded in self._ours().values()]

    def _ours(self) -> dict[str, LoadedPlan]:
        """Return the plans that run, without those of practices that another machine has now: what
        is told of these, published and noted is told there.
        """
        away = self._app.store.handed_over()
        return {
            practice: loaded
            for practice, loaded in self.shelf.plans.items()
            if practice not in away
        }

    @cached_property
    def teller(self) -> Teller:
        """Tells people what is wrong; one for all the time the process lives."""
        from dr_orchestrator.notify.deliver import Post
        from dr_orchestrator.notify.tell import Teller, TellTools

        return Teller(
            TellTools(
                store=self._app.store,
                clock=self._app.clock,
                post=Post(mail=self._app.settings.mail, read_secret=self._app.secrets.read),
                notify=self._app.settings.notify,
                site=self._app.settings.site,
            )
        )

    def _publishing(self) -> Iterator[Chore]:
        from dr_orchestrator.fleet.metrics import METRICS_EVERY

        if self._app.settings.publish is not None:
            yield Chore(
                name="publishing the status",
                every=self._app.settings.publish.every,
                do=lambda: self._app.publish(self._running_plans()),
            )
        if self._app.settings.metrics is not None:
            yield Chore(
                name="writing the metrics",
                every=METRICS_EVERY,
                do=lambda: self._app.write_metrics(self._running_plans()),
            )

    def _sweep_or_say(self) -> None:
        left = self._app.sweep().left
        if left is not None:
            raise left
