"""What following a runbook works with, out of one `App`: which point a system comes back from and
how, what is run, and who is told.

A rehearsal and a drill are given no way to restore but into sandboxes.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator.clock import Stopwatch
from dr_orchestrator.core.target import NewDirectoryTarget, claim_new_directory
from dr_orchestrator.core.verification import Result
from dr_orchestrator.core.wording import result_words, size_words
from dr_orchestrator.errors import (
    DroError,
    NotDelivered,
    PointNotFound,
    SecretUnavailable,
)
from dr_orchestrator.packs.choice import packs_of
from dr_orchestrator.process import ProcessIdentity
from dr_orchestrator.restore.choose import (
    LATEST,
    choose_point,
    doubts_about,
    holders,
    made_before,
)
from dr_orchestrator.restore.outcome import result_of
from dr_orchestrator.restore.restore import RestoreToDirectory
from dr_orchestrator.restore.restore_test import RestoreTestRequest
from dr_orchestrator.runbook.desk import Doing, PointLine
from dr_orchestrator.runbook.effects import run_command
from dr_orchestrator.runbook.order import waits_for
from dr_orchestrator.runbook.tools import (
    CommandEnded,
    InSandboxes,
    RestoredSystem,
    RunbookTools,
    ToNewDirectories,
)
from dr_orchestrator.secrets import SecretReader

if TYPE_CHECKING:
    from datetime import datetime

    from dr_orchestrator.app import App
    from dr_orchestrator.core.point import RecoveryPoint
    from dr_orchestrator.core.record import PracticeRecord
    from dr_orchestrator.plan.load import LoadedPlan
    from dr_orchestrator.plan.model import Contact, Plan
    from dr_orchestrator.repositories.base import Progress
    from dr_orchestrator.restore.restore import RestoreResult
    from dr_orchestrator.runbook.desk import Report
    from dr_orchestrator.runbook.tools import SandboxRestore


@dataclass(frozen=True, kw_only=True)
class _Chosen:
    """The point that a system comes back from."""

    point: RecoveryPoint
    repositories: tuple[str, ...]
    """That hold it, in the order in which they are tried; at least one."""
    doubts: str


class ResponderTools:
    """Makes the tools of whoever follows a runbook on one machine."""

    def __init__(self, app: App) -> None:
        self._app = app

    def of(
        self,
        loaded: LoadedPlan,
        *,
        by: str,
        live_folder: Path | None = None,
        sender: str = "",
        why: str = "",
    ) -> RunbookTools:
        """Return what following a runbook works with: it restores to sandboxes, or where
        `live_folder` is given, to new folders in that. `sender` tells messages of this run from
        those of others; `why` is what the record says of a live restore.
        """
        plan = loaded.plan
        return RunbookTools(
            clock=self._app.clock,
            by=by,
            host=this_host(),
            record=self._app.store.record,
            export=lambda _run, _moves: None,
            run_command=self._run_command,
            tell=partial(self._tell, sender),
            restoring=InSandboxes(self._shown_to_sandbox(loaded))
            if live_folder is None
            else ToNewDirectories(partial(self._restore_live, _Asked(plan, live_folder, by, why))),
            points=lambda systems, before: tuple(self._point_lines(plan, systems, before)),
            waits_for=partial(waits_for, plan),
            at_once=self._app.settings.work_jobs,
        )

    def _run_command(self, argv: tuple[str, ...], limit: timedelta) -> CommandEnded:
        settings = self._app.settings
        return run_command(
            argv,
            limit,
            launcher=self._app.launcher,
            clock=self._app.clock,
            scratch=self._app.scratch,
            env=settings.storage_environment(),
            own_env=settings.whole_environment(),
        )

    def _tell(self, sender: str, contact: Contact, subject: str, text: str) -> None:
        from dr_orchestrator.notify.deliver import TIMEOUT_SECONDS
        from dr_orchestrator.notify.email import send_email
        from dr_orchestrator.notify.message import Message

        mail = self._app.settings.mail
        if not contact.email:
            raise NotDelivered("the plan has no e-mail address of this contact")
        if mail is None:
            raise NotDelivered("this machine has no `mail` in its settings")
        # not the app's reader, which may refuse commands: the password is this machine's own
        secrets = SecretReader(self._app.launcher, self._app.settings.environment_value)
        digest = hashlib.sha256(f"{contact.email}\0{subject}\0{text}".encode()).hexdigest()
        try:
            send_email(
                Message(id=f"{sender}-{digest[:16]}", subject=subject, text=text, facts={}),
                contact.email,
                mail,
                password=secrets.read(mail.password) if mail.password else None,
                at=self._app.clock.now(),
                timeout_seconds=TIMEOUT_SECONDS,
            )
        except SecretUnavailable as error:
            raise NotDelivered(error.message, hint=error.hint) from None

    # --- which point comes back, and how --------------------------------------------------------

    def points(self, plan: Plan, before: datetime | None = None) -> tuple[RecoveryPoint, ...]:
        """Return the point that each system would come back from, made before an instant where one
        is given; none of one without any.
        """
        return tuple(each.point for each in self._chosen(plan, plan.protected, before).values())

    def _chosen(
        self, plan: Plan, systems: Iterable[str], before: datetime | None
    ) -> dict[str, _Chosen]:
        """Return what those of the systems come back from that have any such point."""
        record = self._app.store.practice_record(plan.practice.id)
        chosen = {}
        for system in systems:
            with contextlib.suppress(PointNotFound):
                chosen[system] = self._choose(plan, system, before, record)
        return chosen

    def _choose(
        self,
        plan: Plan,
        system: str,
        before: datetime | None,
        record: PracticeRecord | None = None,
    ) -> _Chosen:
        practice, zone = plan.practice.id, plan.practice.timezone
        points = self._app.store.points(practice, system)
        vouched = (record or self._app.store.practice_record(practice)).vouches_for
        chosen = choose_point(
            points,
            system=system,
            repository=None,
            wanted=LATEST,
            now=self._app.clock.now(),
            vouched=vouched,
            before=before.astimezone(zone) if before else None,
        )
        return _Chosen(
            point=chosen,
            repositories=holders(plan.repositories, chosen),
            doubts=doubts_about(chosen, made_before(points, before), vouched),
        )

    def _point_lines(
        self, plan: Plan, systems: tuple[str, ...], before: datetime | None
    ) -> Iterator[PointLine]:
        ours = [each for each in systems if each in plan.protected]
        for system, chosen in self._chosen(plan, ours, before).items():
            yield self._point_line(plan, system, chosen)

    def _point_line(self, plan: Plan, system: str, chosen: _Chosen) -> PointLine:
        repository = chosen.repositories[0]
        tests = self._app.store.tests(plan.practice.id, system=system, repository=repository)
        passed = [each for each in tests if each.result is Result.PASSED]
        timed = [each.rta_service_seconds for each in passed if each.rta_service_seconds]
        return PointLine(
            system=system,
            title=plan.systems[system].title or system,
            point=chosen.point.id,
            as_of=chosen.point.as_of,
            repository=repository,
            proven=passed[-1].finished_at if passed else None,
            estimate=timedelta(seconds=timed[-1]) if timed else None,
        )

    def newest_to_sandbox(self, loaded: LoadedPlan, sources: Mapping[str, str]) -> SandboxRestore:
        """Return what restores the newest point of a system, out of the repository that is named
        for it, to a sandbox and verifies it.
        """
        return partial(self._to_sandbox, loaded, lambda system, _before: (sources[system], LATEST))

    def _shown_to_sandbox(self, loaded: LoadedPlan) -> SandboxRestore:
        """Return what restores the point that a responder is shown to a sandbox, and verifies it;
        out of the repository that an incident would try first.
        """

        def where(system: str, before: datetime | None) -> tuple[str, str]:
            chosen = self._choose(loaded.plan, system, before)
            return chosen.repositories[0], chosen.point.id

        return partial(self._to_sandbox, loaded, where)

    def _to_sandbox(
        self,
        loaded: LoadedPlan,
        where: Callable[[str, datetime | None], tuple[str, str]],
        system: str,
        report: Report,
        before: datetime | None,
    ) -> RestoredSystem:
        watch = Stopwatch(self._app.clock)
        try:
            repository, point = where(system, before)
            return self._proven(loaded, system, repository, point, report)
        except DroError as error:
            return _not_restored(system, error, watch, result=result_of(error))

    def _proven(
        self, loaded: LoadedPlan, system: str, repository: str, point: str, report: Report
    ) -> RestoredSystem:
        watch = Stopwatch(self._app.clock)
        request = RestoreTestRequest(
            plan=loaded.plan,
            system=system,
            repository=repository,
            point=point,
            packs={name: each.pack for name, each in packs_of(loaded).items()},
        )
        amounts = _Amounts(system, report)
        amounts.say(f"from {repository}")
        asked, *_ = self._app.prove(request, amounts.update)
        amounts.say(result_words(asked.result))
        return RestoredSystem(
            system=system,
            result=asked.result,
            reason=asked.reason,
            point=asked.point,
            repository=asked.repository,
            seconds=watch.elapsed(),
            restore_test=asked.id,
            rta_service_seconds=asked.rta_service_seconds,
        )

    def _restore_live(
        self, asked: _Asked, system: str, report: Report, before: datetime | None
    ) -> RestoredSystem:
        """Restore from the first repository that gives back all of it: another one may have burnt,
        or hold a damaged copy.
        """
        watch = Stopwatch(self._app.clock)
        try:
            chosen = self._choose(asked.plan, system, before)
        except PointNotFound as error:
            return _not_restored(system, error, watch)
        failed: list[RestoredSystem] = []
        for repository in chosen.repositories:
            amounts = _Amounts(system, report)
            amounts.say(f"from {repository}")
            ended = self._restore_from(repository, asked, chosen, watch, amounts.update)
            amounts.say(result_words(ended.result))
            if ended.result is Result.PASSED:
                return replace(ended, next_steps=(*_of_no_use(failed), *ended.next_steps))
            failed.append(ended)
        most = max(failed, key=lambda each: len(each.next_steps))
        return replace(most, reason="; ".join(dict.fromkeys(each.reason for each in failed)))

    def _restore_from(
        self,
        repository: str,
        asked: _Asked,
        chosen: _Chosen,
        watch: Stopwatch,
        update: Callable[[str, Progress], None],
    ) -> RestoredSystem:
        point = chosen.point
        try:
            target = _new_folder(asked.folder, point.system)
            request = RestoreToDirectory(
                plan=asked.plan,
                point=point,
                repository=repository,
                assets=(),
                target=target,
                by=asked.by,
                why=asked.why,
            )
            try:
                result = self._app.restore(request, update)
            finally:
                with contextlib.suppress(OSError):  # holds something: then it stays
                    target.path.rmdir()
        except DroError as error:
            not_restored = _not_restored(point.system, error, watch)
            return replace(not_restored, point=point.id, repository=repository)
        return _live(result, target.path, chosen.doubts, watch.elapsed())


@dataclass(frozen=True)
class _Asked:
    """For whom and for what something is restored for people to work with."""

    plan: Plan
    folder: Path
    by: str
    why: str


class _Amounts:
    """How much of a system has come back, over all its assets."""

    def __init__(self, system: str, report: Report) -> None:
        self._system = system
        self._report = report
        self._of: dict[str, Progress] = {}

    def update(self, asset: str, progress: Progress) -> None:
        """Take how far an asset is, from any thread."""
        self._of[asset] = progress
        amounts = tuple(self._of.copy().values())
        done = size_words(sum(each.done_bytes for each in amounts))
        totals = [each.total_bytes for each in amounts if each.total_bytes is not None]
        of = f" of {size_words(sum(totals))}" if len(totals) == len(amounts) else ""
        self.say(done + of)

    def say(self, text: str) -> None:
        """Say where the restore stands; restic 0.14 tells of no amounts."""
        self._report(Doing(subject=self._system, text=text))


def _new_folder(folder: Path, system: str) -> NewDirectoryTarget:
    """Claim a folder of this system's name, numbered where one was restored before."""
    names = (f"{system}-{number}" if number > 1 else system for number in count(1))
    free = next(each for each in names if not (folder / each).exists())
    return claim_new_directory(folder / free)


def _live(result: RestoreResult, place: Path, doubts: str, seconds: float) -> RestoredSystem:
    steps = tuple(f"{each.asset}: {step}" for each in result.restored for step in each.next_steps)
    lacking = (f"{asset}: {error.message}" for asset, error in result.failures.items())
    return RestoredSystem(
        system=result.point.system,
        result=Result.FAILED if result.failures else Result.PASSED,
        reason="; ".join(lacking),
        point=result.point.id,
        repository=result.repository,
        seconds=seconds,
        place=str(place) if result.restored else "",
        next_steps=(doubts, *steps) if doubts else steps,
    )


def _not_restored(
    system: str, error: DroError, watch: Stopwatch, *, result: Result = Result.FAILED
) -> RestoredSystem:
    return RestoredSystem(
        system=system,
        result=result,
        reason=f"{error.message} ({error.hint})" if error.hint else error.message,
        point="",
        repository="",
        seconds=watch.elapsed(),
    )


def _of_no_use(failed: Sequence[RestoredSystem]) -> Iterator[str]:
    for each in failed:
        place = f"; {each.place} is not whole: do not use it" if each.place else ""
        yield f"not from {each.repository}: {each.reason}{place}"


def this_host() -> str:
    """Return what this machine calls itself."""
    return ProcessIdentity.ours().host
