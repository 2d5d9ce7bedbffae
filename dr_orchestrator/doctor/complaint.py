"""What the doctor may complain of: which kinds there are, how bad each is, and why it matters.

docs/reference/doctor.md lists them all; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dr_orchestrator.errors import DroError
    from dr_orchestrator.plan.load import LoadedPlan


class Severity(StrEnum):
    """How bad it is, the worst first."""

    FAILS = "fails"
    """Something would fail tonight."""
    UNKNOWN = "unknown"
    """It could not be looked at."""
    SOON = "soon"
    """It will fail within days or weeks."""
    NOTE = "note"
    """Nothing fails, and somebody should know."""


class Kind(Enum):
    """What a complaint is of: its name for other programs, how bad it is, and why it matters."""

    STATE_UNUSABLE = "state-unusable", Severity.FAILS, "nothing can be done or recorded"
    RECORD_UNUSABLE = "record-unusable", Severity.FAILS, "no backup or test can be recorded"
    PROGRAM_MISSING = "program-missing", Severity.FAILS, "what needs it fails"
    PROGRAM_TOO_OLD = "program-too-old", Severity.FAILS, "no backup can be made or restored"
    NO_SANDBOX = "no-sandbox", Severity.FAILS, "no restore test can prove anything"
    LAB_UNUSABLE = "lab-unusable", Severity.FAILS, "the restore tests that need it prove nothing"

    PLAN_INVALID = "plan-invalid", Severity.FAILS, "nothing of this plan is backed up or tested"
    PLAN_WARNING = "plan-warning", Severity.NOTE, "the plan is used as it stands"
    PLAN_WRITABLE = (
        *("plan-writable", Severity.NOTE),
        "whoever can write to it decides what is backed up, and where to",
    )

    HANDED_OVER = "handed-over", Severity.NOTE, "nothing is started for it here"

    RUNBOOK_INVALID = "runbook-invalid", Severity.FAILS, "nobody can follow it when it is needed"
    RUNBOOK_MISSING = "runbook-missing", Severity.FAILS, "nobody is told how the system comes back"
    RUNBOOK_NOT_TRUSTED = (
        *("runbook-not-trusted", Severity.NOTE),
        "others decide what it runs: each of its commands is asked about first",
    )
    NO_KIT = (
        *("no-kit", Severity.NOTE),
        "when this machine is gone, nobody finds the steps, the backups or the keys",
    )
    KIT_MISSING = (
        *("kit-missing", Severity.SOON),
        "when this machine is gone, nobody finds the steps, the backups or the keys",
    )
    KIT_STALE = "kit-stale", Severity.SOON, "whoever needs it follows what is not so any more"
    RUNBOOK_BLANKS = "runbook-blanks", Severity.NOTE, "whoever needs it at night has to look for it"

    SECRET_UNAVAILABLE = "secret-unavailable", Severity.FAILS, "what it opens stays closed"
    SECRET_OF_OTHERS = "secret-of-others", Severity.NOTE, "they can read it, and change it"
    SECRET_IN_GIT = "secret-in-git", Severity.NOTE, "keys in a work tree get committed"
    SECRET_OF_ENVIRONMENT = (
        *("secret-of-environment", Severity.NOTE),
        "it is set here, and the service may not have it: the service's own environment counts",
    )
    KEY_NOT_PROVEN = (
        *("key-not-proven", Severity.NOTE),
        "nobody knows whether this key would open the backups if the others were gone",
    )

    NOT_CAPTURABLE = "not-capturable", Severity.FAILS, "tonight's recovery point would lack it"
    NOTHING_EXISTING = (
        *("nothing-existing", Severity.FAILS),
        "there is nothing to test, nor to bring back",
    )
    EXISTING_OLD = (
        *("existing-old", Severity.FAILS),
        "what was done since could not be brought back: the other tool saves no more, or elsewhere",
    )
    NOT_LOADABLE = "not-loadable", Severity.FAILS, "its restore tests prove nothing"
    POINTS_NOT_LOADABLE = (
        *("points-not-loadable", Severity.NOTE),
        "whoever needs one of them back has to get these programs first",
    )
    CAPTURED_WITH = "captured-with", Severity.NOTE, "its recovery points will say so"
    CERTIFICATE_OVER = "certificate-over", Severity.FAILS, "whoever checks it refuses to connect"
    CERTIFICATE_ENDS = "certificate-ends", Severity.SOON, "then whoever checks it is refused"

    REPOSITORY_UNREACHABLE = (
        *("repository-unreachable", Severity.FAILS),
        "nothing can be saved there, nor restored from it",
    )
    REPOSITORY_GONE = (
        *("repository-gone", Severity.FAILS),
        "what was saved there cannot be restored, and nothing new is saved",
    )
    REPOSITORY_CHANGED = (
        *("repository-changed", Severity.FAILS),
        "nothing is saved to it, so that nobody takes it for yours",
    )
    REPOSITORY_PASSWORD = (
        *("repository-password", Severity.FAILS),
        "nothing can be saved there, nor restored from it",
    )
    REPOSITORY_RETIRED = (
        *("repository-retired", Severity.SOON),
        "whoever kept its master key can read what is saved there",
    )
    REPOSITORY_DAMAGED = "repository-damaged", Severity.FAILS, "what is in it may not come back"
    REPOSITORY_LOCKED = (
        *("repository-locked", Severity.FAILS),
        "nothing in it is forgotten or pruned, so that it fills up",
    )
    REPOSITORY_DEAD_LOCK = "repository-dead-lock", Severity.NOTE, "the next backup removes it"
    REPOSITORY_NOT_MADE = "repository-not-made", Severity.NOTE, "the first backup makes it"
    REMOVAL_REFUSED = (
        *("removal-refused", Severity.FAILS),
        "nothing in it is forgotten or pruned, so that it fills up",
    )
    NOT_APPEND_ONLY = (
        *("not-append-only", Severity.FAILS),
        "whoever holds this machine's keys can destroy what is there",
    )
    DESTROYABLE = (
        *("destroyable", Severity.FAILS),
        "whoever gets into this machine can destroy what is there",
    )
    APPEND_ONLY_UNSAID = (
        *("append-only-unsaid", Severity.NOTE),
        "it is not tested that nobody can destroy what is there",
    )
    MAINTENANCE_UNREACHABLE = (
        *("maintenance-unreachable", Severity.FAILS),
        "nothing in it is forgotten or pruned, so that it fills up",
    )
    REPOSITORY_FULL = "repository-full", Severity.FAILS, "tonight's backup does not fit"
    REPOSITORY_FILLS = "repository-fills", Severity.SOON, "then nothing more can be saved there"

    BUCKET_MISSING = (
        *("bucket-missing", Severity.FAILS),
        "nothing can be saved there, nor restored from it",
    )
    BUCKET_VERSIONING = (
        *("bucket-versioning", Severity.FAILS),
        "what is deleted or overwritten there cannot be brought back",
    )
    BUCKET_LOCK = (
        *("bucket-lock", Severity.FAILS),
        "whoever has our keys can destroy what is saved from now on",
    )
    BUCKET_PUBLIC = (
        *("bucket-public", Severity.FAILS),
        "one mistake in its policy opens it to the whole world",
    )
    BUCKET_EXPIRY = (
        *("bucket-expiry", Severity.FAILS),
        "what points are made of is removed behind our back, or cannot be read",
    )
    BUCKET_TLS = "bucket-tls", Severity.NOTE, "keys and data may be sent in the clear"
    BUCKET_ENCRYPTION = (
        *("bucket-encryption", Severity.NOTE),
        "it lies there as the plan does not say; restic encrypts it all the same",
    )
    BUCKET_LIFECYCLE = (
        *("bucket-lifecycle", Severity.SOON),
        "prune frees nothing there, and each month costs more",
    )
    BUCKET_STRICTER = "bucket-stricter", Severity.NOTE, "it is left so, and may cost more"
    BUCKET_NOT_KNOWN = (
        *("bucket-not-known", Severity.NOTE),
        "nobody can say how it is there; nothing that the plan promises hangs on it",
    )
    BUCKET_UNSEEN = (
        *("bucket-unseen", Severity.UNKNOWN),
        "nobody knows whether it is as the plan says",
    )

    STAGING_FULL = "staging-full", Severity.FAILS, "what must be staged cannot be backed up"
    SANDBOX_FULL = "sandbox-full", Severity.FAILS, "its restore tests prove nothing"
    STATE_FULL = "state-full", Severity.FAILS, "no backup or test can be recorded"
    IN_THE_CLEAR = (
        *("in-the-clear", Severity.NOTE),
        "patient data lies there in the clear for as long as a backup or test takes",
    )
    ENCRYPTION_UNKNOWN = (
        *("encryption-unknown", Severity.NOTE),
        "patient data may lie there in the clear for as long as a backup or test takes",
    )

    CLOCK_BEHIND = "clock-behind", Severity.FAILS, "new points would look older than those before"
    CLOCK_ALONE = (
        *("clock-alone", Severity.NOTE),
        "as it drifts, times in the record go wrong, and cloud storage refuses us at 15 minutes",
    )
    TIME_ZONES_OLD = "time-zones-old", Severity.NOTE, "schedules miss newer changes of clocks"

    NOBODY_TOLD = "nobody-told", Severity.NOTE, "nobody is told when something fails"
    NOT_TOLD = "not-told", Severity.FAILS, "somebody the plan names is not told when it fails"
    NO_SCHEDULER = "no-scheduler", Severity.FAILS, "nothing is started tonight"
    NOT_STARTED = "not-started", Severity.FAILS, "what came due is not being done"
    NOT_PUBLISHED = (
        *("not-published", Severity.FAILS),
        "whoever watches this machine from elsewhere hears nothing new",
    )

    EVIDENCE_ALTERED = (
        *("evidence-altered", Severity.FAILS),
        "nothing that is on record proves anything, and no report calls anything kept",
    )
    EVIDENCE_KEY = (
        *("evidence-key", Severity.FAILS),
        "nothing that happens here can be signed any more, nor brought out of this machine",
    )
    EVIDENCE_BEHIND = (
        *("evidence-behind", Severity.SOON),
        "what is cut off or changed since on this machine, nobody would find out from there",
    )
    EVIDENCE_HERE_ALONE = (
        *("evidence-here-alone", Severity.NOTE),
        "whoever owns this machine could cut the end off its record unseen",
    )

    COULD_NOT_LOOK = "could-not-look", Severity.UNKNOWN, "nobody knows whether it would work"

    def __init__(self, slug: str, severity: Severity, so_what: str) -> None:
        self.slug = slug
        self.severity = severity
        self.so_what = so_what


@dataclass(frozen=True, kw_only=True)
class Complaint:
    """One thing that is not as it should be."""

    kind: Kind
    what: str
    """What is wrong, where: one clause."""
    do: str
    """What to do about it: one clause."""
    instead: str = ""
    """Why it matters here, where it is not what its kind says."""
    practice: str = ""
    """Empty where it is this machine's and no practice's."""
    line: str = ""
    """Where the plan says so: `riverside.yaml:12`; empty where it says nothing."""

    @property
    def so_what(self) -> str:
        """Why it matters."""
        return self.instead or self.kind.so_what

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return self.kind.severity


def of_plan(loaded: LoadedPlan, field: str, kind: Kind, what: str, do: str) -> Complaint:
    """Return a complaint of what a plan's `field`, or else what that is part of, says."""
    places = loaded.places
    while field and field not in places:
        field = field[: max(field.rfind("."), field.rfind("["), 0)]
    line = places[field] if field else ""
    return Complaint(kind=kind, what=what, do=do, practice=loaded.plan.practice.id, line=line)


def of_error(
    loaded: LoadedPlan, field: str, kind: Kind, error: DroError, *, do: str, named: str = ""
) -> Complaint:
    """Return a complaint that says what an error says; its hint, where it has one, before `do`."""
    what = f"{named}: {error.message}" if named else error.message
    return of_plan(loaded, field, kind, what, error.hint or do)


def worst_first(complaints: Iterable[Complaint]) -> tuple[Complaint, ...]:
    """Return each complaint once, the worst first, the machine's before those of practices."""
    order = list(Severity)
    return tuple(
        sorted(
            dict.fromkeys(complaints),
            key=lambda each: (order.index(each.severity), each.practice, each.kind.slug, each.what),
        )
    )
