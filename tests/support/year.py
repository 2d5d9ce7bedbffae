"""A year of one practice, lived by the real code: planner, store, judge, promises, sign-offs,
corrective actions and evidence. Nothing is backed up or restored: what came of each operation is
made up here.

The same events on the same days each time; ids of chains and runs are drawn anew.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from dr_orchestrator.core.custody import KeyProof
from dr_orchestrator.core.immutability import LocksExtended
from dr_orchestrator.core.occurrence import Occurrence
from dr_orchestrator.core.point import RecoveryPoint
from dr_orchestrator.core.record import (
    ActionClosed,
    Anchored,
    DrillRecorded,
    Entry,
    KeyTried,
    KitMade,
    OccurrenceDue,
    OccurrenceSettled,
    PointForgotten,
    PointRecorded,
    RepositoryChecked,
    RepositorySeen,
    Restored,
    RestoreTestRecorded,
    RunbookMoved,
    RunbookOpened,
    RunClosed,
    RunOpened,
    SystemPaused,
)
from dr_orchestrator.core.run import Operation, Outcome
from dr_orchestrator.core.runbook import DrillKind, Ending, Event, Mode, StepResult
from dr_orchestrator.core.sign_off import HowGiven
from dr_orchestrator.core.verification import Depth, Result, Verification
from dr_orchestrator.evidence.ssh_signature import NAMESPACE
from dr_orchestrator.maintenance.plan_author import Author
from dr_orchestrator.maintenance.standing import record_promise, record_standing
from dr_orchestrator.plan.load import LoadedPlan, read_plan
from dr_orchestrator.report.sign_off import Signer, Word, find_page, sign_off, statement
from dr_orchestrator.schedule.planner import ScheduledOperation, due, scheduled_operations
from dr_orchestrator.state_folder import StateFolder
from dr_orchestrator.store.base import ChainHead, Store
from dr_orchestrator.store.sqlite import open_store
from tests.support.clock import FakeClock
from tests.support.evidence import (
    DATABASE,
    DOCUMENTS,
    full_id,
    make_attempts,
    make_drill,
    make_move,
    make_point,
    make_run,
    make_runbook_run,
    make_test,
)
from tests.support.practices import CHECKS
from tests.support.tools import require_tool

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FIRST, LAST = date(2025, 11, 17), date(2026, 11, 20)
LOOKED = time(11, 45)
"""When the scheduler looks, in UTC: after the night's last restore test, whatever the season."""
GIB = 1024**3
_HERS = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
"""The manager's own key."""

PLAN = """\
version: 1
practice:
  id: riverside
  name: Riverside Family Practice
  timezone: America/Chicago
contacts:
  manager:
    role: practice manager
    email: manager@riverside.example
    phone: "+1 555 0100"
    signing_key: HER_KEY
  msp: {role: IT provider, email: help@msp.example, phone: "+1 555 0142"}
  emr_vendor: {role: EMR vendor support, phone: "+1 555 0199", verified: 2026-10-01}
custody:
  - {holder: manager, form: sealed sheet, prove_every: 180d}
  - {holder: msp, form: vault}
repositories:
  onsite:
    location: /srv/restic/riverside
    password: {file: /etc/dro/keys/riverside, obtain: "MSP vault, entry riverside"}
    maintenance: {check: "0 8 1,15 * *", forget: "0 9 1 * *", prune: never}
  offsite:
    location: s3:https://s3.us-east-2.amazonaws.com/riverside-dr
    password: {file: /etc/dro/keys/riverside-offsite, obtain: "sealed sheet, practice safe"}
    credentials: {aws_profile: riverside}
    object_lock: {mode: compliance, days: 30}
    maintenance:
      check: "0 9 1,15 * *"
      forget: "30 9 1 * *"
      prune: never
      immutability: "0 10 2 * *"
      credentials: {aws_profile: riverside-maintenance}
systems:
  emr:
    title: Electronic medical record
    importance: critical
    rto: 4h
    rpo: EMR_RPO
    recovery:
      - {step: replacement server, by: msp, allow: 90m, rehearsed: 2026-09-12}
      - {step: EMR program and licence, by: emr_vendor, allow: 30m}
    assets:
      database: {kind: sqlite, path: /srv/emr/emr.db}
      documents: {kind: files, path: /srv/emr/documents}
    backup: {schedule: "02:00", to: [onsite, offsite]}
    restore_tests:
      - {schedule: "30 3 * * 1,3,5", from: onsite, grace: 4h, prove_every: 7d}
      - {schedule: "Sun 04:00", from: offsite, grace: 4h, prove_every: 14d}
  imaging:
    title: Imaging
    rto: IMAGING_RTO
    rpo: 8d
    assets:
      pictures: {kind: files, path: /srv/imaging}
    backup: {schedule: "Sun 01:00", to: [onsite]}
    restore_tests:
      - {schedule: "Sun 05:00", from: onsite, grace: 4h, prove_every: 15d}
  phones: {title: Telephones, protected_by: telephone vendor, attest: {every: 90d}}
  portal:
    title: Patient portal
    not_protected: hosted elsewhere, and holds no records
    accepted_by: manager
report:
  schedule: "0 7 1 * *"
  folder: /srv/reports
  mail: [manager]
  readers: [manager, auditor, insurer, engineer]
evidence: {schedule: "0 10 1,15 * *"}
policies: [hipaa, hipaa-nprm-2025, insurer-common]
"""


def plan(*, emr_rpo: str = "26h", imaging_rto: str = "24h") -> LoadedPlan:
    """Return the plan as it was, or as it became."""
    key = _HERS.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    text = PLAN.replace("EMR_RPO", emr_rpo).replace("IMAGING_RTO", imaging_rto)
    text = text.replace("HER_KEY", key)
    return read_plan(text.encode(), "riverside.yaml")


HOLIDAYS = (date(2025, 12, 24), date(2026, 1, 2))
"""The server was off: nobody looked."""
IMAGING_SLOWER, ACCEPTED = date(2026, 3, 10), date(2026, 4, 14)
PAUSED, PAUSE_DAYS = date(2026, 5, 4), 6
FAILED, MENDED = date(2026, 6, 17), date(2026, 7, 2)
"""Its corrective action was due a week later, and done after more than two."""
NO_RESULT = date(2026, 2, 11)
DRILLED, STARTED_COLD = date(2026, 9, 12), date(2026, 8, 8)
KEY_TRIED = frozenset({date(2026, 3, 3), date(2026, 8, 25)})
INCIDENT = date(2026, 7, 22)
RPO_LOOSER = date(2026, 10, 20)
SIGNED_WITH_KEY = date(2025, 11, 21)
IMPORTED = date(2026, 8, 1)
"""From then on there is more of everything: an archive was scanned."""


@dataclass
class Year:
    """The practice while it lives through its year."""

    state: Path
    clock: FakeClock = field(default_factory=lambda: FakeClock(_at(FIRST)))
    loaded: LoadedPlan = field(default_factory=plan)

    def __post_init__(self) -> None:
        self.store: Store = open_store(self.state, self.clock)
        self._folder = StateFolder(self.state)
        self._points: dict[str, list[RecoveryPoint]] = {}
        self._operations: tuple[ScheduledOperation, ...] = ()
        self._last_due: dict[str, datetime] = {}
        self._pauses: tuple[SystemPaused, ...] = ()

    @property
    def now(self) -> datetime:
        """The instant it has come to."""
        return self.clock.now()

    def live(self) -> None:
        """Live through all of it."""
        self._follow(self.loaded)
        self.store.record(
            *(
                RepositorySeen(
                    practice="riverside", repository=each, restic_id=full_id(each), at=self.now
                )
                for each in ("onsite", "offsite")
            )
        )
        for number in range((LAST - FIRST).days + 1):
            day = FIRST + number * DAY
            self.clock.set(_at(day))
            if HOLIDAYS[0] <= day < HOLIDAYS[1]:
                continue
            if day == HOLIDAYS[1]:
                self._stand()
            self._look(day)
            self._what_people_do(day)
            if day in _STANDING_DAYS:
                self._stand()

    def _stand(self) -> None:
        record_standing(self.loaded.plan, self.store, self.clock)

    def _follow(self, loaded: LoadedPlan, by: str = "Tom Miller") -> None:
        self.loaded = loaded
        self._operations = scheduled_operations(loaded.plan)
        seen = dict.fromkeys((each.id for each in self._operations), self.now)
        self._last_due = seen | self._last_due
        author = Author(name=by, known_by="git commit 1a2b3c4")
        record_promise(loaded, self.store, self.clock, lambda _loaded: author)

    # --- what a machine does ----------------------------------------------------------------------

    def _look(self, day: date) -> None:
        """Do what came due. Of restore tests the ledger knows too, as with a scheduler; for the
        other operations it would take the most time, and no report reads it.
        """
        pauses = {self.loaded.plan.practice.id: self._pauses}
        found = tuple(due(self._operations, self._last_due, self.now, pauses))
        self._last_due |= {each.schedule_id: each.due_at for each in found}
        tests = [each for each in found if each.operation is Operation.RESTORE_TEST]
        done = [each for each in found if not each.skipped]
        done.sort(key=lambda each: (each.operation is not Operation.BACKUP, each.due_at))
        self.store.record(
            *(OccurrenceDue(occurrence=each) for each in tests),
            *(entry for each in done for entry in self._attempt(each, day)),
        )

    def _attempt(self, came_due: Occurrence, day: date) -> Iterator[Entry]:
        is_test = came_due.operation is Operation.RESTORE_TEST
        run = make_run(
            came_due.due_at,
            id=f"{came_due.due_at:%Y%m%d-%H%M%S}-{full_id(came_due.id)[:6]}",
            operation=came_due.operation,
            system=came_due.system,
            repository=came_due.repository,
            host="clinic",
            schedule_id=came_due.schedule_id if is_test else None,
            due_at=came_due.due_at if is_test else None,
        )
        results = tuple(self._results(came_due, run.id, day))
        ended = came_due.due_at + 50 * timedelta(minutes=1)
        outcome, reason = Outcome.DONE, ""
        for entry in results:
            if isinstance(entry, RestoreTestRecorded) and not entry.test.follow_up_of:
                outcome, reason = _OUTCOMES[entry.test.result], entry.test.reason
        closed = RunClosed(run=run.id, finished_at=ended, outcome=outcome, reason=reason)
        yield from (RunOpened(run=run), *results, closed)
        if is_test:
            yield OccurrenceSettled(
                occurrence=came_due.id, at=ended, outcome=outcome, reason=reason
            )

    def _results(self, came_due: Occurrence, run: str, day: date) -> Iterator[Entry]:
        at, repository = came_due.due_at, came_due.repository or ""
        match came_due.operation:
            case Operation.BACKUP:
                yield PointRecorded(point=self._made(came_due.system, at, run, day))
            case Operation.RESTORE_TEST:
                yield from self._tested(came_due, run, day)
            case Operation.CHECK:
                yield RepositoryChecked(
                    practice="riverside",
                    repository=repository,
                    run=run,
                    at=at,
                    part=1 + (at.day > 1),
                    parts=2,
                    sound=True,
                )
            case Operation.FORGET:
                yield from self._forgotten(repository, at)
            case Operation.EXTEND:
                yield self._locks(run, at)
            case Operation.IMMUTABILITY:
                location = self.loaded.plan.repositories["offsite"].location
                yield replace(make_attempts(at, location=location), run=run)
            case _:
                pass

    def _made(self, system: str, at: datetime, run: str, day: date) -> RecoveryPoint:
        number = (day - FIRST).days
        larger = 6 * GIB if day >= IMPORTED else 0
        if system == "emr":
            database = (40 * GIB) + number * 24_000_000 + (number * 37 % 11) * 9_000_000
            held = {
                "database": replace(DATABASE, bytes=database, added_bytes=database // 90),
                "documents": replace(
                    DOCUMENTS,
                    bytes=12 * GIB + number * 40_000_000 + larger,
                    files=52_000 + 9 * number,
                    added_bytes=40_000_000,
                ),
            }
        else:
            size = 300 * GIB + number * 250_000_000
            held = {"pictures": replace(DOCUMENTS, bytes=size, added_bytes=1_750_000_000)}
        point = make_point(
            at,
            id=f"{at:%Y%m%d-%H%M%S}-point0",
            system=system,
            run=run,
            assets=held,
            repositories=("onsite", "offsite") if system == "emr" else ("onsite",),
        )
        self._points.setdefault(system, []).append(point)
        return point

    def _tested(self, came_due: Occurrence, run: str, day: date) -> Iterator[Entry]:
        at, system = came_due.due_at, came_due.system
        number = (day - FIRST).days
        minutes = {"emr": 34 + number / 25 + number * 13 % 7, "imaging": 190 + number / 4}[system]
        far = 1.7 if came_due.repository == "offsite" else 1.0
        seconds = round(minutes * far * 60.0)
        held = [each for each in self._points[system] if each.copy_in(came_due.repository or "")]
        has_database = system == "emr"
        plain = make_test(
            at,
            id=run,
            system=system,
            repository=came_due.repository,
            point=held[-1].id,
            point_as_of=held[-1].as_of,
            rta_data_seconds=seconds - 60.0 if has_database else float(seconds),
            rta_service_seconds=float(seconds),
            newest=held[-1].as_of - 8 * HOUR if has_database else None,
            data_age_seconds=8 * 3600.0 if has_database else None,
            depth=Depth.L4 if has_database else Depth.L2,
            verifications=CHECKS if has_database else CHECKS[4:5],
            conditions=(),
        )
        if system == "emr" and came_due.repository == "onsite" and day == FAILED:
            broken = Verification(
                title="patients",
                asset="database",
                result=Result.FAILED,
                expected=8412,
                actual=8409,
                reason="3 rows fewer than at capture",
            )
            failed = replace(
                plain,
                result=Result.FAILED,
                reason="1 of 14 checks failed: patients",
                verifications=(broken, *CHECKS[:2], *CHECKS[3:]),
                depth=Depth.L3,
                next="keep the point before, and look at the disk of the server",
            )
            yield RestoreTestRecorded(test=failed)
            yield RestoreTestRecorded(
                test=replace(
                    plain,
                    id=f"{run}-a",
                    started_at=plain.finished_at,
                    finished_at=plain.finished_at + HOUR,
                    point=held[-2].id,
                    point_as_of=held[-2].as_of,
                    follow_up_of=run,
                )
            )
        elif system == "emr" and came_due.repository == "onsite" and day == NO_RESULT:
            yield RestoreTestRecorded(
                test=replace(
                    make_test(at, Result.UNPROVEN),
                    id=run,
                    point=held[-1].id,
                    point_as_of=held[-1].as_of,
                    reason="the sandbox had no room for the database",
                    conditions=(),
                )
            )
        else:
            yield RestoreTestRecorded(test=plain)

    def _forgotten(self, repository: str, at: datetime) -> Iterator[Entry]:
        """Let go of what is older than 30 days, but for the first of each month."""
        for system, points in self._points.items():
            firsts: dict[tuple[int, int], str] = {}
            for each in points:
                firsts.setdefault((each.as_of.year, each.as_of.month), each.id)
            for place, each in enumerate(points):
                old = at - each.as_of > 30 * DAY and each.id not in firsts.values()
                if old and each.copy_in(repository):
                    left = tuple(copy for copy in each.copies if copy.repository != repository)
                    points[place] = replace(each, copies=left)
                    yield PointForgotten(
                        practice="riverside",
                        point=each.id,
                        repository=repository,
                        at=at,
                        why="no rule keeps it",
                    )
            self._points[system] = [each for each in points if each.copies]

    def _locks(self, run: str, at: datetime) -> Entry:
        return LocksExtended(
            practice="riverside",
            repository="offsite",
            location=self.loaded.plan.repositories["offsite"].location,
            run=run,
            at=at,
            objects=10_240,
            extended=512,
            until=at + 30 * DAY,
        )

    def _anchor(self) -> None:
        head = self.checkpoint()
        self.store.record(
            Anchored(
                practice="riverside",
                at=self.now,
                chain=head.chain,
                number=head.number,
                head=head.head,
                place="the mailbox of the practice manager",
            )
        )

    def checkpoint(self) -> ChainHead:
        """Sign the evidence as far as it has come."""
        head = self.store.evidence.checkpoint("riverside", self._folder.evidence_signer())
        assert head is not None
        return head

    # --- what people do --------------------------------------------------------------------------

    def _what_people_do(self, day: date) -> None:
        match day:
            case d if d == SIGNED_WITH_KEY:
                self._sign(HowGiven.OWN_KEY)
            case d if d == IMAGING_SLOWER:
                self._follow(plan(imaging_rto="48h"))
            case d if d == ACCEPTED:
                self._sign(HowGiven.PAPER)
            case d if d == PAUSED:
                self._pause()
            case d if d == MENDED:
                self._close_action()
            case d if d == INCIDENT:
                self.store.record(*self._incident())
            case d if d == STARTED_COLD:
                self._drill(DrillKind.COLD_START)
            case d if d in KEY_TRIED:
                self.store.record(*self._key_tried())
            case d if d == DRILLED:
                self._drill(DrillKind.PRACTICE)
            case d if d == RPO_LOOSER:
                self._follow(plan(imaging_rto="48h", emr_rpo="30h"), by="Jo Park")
            case _:
                pass
        if day.day == 1:
            self.store.record(self._kit())
            self._anchor()

    def _sign(self, how: HowGiven) -> None:
        page = find_page(self.store, "riverside", self.checkpoint().head[:12])
        signer = Signer(contact="manager", name="Ann Lee", role="practice manager")
        said = statement(self.loaded.plan, signer, page)
        is_hers = how is HowGiven.OWN_KEY
        word = Word(
            how=how,
            at=self.now,
            document=self._signed_by_her(said) if is_hers else b"the scan of a sheet",
            statement=said if is_hers else b"",
        )
        recorded_by = "Ann Lee on clinic" if is_hers else "Tom Miller on clinic"
        sign_off(self.store, self.loaded.plan, signer, page, word, recorded_by=recorded_by)

    def _signed_by_her(self, said: bytes) -> bytes:
        key, file = self.state / "hers", self.state / "statement"
        key.touch(mode=0o600)
        key.write_bytes(_HERS.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        file.write_bytes(said)
        keygen = require_tool("ssh-keygen")
        command = [str(keygen), "-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(key), str(file)]
        subprocess.run(command, check=True, capture_output=True)
        return file.with_name("statement.sig").read_bytes()

    def _pause(self) -> None:
        paused = SystemPaused(
            practice="riverside",
            system="emr",
            at=self.now,
            until=self.now + PAUSE_DAYS * DAY,
            by="Tom Miller",
            why="the server moves to the new rack",
        )
        self._pauses = (paused,)
        self.store.record(paused)

    def _close_action(self) -> None:
        (still_open,) = (
            each for each in self.store.practice_record("riverside").actions if each.is_open
        )
        self.store.record(
            ActionClosed(
                practice="riverside",
                id=still_open.id,
                at=self.now,
                by="Tom Miller",
                done="the disk was replaced, and every point since was tested again",
            )
        )

    def _incident(self) -> Iterator[Entry]:
        run = make_runbook_run(
            self.now - 3 * HOUR,
            mode=Mode.INCIDENT,
            folder="/srv/restored",
            runbook="file-share-lost",
            opened_by="Tom Miller",
        )
        yield RunbookOpened(run=run)
        yield RunbookMoved(move=make_move(run, 1, step="look"))
        yield RunbookMoved(move=make_move(run, 2, Event.ENDED, step="look", result=StepResult.DONE))
        yield RunbookMoved(
            move=make_move(run, 3, Event.CLOSED, step="", visit=0, ending=Ending.COMPLETED)
        )
        point = self._points["emr"][-1]
        live = make_run(
            self.now - 2 * HOUR,
            id=f"{self.now:%Y%m%d-%H%M%S}-restor",
            operation=Operation.RESTORE,
            repository="onsite",
        )
        yield RunOpened(run=live)
        yield Restored(
            practice="riverside",
            run=live.id,
            at=self.now - HOUR,
            system="emr",
            point=point.id,
            repository="onsite",
            assets=("documents",),
            place="/srv/restored on clinic",
            by="Tom Miller",
            why="a folder of scanned letters was deleted by mistake",
        )
        yield RunClosed(run=live.id, finished_at=self.now - HOUR, outcome=Outcome.DONE)

    def _drill(self, kind: DrillKind) -> None:
        drill = make_drill(self.now - 2 * HOUR, kind=kind)
        self.store.record(
            RunOpened(
                run=make_run(drill.started_at, id=drill.id, operation=Operation.DRILL, system="")
            ),
            DrillRecorded(drill=drill),
            RunClosed(run=drill.id, finished_at=drill.finished_at, outcome=Outcome.DONE),
        )

    def _key_tried(self) -> Iterator[Entry]:
        """Yield that the manager opened both repositories with the key on her sheet."""
        for name in ("onsite", "offsite"):
            proof = KeyProof(
                practice="riverside",
                holder="manager",
                repository=name,
                at=self.now,
                by="Tom Miller",
                key=full_id("key", name)[:8],
                opened=True,
            )
            yield KeyTried(proof=proof)

    def _kit(self) -> KitMade:
        return KitMade(
            practice="riverside",
            run=f"kit-{self.now:%Y%m%d}",
            at=self.now,
            expires=self.now + 31 * DAY,
            inputs=full_id("inputs"),
            places=("a folder on the office PC", "the mailbox of the practice manager"),
        )


_OUTCOMES: Mapping[Result, Outcome] = {
    Result.PASSED: Outcome.DONE,
    Result.FAILED: Outcome.FAILED,
    Result.UNPROVEN: Outcome.UNPROVEN,
}
_STANDING_DAYS = frozenset(
    {
        *(SIGNED_WITH_KEY, HOLIDAYS[1], IMAGING_SLOWER, ACCEPTED, FAILED, FAILED + 2 * DAY),
        *(FAILED + 8 * DAY, MENDED, RPO_LOOSER, LAST),
    }
)
"""When the practice is judged; each day would take half a minute."""


def _at(day: date) -> datetime:
    return datetime.combine(day, LOOKED, tzinfo=UTC)


def lived(state: Path) -> Year:
    """Return a practice at the end of its year, its evidence signed."""
    year = Year(state)
    year.live()
    year.checkpoint()
    return year
