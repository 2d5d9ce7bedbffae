"""The ways to the repositories of a plan: by which address, and with whose keys.

Whoever opens one here gets the very repository that we know under its name, or an error: another
one in its place is told, and none is made but where there certainly is none and never was.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator.aws import AwsAccess, aws_client, credentials_file
from dr_orchestrator.clock import Clock
from dr_orchestrator.core.record import RepositorySeen, RetentionFrozen
from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import (
    DroError,
    Interrupted,
    RepositoryAbsent,
    RepositoryChanged,
    SecretUnavailable,
    StorageUnusable,
    UsageMistake,
)
from dr_orchestrator.process import SystemLauncher
from dr_orchestrator.process_folder import make_process_folder
from dr_orchestrator.repositories.restic_location import where_it_went, with_login
from dr_orchestrator.repositories.s3_place import S3Place, s3_location, stated_region
from dr_orchestrator.secrets import SecretReader
from dr_orchestrator.settings import Settings

if TYPE_CHECKING:
    from dr_orchestrator.plan.model import Credentials, Plan, RepositorySpec
    from dr_orchestrator.repositories.base import Repository
    from dr_orchestrator.repositories.restic import ResticRepository
    from dr_orchestrator.store.base import Store


@dataclass(frozen=True, kw_only=True)
class RepositoryKey:
    """What opens a repository for whoever has nothing but restic."""

    password: Secret
    rest_password: Secret | None
    """Of a REST server."""
    aws_credentials: Secret | None
    """A file as AWS's programs read it."""
    environment: Mapping[str, str]
    """Nothing secret."""


class RepositoryAccess:
    """The ways to the repositories of all plans of this machine."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        launcher: SystemLauncher,
        secrets: SecretReader,
        store: Callable[[], Store],
        cache: Path,
        runtime: Path,
    ) -> None:
        """Take what repositories are opened with; `cache` and `runtime` are private folders of
        ours. The store is asked for when it is needed: to look at a repository takes none.
        """
        self._settings = settings
        self._clock = clock
        self._launcher = launcher
        self._secrets = secrets
        self._open_store = store
        self._cache = cache
        self._runtime = runtime
        self._known: dict[tuple[str, str, bool], ResticRepository] = {}
        self._written: list[tuple[Plan, str]] = []
        self._lock = threading.Lock()

    @property
    def written(self) -> tuple[tuple[Plan, str], ...]:
        """The repositories in which restic may have left a lock of ours."""
        return tuple(self._written)

    def at(self, plan: Plan, name: str, *, directly: bool = False) -> ResticRepository:
        """Return a repository of the plan, or `directly` the way to it by which things are
        removed, where the plan says another one.
        """
        spec = plan.repositories[name]
        reached = spec.reached(directly=directly)
        directly = directly and reached != spec.reached()
        key = (plan.practice.id, name, directly)
        with self._lock:
            if key not in self._known:
                password = self._password(plan, name)
                made = self._reached(
                    name,
                    spec,
                    reached,
                    password=password,
                    hostname=plan.practice.id,
                    only_read=plan.only_reads(name),
                )
                self._known[key] = made
            return self._known[key]

    def opened_by(self, plan: Plan, name: str, password: Secret) -> ResticRepository:
        """Open a repository of the plan with another password than the plan's, by the way of a
        backup, and make sure it is the one we know. Nothing is recorded, and nobody else gets it.

        Raises:
            RepositoryChanged: another repository answers at its place.
            RepositoryError: by its class; `WrongPassword` where it does not open.
        """
        spec = plan.repositories[name]
        repository = self._reached(
            name,
            spec,
            spec.reached(),
            password=password,
            hostname=plan.practice.id,
            only_read=plan.only_reads(name),
        )
        known = self._open_store().repository_id(plan.practice.id, name)
        answered = repository.identity()
        if known is not None and known != answered:
            raise _another_one(name, known, answered)
        return repository

    def outside(self, name: str, spec: RepositorySpec, password: Secret) -> ResticRepository:
        """Return a repository that is in no plan: to look at, for nothing of it is on record."""
        return self._reached(
            name, spec, spec.reached(), password=password, hostname=name, only_read=True
        )

    def _reached(
        self,
        name: str,
        spec: RepositorySpec,
        reached: tuple[str, Credentials],
        *,
        password: Secret,
        hostname: str,
        only_read: bool = False,
    ) -> ResticRepository:
        from dr_orchestrator.repositories.restic import ResticRepository

        settings, (location, credentials) = self._settings, reached
        return ResticRepository(
            name,
            self._with_login(location, credentials).reveal(),
            password,
            launcher=self._launcher,
            clock=self._clock,
            cache=self._cache,
            tmp=make_process_folder(self._runtime),
            hostname=hostname,
            extra_env=settings.storage_environment(
                credentials.aws_profile, stated_region(location, spec.bucket.region)
            ),
            aws_credentials=self._aws_credentials(location, credentials),
            lock_wait=settings.lock_wait,
            append_only=spec.append_only and location == spec.location,
            only_read=only_read,
            upload=spec.bandwidth.upload,
            download=spec.bandwidth.download,
        )

    def location(self, plan: Plan, name: str, *, directly: bool = False) -> Secret:
        """Return where restic finds a repository, with the login of a REST server in it.

        Raises:
            SecretUnavailable: the password cannot be had.
        """
        return self._with_login(*plan.repositories[name].reached(directly=directly))

    def key(self, plan: Plan, name: str) -> RepositoryKey:
        """Return what opens a repository by plain restic.

        Raises:
            SecretUnavailable: a secret cannot be had.
        """
        spec = plan.repositories[name]
        login = spec.credentials.password if spec.location.startswith("rest:") else None
        region = stated_region(spec.location, spec.bucket.region)
        return RepositoryKey(
            password=self._password(plan, name),
            rest_password=self._secrets.read(login) if login else None,
            aws_credentials=self._aws_credentials(spec.location, spec.credentials),
            environment=self._settings.storage_environment(spec.credentials.aws_profile, region),
        )

    def _password(self, plan: Plan, name: str) -> Secret:
        """Return the plan's own key of a repository.

        Raises:
            SecretUnavailable: it cannot be had; where its file is gone, it is said who else has a
                key that opens the repository.
        """
        reference = plan.repositories[name].password
        try:
            return self._secrets.read(reference)
        except SecretUnavailable as error:
            if reference.file is None or Path(reference.file).exists():
                raise
            others = (
                f"the key of {key.holder}'s {key.form} opens it too: put it into "
                f"{reference.file}, mode 600"
                for key in self._open_store().practice_record(plan.practice.id).keys
                if key.repository == name and key.holder and not key.is_revoked
            )
            hints = dict.fromkeys(hint for hint in (error.hint, *others) if hint)
            raise SecretUnavailable(error.message, hint="; ".join(hints)) from None

    def _with_login(self, location: str, credentials: Credentials) -> Secret:
        if not (location.startswith("rest:") and credentials.user and credentials.password):
            return Secret(location)
        return with_login(location, credentials.user, self._secrets.read(credentials.password))

    def _aws_credentials(self, location: str, credentials: Credentials) -> Secret | None:
        """Return keys that restic is to read from us: those the plan refers to, or those of our
        own environment, which it does not see; `None` where it finds them itself.
        """
        if not location.startswith("s3:"):
            return None
        if credentials.access_key_id and credentials.secret_access_key:
            key_id, key = credentials.access_key_id, credentials.secret_access_key
            return credentials_file(self._secrets.read(key_id), self._secrets.read(key))
        found = None if credentials.aws_profile else self._settings.storage_keys()
        return credentials_file(*found) if found else None

    def place(self, plan: Plan, name: str, *, directly: bool = False) -> S3Place:
        """Return where a repository of the plan lies in S3, with the credential of a backup, or
        `directly` of who may remove from it.

        Raises:
            UsageMistake: it is not in S3.
            SecretUnavailable, StorageUnusable: its keys cannot be had.
        """
        spec = plan.repositories[name]
        written, credentials = spec.reached(directly=directly)
        if not written.startswith("s3:"):
            raise UsageMistake(f"the repository {name} is not in S3")
        location = s3_location(written)
        key_id, key = credentials.access_key_id, credentials.secret_access_key
        access = AwsAccess(
            profile=credentials.aws_profile,
            access_key_id=self._secrets.read(key_id) if key_id else None,
            secret_access_key=self._secrets.read(key) if key else None,
            region=spec.bucket.region or location.region,
            endpoint=location.endpoint,
        )
        try:
            client = aws_client("s3", access)
        except StorageUnusable as error:
            raise StorageUnusable(
                f"the repository {name}: {error.message}", code=error.code, hint=error.hint
            ) from None
        return S3Place(name=name, location=location, client=client)

    def look_ahead(self, plan: Plan, names: Iterable[str]) -> None:
        """Ask repositories who they are while we still prepare: each answer takes restic a while.

        An error is not lost: whoever opens the repository asks again, and gets it.
        """

        def ask(name: str) -> None:
            with contextlib.suppress(DroError, Interrupted):
                self.at(plan, name).identity()

        for name in dict.fromkeys(names):
            threading.Thread(target=ask, args=(name,), daemon=True).start()

    def open_for_reading(
        self, plan: Plan, name: str, *, directly: bool = False
    ) -> ResticRepository:
        """Open a repository of the plan, and make sure it is the one we know; `directly` by the way
        by which things are removed.

        Raises:
            RepositoryAbsent: there is none; it says so where there was one.
            RepositoryChanged: another repository answers at its place. That is told, whoever was
                first to notice, until a person looked into it.
            RepositoryError: by its class.
        """
        practice = plan.practice.id
        repository = self.at(plan, name, directly=directly)
        known = self._open_store().repository_id(practice, name)
        try:
            answered = repository.identity()
        except RepositoryAbsent as absent:
            if known is None:
                raise
            raise RepositoryAbsent(
                f"the repository {name} was here ({known[:8]}) and is gone",
                hint=f"{where_it_went(practice, name, plan.repositories[name].location)}; it is "
                "not made anew, so that nobody takes an empty one for yours",
            ) from absent
        if known is None:
            self._seen(practice, name, answered)
        elif known != answered:
            changed = _another_one(name, known, answered)
            self._open_store().record(
                RetentionFrozen(
                    practice=practice, repository=name, at=self._clock.now(), why=changed.message
                )
            )
            raise changed
        return repository

    def open_for_writing(
        self, plan: Plan, name: str, like: Repository | None = None
    ) -> ResticRepository:
        """Open a repository of the plan; make it where there certainly is none and never was,
        `like` that one, or else like one that shares copies with it.

        Raises:
            RepositoryAbsent: there was one, and it is gone.
            UsageMistake: it is the same one as another of the plan, reached another way.
            RepositoryError: by its class; "unreachable" never leads to making one.
        """
        practice = plan.practice.id
        self._written.append((plan, name))
        try:
            repository = self.open_for_reading(plan, name)
        except RepositoryAbsent:
            if self._open_store().repository_id(practice, name) is not None:
                raise
            repository = self.at(plan, name)
            like = like or self._copied_beside(plan, name)
            self._seen(practice, name, repository.create(like=like))
        self._require_only_one(plan, name, repository.identity())
        repository.locks_of_the_dead()  # a backup that was stopped or killed may have left one
        return repository

    def _copied_beside(self, plan: Plan, name: str) -> ResticRepository | None:
        """Return a repository that is there, and that shares copies with the one of this name.

        What is saved to one of the two directly and copied there from the other is stored once only
        if both cut it up alike, which is settled when they are made. A backup does not fail for it.
        """
        sharing: set[str] = set()
        for system in plan.protected.values():
            saved_to, copied_to = system.backup.to, system.backup.copy_to
            sharing.update(saved_to if name in copied_to else ())
            sharing.update(copied_to if name in saved_to else ())
        for other in plan.repositories:
            if other in sharing and self._open_store().repository_id(plan.practice.id, other):
                with contextlib.suppress(DroError):
                    return self.open_for_reading(plan, other)
        return None

    def _require_only_one(self, plan: Plan, name: str, restic_id: str) -> None:
        """Refuse a repository that the plan names before under another address.

        It would count as a second copy, and what is forgotten under one name be gone under both.
        """
        before = takewhile(lambda other: other != name, plan.repositories)
        for other in before:
            if self._open_store().repository_id(plan.practice.id, other) == restic_id:
                raise UsageMistake(
                    f"{name} and {other} are one repository ({restic_id[:8]}), reached two ways",
                    hint="a second copy in the same place is none: take one out of the plan",
                )

    def _seen(self, practice: str, name: str, restic_id: str) -> None:
        at = self._clock.now()
        self._open_store().record(
            RepositorySeen(practice=practice, repository=name, restic_id=restic_id, at=at)
        )

    def open_to_copy_from(self, plan: Plan, name: str) -> ResticRepository:
        """Open a repository that is there, and that restic locks while it copies from it."""
        self._written.append((plan, name))  # restic leaves a lock in what it copies from too
        repository = self.open_for_reading(plan, name)
        repository.locks_of_the_dead()
        return repository

    def open_to_look_after(self, plan: Plan, name: str) -> ResticRepository:
        """Open a repository that is there, and make none."""
        self._written.append((plan, name))
        try:
            return self.open_for_reading(plan, name, directly=True)
        except (RepositoryAbsent, RepositoryChanged) as error:
            if plan.repositories[name].maintenance.location is None:
                raise
            raise type(error)(
                f"by its `maintenance: {{location: ..}}`: {error.message}",
                hint="that must be another way to the very repository that `location` leads to",
            ) from error

    def open_folder(self, plan: Plan, name: str, folder: Path) -> ResticRepository:
        """Return what lies in `folder` as if it were a repository of the plan, by its key."""
        from dr_orchestrator.repositories.restic import ResticRepository

        return ResticRepository(
            name,
            str(folder / "repository"),
            self._secrets.read(plan.repositories[name].password),
            launcher=self._launcher,
            clock=self._clock,
            cache=folder / "cache",
            tmp=make_process_folder(self._runtime),
            hostname=plan.practice.id,
            lock_wait=self._settings.lock_wait,
        )


def _another_one(name: str, known: str, answered: str) -> RepositoryChanged:
    return RepositoryChanged(
        f"another repository is at the place of {name}: it has the id {answered[:8]}, "
        f"the one we know has {known[:8]}",
        hint="is the right disk mounted? if the change was meant, give the new repository "
        "a new name in the plan",
    )
