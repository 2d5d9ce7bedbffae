"""The plan as the rest of the program reads it: validated, complete, frozen.

Every field that was left out has its default here already, so no reader ever meets a `None` that
means "work it out yourself". The descriptions become the plan reference and the JSON Schema.
What a plan may not say yet (templates) comes with its own change, under the names the design gives
them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import (
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    Tag,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema

from dr_orchestrator.core.baseline import Level
from dr_orchestrator.core.point import AssetKind, Method
from dr_orchestrator.core.share import MOST_PARTS
from dr_orchestrator.plan.expectation import Expectation
from dr_orchestrator.plan.notification import Notification
from dr_orchestrator.plan.opening import OpeningHours
from dr_orchestrator.plan.quantity import (
    Duration,
    PositiveDuration,
    PositivePercentage,
    Size,
    format_duration,
)
from dr_orchestrator.plan.schedule import Schedule, ScheduleOrNever
from dr_orchestrator.plan.secret_reference import SecretReference
from dr_orchestrator.plan.section import Identifier, Section

MANAGER = "manager"
"""The contact that speaks for the practice, unless its plan names another."""
_SCHEME = re.compile(r"([a-z][a-z0-9]+):")
_THIS_MACHINE = re.compile(r"(?:[/@]|^sftp:)(?:localhost|127(?:\.\d+){3}|\[::1\])(?=[:/]|$)")
Timezone = Annotated[ZoneInfo, Field(description="IANA time zone, as `America/Chicago`")]
_GRACE = timedelta(hours=4)
"""A night's restore test may begin until about when the practice opens, never in the midst of
work."""


class Practice(Section):
    """The organisation that is protected."""

    id: Identifier = Field(description="short name, used in commands, tags and file names")
    name: str = Field(min_length=1, description="as it stands on the report")
    timezone: Timezone = Field(
        default=ZoneInfo("UTC"), description="in which schedules and opening hours are read"
    )
    open: OpeningHours = Field(
        default_factory=OpeningHours.always,
        description="opening hours by weekday; `max_data_age` counts these only",
    )
    closed: tuple[date, ...] = Field(default=(), description="days the practice is closed")


class Contact(Section):
    """Somebody a reader of the report or a responder may need."""

    role: str = Field(min_length=1)
    email: str | None = None
    phone: str | None = None
    verified: date | None = Field(default=None, description="when this was last tried")
    signing_key: str | None = Field(
        default=None,
        pattern=r"^ssh-ed25519 [A-Za-z0-9+/]+=*( .*)?$",
        description="public key that their sign-off is checked with, as in `id_ed25519.pub`",
    )
    signs: bool | None = Field(
        default=None,
        description="whether they speak for the practice with `dro sign`; unless stated, only the "
        "contact named `manager` does",
    )


class Custody(Section):
    """Who holds a key that opens the backups."""

    holder: Identifier = Field(description="a contact, or a word such as `msp`")
    form: str = Field(min_length=1, description="`sealed sheet`, `vault` …")
    prove_every: PositiveDuration | None = Field(
        default=None, description="how often the holder is to show that the key opens the backups"
    )


class Credentials(Section):
    """How we get at a remote location, beside the repository's own password.

    Left out, keys are found where AWS's own programs find them: in the environment, in
    ~/.aws/credentials, or from the machine's role.
    """

    aws_profile: str | None = Field(default=None, description="profile in ~/.aws/credentials")
    access_key_id: SecretReference | None = Field(
        default=None, description="reference to the id of a key, instead of a profile"
    )
    secret_access_key: SecretReference | None = Field(
        default=None, description="reference to the key that belongs to it"
    )
    user: str | None = Field(
        default=None, min_length=1, description="with `rest:`: whom the server knows us as"
    )
    password: SecretReference | None = Field(
        default=None, description="with `rest:`: reference to that user's password"
    )

    @property
    def references(self) -> tuple[tuple[str, SecretReference], ...]:
        """The references to secrets that are in it, each under its key."""
        named = ("access_key_id", "secret_access_key", "password")
        stated = ((name, getattr(self, name)) for name in named)
        return tuple((name, each) for name, each in stated if each is not None)


class ObjectLock(Section):
    """For how long nobody can remove what is saved to an S3 bucket."""

    mode: Literal["compliance", "governance"] = Field(
        description="`compliance`: nobody can end a lock before its time, not even the account's "
        "owner; `governance`: who has the right to bypass it can"
    )
    days: int = Field(ge=1, le=36500, description="for which every object is locked when saved")


class Bucket(Section):
    """What an S3 bucket is to be like, beside its object lock."""

    region: str | None = Field(
        default=None, min_length=1, description="where it is made; as the location's host says"
    )
    kms_key: str | None = Field(
        default=None,
        min_length=1,
        description="key of AWS KMS that encrypts it at rest; S3's own (AES256) unless stated",
    )
    keep_noncurrent: PositiveDuration = Field(
        default=timedelta(days=30),
        description="how long what was deleted or overwritten stays, and can be brought back",
    )


class Bandwidth(Section):
    """The most that restic may use of a line, a second; no limit unless stated."""

    upload: Size | None = Field(default=None, description="as `2 MiB`")
    download: Size | None = None


class Timing(Section):
    """When something is to happen, and how late it may."""

    schedule: Schedule
    catch_up: Literal["skip", "latest", "all"] = Field(
        default="latest",
        description="what becomes of what came due while nobody was there to start it: `skip` "
        "(the newest runs if it is within `grace`), `latest` (the newest runs, however late) or "
        "`all` (every one runs, in order)",
    )
    grace: PositiveDuration | None = Field(
        default_factory=lambda data: _GRACE if data["catch_up"] == "skip" else None,
        description="with `skip`: how late it may start, `blackout` left out; "
        f"{format_duration(_GRACE)} unless stated",
    )
    blackout: OpeningHours | None = Field(
        default=None,
        description="hours in which it is not started, but for `closed` days of the practice; what "
        "comes due in them waits until they are over",
    )


class Maintenance(Section):
    """When a repository is read back, and when what retention let go of is taken out of it."""

    check: ScheduleOrNever = Field(
        default=Schedule.parse("01:00"), description="when a share of its data is read back"
    )
    read_all_every: PositiveDuration = Field(
        default=timedelta(days=30), description="in which time the shares come to all of its data"
    )
    forget: ScheduleOrNever = Field(
        default=Schedule.parse("05:30"),
        description="when the points that `retention` does not keep are let go of",
    )
    prune: ScheduleOrNever = Field(
        default=Schedule.parse("Sun 06:00"),
        description="when the space of what was forgotten is freed; nobody else can write then",
    )
    extend: ScheduleOrNever = Field(
        default=Schedule.parse("Sun 08:00"),
        description="with `object_lock`: when locks are renewed that would run out before the next "
        "round; that is done after each prune too",
    )
    immutability: ScheduleOrNever = Field(
        default=Schedule.parse("Sun 09:00"),
        description="with `object_lock` or `append_only`: when it is tried to destroy what is "
        "there with the backup credential, which must be refused",
    )
    blackout: OpeningHours | None = Field(
        default=None,
        description="hours in which none of these is started, but for `closed` days",
    )
    location: str | None = Field(
        default=None,
        min_length=1,
        description="where the same repository is reached by who may remove from it, as the folder "
        "that an append-only server serves; as `location` unless stated",
    )
    credentials: Credentials | None = Field(
        default=None,
        description="of who may forget, prune and renew locks; those of the repository unless "
        "stated",
    )


class RepositorySpec(Section):
    """A place where recovery points are kept."""

    location: str = Field(
        min_length=1, description="restic location: /path, rest:…, sftp:…, s3:…; no password in it"
    )
    password: SecretReference = Field(description="reference to the password that encrypts it")
    credentials: Credentials = Field(default=Credentials.model_construct())
    sheet_credentials: Credentials | None = Field(
        default=None,
        description="read-only ones, printed on key sheets beside the key; left out: it says "
        "where those of `credentials` are obtained",
    )
    append_only: bool = Field(
        default=False,
        description="the server lets nobody remove anything, as `rclone serve restic "
        "--append-only` and rest-server do",
    )
    object_lock: ObjectLock | None = Field(
        default=None, description="with `s3:`: for how long nobody can remove what is saved"
    )
    bucket: Bucket = Field(default=Bucket.model_construct())
    bandwidth: Bandwidth = Field(default=Bandwidth.model_construct())
    maintenance: Maintenance = Field(default=Maintenance.model_construct())

    def reached(self, *, directly: bool = False) -> tuple[str, Credentials]:
        """Return its location and the credentials that go with it: those of a backup, or
        `directly` of who may remove from it.
        """
        if not directly:
            return self.location, self.credentials
        other = self.maintenance
        return other.location or self.location, other.credentials or self.credentials

    @property
    def locations(self) -> tuple[str, ...]:
        """By which it is reached: as a backup does, and by the other way where there is one."""
        return tuple(dict.fromkeys((self.location, self.reached(directly=True)[0])))

    @property
    def is_s3(self) -> bool:
        """Whether it is in a bucket of S3, or of storage that speaks like it."""
        return self.location.startswith("s3:")

    @property
    def scheme(self) -> str:
        """How it is reached: `s3`, `rest`, `sftp` …; empty for a folder."""
        found = _SCHEME.match(self.location)
        return "" if found is None or found[1] == "local" else found[1]

    @property
    def is_elsewhere(self) -> bool:
        """Whether its location says that it is another machine's."""
        return bool(self.scheme) and not _THIS_MACHINE.search(self.location)

    @property
    def keeps_attackers_out(self) -> bool:
        """Whether the plan says that nobody with the backup credential can destroy what is there,
        which is tested then.
        """
        return self.append_only or self.object_lock is not None

    @property
    def lets_us_remove(self) -> bool:
        """Whether there is a way by which we may forget and prune."""
        return not self.append_only or self.maintenance.location is not None


class BaselineSpec(Section):
    """How closely the data is looked at when it is captured."""

    level: Literal[Level.FULL, Level.SAMPLED, Level.COUNTS] = Field(
        description="full, sampled or counts"
    )
    budget: PositiveDuration = Field(
        description="time after which the rest is looked at less closely, and that is said"
    )


# constructed, not validated: a validator of their own would have to be built at every start
_DATABASE_BASELINE = BaselineSpec.model_construct(level=Level.FULL, budget=timedelta(minutes=10))
_FILES_BASELINE = BaselineSpec.model_construct(level=Level.SAMPLED, budget=timedelta(minutes=2))


class DataTime(Section):
    """How old the data is that somebody else's job writes: its newest file tells."""

    newest: str = Field(
        min_length=1,
        description="pattern of the files that the job writes, as `EMR_FULL_*.bak`: `*` and `?` "
        "stay within a name, `**/` stands for any folders",
    )
    max_age: PositiveDuration = Field(
        description="after this long without a new file the job counts as dead"
    )
    at_least: Size = Field(default=1, description="smaller files do not count as written")
    settled: PositiveDuration = Field(
        default=timedelta(minutes=10),
        description="a file changed more recently than this may still be being written",
    )


_MADE_BY = Field(
    default=None,
    min_length=1,
    description="who makes what lies here, where that is somebody else's job; asks for `data_time`",
)
_DATA_TIME = Field(
    default=None, description="which of the files tells how old the data is; required by `made_by`"
)
_LAB = Field(
    default=None,
    description="lab server of the machine settings that restore tests load it into, where no "
    "sandbox of ours can",
)


class PostgresAsset(Section):
    """A PostgreSQL database, or with `method: physical` its whole cluster."""

    kind: Literal[AssetKind.POSTGRES]
    host: str = Field(min_length=1, description="host name, address, or folder of a unix socket")
    port: int = Field(default=5432, ge=1, le=65535)
    database: str = Field(min_length=1)
    user: str = Field(min_length=1)
    password: SecretReference | None = Field(
        default=None, description="left out where the server trusts the connection"
    )
    sslmode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    method: Literal[Method.LOGICAL, Method.PHYSICAL] = Method.LOGICAL
    scope: Literal["database", "cluster"] = Field(
        default="database", description="`physical` takes the whole cluster, and must say so"
    )
    baseline: BaselineSpec = _DATABASE_BASELINE
    lab: Identifier | None = _LAB
    timeout: PositiveDuration = Field(
        default=timedelta(hours=6), description="after which a capture is given up"
    )


class MariadbAsset(Section):
    """A MariaDB or MySQL database, or with `method: physical` its whole server."""

    kind: Literal[AssetKind.MARIADB]
    host: str = Field(min_length=1, description="host name, address, or path of a unix socket")
    port: int = Field(default=3306, ge=1, le=65535)
    database: str = Field(min_length=1)
    user: str = Field(min_length=1)
    password: SecretReference | None = Field(
        default=None, description="left out where the server trusts the connection"
    )
    sslmode: Literal["disable", "prefer", "require", "verify-full"] = "prefer"
    method: Literal[Method.LOGICAL, Method.PHYSICAL] = Method.LOGICAL
    scope: Literal["database", "cluster"] = Field(
        default="database", description="`physical` takes the whole server, and must say so"
    )
    baseline: BaselineSpec = _DATABASE_BASELINE
    lab: Identifier | None = _LAB
    timeout: PositiveDuration = Field(
        default=timedelta(hours=6), description="after which a capture is given up"
    )


class SqliteAsset(Section):
    """A SQLite database file, captured by its online backup while it is in use."""

    kind: Literal[AssetKind.SQLITE]
    path: Path = Field(description="absolute path of the database file")
    baseline: BaselineSpec = _DATABASE_BASELINE
    timeout: PositiveDuration = timedelta(hours=1)

    @property
    def method(self) -> Method:
        """How it is captured: there is one way."""
        return Method.COPY


class FilesAsset(Section):
    """A folder and everything under it."""

    kind: Literal[AssetKind.FILES]
    path: Path = Field(description="absolute path of the folder")
    exclude: tuple[str, ...] = Field(default=(), description="restic patterns of what to leave out")
    marker: str | None = Field(
        default=None,
        description="file that lies in the folder only when the share is mounted",
    )
    require_files: int = Field(
        default=1, ge=0, description="fewer files than this are a failure, not an empty success"
    )
    baseline: BaselineSpec = _FILES_BASELINE
    made_by: str | None = _MADE_BY
    data_time: DataTime | None = _DATA_TIME
    timeout: PositiveDuration = timedelta(hours=12)

    @property
    def method(self) -> Method:
        """How it is captured: there is one way."""
        return Method.TREE


class SmbAsset(Section):
    """A Windows or Samba share, read over the network without being mounted."""

    kind: Literal[AssetKind.SMB]
    host: str = Field(min_length=1, description="the file server's name or address")
    share: str = Field(min_length=1, description="name of the share")
    path: str = Field(default="", description="folder inside the share; all of it unless stated")
    port: int = Field(default=445, ge=1, le=65535)
    user: str = Field(min_length=1)
    domain: str = Field(default="WORKGROUP", min_length=1)
    password: SecretReference
    exclude: tuple[str, ...] = Field(default=(), description="patterns of what to leave out")
    marker: str | None = Field(
        default=None, description="file that lies in the folder only when it is the right one"
    )
    require_files: int = Field(
        default=1, ge=0, description="fewer files than this are a failure, not an empty success"
    )
    permissions: Literal["save", "skip"] = Field(
        default="save", description="whether Windows permissions are saved beside the files"
    )
    baseline: BaselineSpec = _FILES_BASELINE
    made_by: str | None = _MADE_BY
    data_time: DataTime | None = _DATA_TIME
    timeout: PositiveDuration = timedelta(hours=12)

    @property
    def method(self) -> Method:
        """How it is captured: there is one way."""
        return Method.TREE


class CommandAsset(Section):
    """What only the practice's own programs can dump, and load again."""

    kind: Literal[AssetKind.COMMAND]
    dump: tuple[str, ...] = Field(
        min_length=1,
        description="program and arguments that write the dump: to stdout, or with "
        "`output: tree` into the empty folder that stands for `{folder}`",
    )
    output: Literal["stream", "tree"] = "stream"
    secrets: dict[str, SecretReference] = Field(
        default={},
        description="environment variable -> secret; the variable names a file to read it from",
    )
    at_least: Size = Field(default=1, description="a smaller dump is a failure")
    ends_with: str | None = Field(
        default=None,
        min_length=1,
        description="regular expression that the end of a complete dump (its last 4 KiB) matches",
    )
    restore: tuple[str, ...] = Field(
        default=(),
        description="program and arguments that load the dump inside the sandbox: `{dump}` is what "
        "came back, `{folder}` an empty folder to work in",
    )
    made_by: str | None = _MADE_BY
    data_time: DataTime | None = _DATA_TIME
    lab: Identifier | None = _LAB
    timeout: PositiveDuration = timedelta(hours=6)

    @property
    def method(self) -> Method:
        """How it is captured."""
        return Method.TREE if self.output == "tree" else Method.STREAM


class Existing(Section):
    """Which snapshots of a restic repository hold an asset that another tool saves there."""

    path: str = Field(
        min_length=1,
        pattern="^/",
        description="where it lies in the snapshots: a folder, or one file, as `/emr.sql` of what "
        "came from a pipe; `*` within the name of a file stands for the newest that fits",
    )
    tag: str | None = Field(default=None, min_length=1, description="only snapshots with this tag")
    host: str | None = Field(
        default=None, min_length=1, description="only snapshots of this host, as restic lists it"
    )


class ExistingAsset(Section):
    """Something that another tool saves to the repository already, and that is tested as it is."""

    kind: Literal[AssetKind.POSTGRES, AssetKind.MARIADB, AssetKind.SQLITE, AssetKind.FILES] = Field(
        description="what it is: a dump of `postgres` or `mariadb` (plain SQL, an archive of "
        "pg_dump, or either compressed by gzip, bzip2 or xz), a file of `sqlite`, or `files`"
    )
    existing: Existing
    lab: Identifier | None = _LAB

    @property
    def method(self) -> Method:
        """How whoever saves it makes it."""
        if self.kind is AssetKind.FILES:
            return Method.TREE
        return Method.COPY if self.kind is AssetKind.SQLITE else Method.DUMP


EXISTING_TAG = "existing"
"""Tells an asset that is saved by somebody else from those of its kind that we save."""


def _asset_kind(value: Any) -> str:
    if isinstance(value, dict):
        return EXISTING_TAG if EXISTING_TAG in value else str(value.get("kind"))
    return EXISTING_TAG if isinstance(value, ExistingAsset) else str(getattr(value, "kind", ""))


Asset = Annotated[
    Annotated[PostgresAsset, Tag("postgres")]
    | Annotated[MariadbAsset, Tag("mariadb")]
    | Annotated[SqliteAsset, Tag("sqlite")]
    | Annotated[CommandAsset, Tag("command")]
    | Annotated[FilesAsset, Tag("files")]
    | Annotated[SmbAsset, Tag("smb")]
    | Annotated[ExistingAsset, Tag(EXISTING_TAG)],
    Discriminator(_asset_kind),
]


class RecoveryStep(Section):
    """A step of recovery outside our reach, with the time it is allowed."""

    step: str = Field(min_length=1)
    by: Identifier = Field(description="a contact, or a word such as `msp`")
    allow: PositiveDuration
    rehearsed: date | None = Field(default=None, description="when it was last really done")


class NewestRow(Section):
    """The query that tells how fresh the restored data is."""

    asset: Identifier
    sql: str = Field(min_length=1, description="one row, one column: a time")
    timezone: Timezone | None = Field(
        default=None, description="of times that carry none; the practice's unless stated"
    )


class BackupSpec(Timing):
    """When a system is backed up, and where to."""

    to: tuple[Identifier, ...] = Field(
        default=(), description="repositories; the first of the plan unless stated"
    )
    copy_to: tuple[Identifier, ...] = Field(
        default=(), description="repositories that its recovery points are copied to afterwards"
    )
    copying: Timing | None = Field(
        default=None, description="when they are copied; after each backup unless stated"
    )


class ListedBy(Section):
    """The rows that say which files there must be."""

    asset: Identifier = Field(description="the database that is asked")
    sql: str = Field(
        min_length=1,
        description="one row a file: its path, and if there is a second column its SHA-256",
    )
    prefix: dict[str, str] = Field(
        default={}, description="start of a path in the row -> where that is in the asset"
    )


class FilesCheckBody(Section):
    """What is asked of a restored tree."""

    asset: Identifier
    listed_by: ListedBy | None = None
    at_least: int | None = Field(default=None, ge=0, description="number of files there must be")


class BaselineCheck(Section):
    """Compare every asset with what it was at capture."""

    title: str = Field(default="the data is what it was at capture", min_length=1)
    baseline: Literal[True] = True

    @model_validator(mode="before")
    @classmethod
    def _is_a_word(cls, value: Any) -> Any:
        return {} if value == "baseline" else value

    @model_serializer(mode="plain", when_used="json")
    def _written(self) -> str | dict[str, str | bool]:
        if self.title == BaselineCheck.model_fields["title"].default:
            return "baseline"
        return {"title": self.title, "baseline": True}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return the schema of the word and of the long form."""
        return {"anyOf": [{"const": "baseline"}, handler(schema)]}


class SqlCheck(Section):
    """One value out of a restored database, and what it must be."""

    title: str = Field(min_length=1)
    asset: Identifier
    sql: str = Field(min_length=1, description="one row, one column: a number, boolean or time")
    expect: Expectation
    timezone: Timezone | None = Field(
        default=None, description="of times that carry none; the practice's unless stated"
    )


class FilesCheck(Section):
    """Restored files against their number, or against the rows that name them."""

    title: str = Field(min_length=1)
    files: FilesCheckBody


class RunCheck(Section):
    """One value out of what a `command` asset restored, by a program of the practice's own."""

    title: str = Field(min_length=1)
    asset: Identifier
    run: tuple[str, ...] = Field(
        min_length=1,
        description="program and arguments that print one number, boolean or time; run inside the "
        "sandbox, `{dump}` and `{folder}` as in `restore`",
    )
    at_capture: tuple[str, ...] = Field(
        default=(),
        description="program and arguments that print the same of production, while the dump is "
        "made: for `expect: baseline`",
    )
    expect: Expectation
    timezone: Timezone | None = Field(
        default=None, description="of times that carry none; the practice's unless stated"
    )


class PackCheck(Section):
    """All that is known about one EMR: the checks of a pack."""

    pack: Identifier = Field(description="name of the pack; `dro pack list` shows them")
    title: str = Field(
        default="", description="as it stands on the report; the pack's unless stated"
    )
    assets: dict[Identifier, Identifier] = Field(
        default={},
        description="what the pack calls an asset -> the system's asset; the only one of its kind "
        "unless stated",
    )


def _check_kind(value: Any) -> str:
    if value == "baseline" or isinstance(value, BaselineCheck):
        return "baseline"
    if isinstance(value, RunCheck) or (isinstance(value, dict) and "run" in value):
        return "run"
    if isinstance(value, PackCheck) or (isinstance(value, dict) and "pack" in value):
        return "pack"
    if isinstance(value, dict) and "baseline" in value:
        return "baseline"
    if isinstance(value, FilesCheck) or (isinstance(value, dict) and "files" in value):
        return "files"
    return "sql"


Check = Annotated[
    Annotated[BaselineCheck, Tag("baseline")]
    | Annotated[SqlCheck, Tag("sql")]
    | Annotated[FilesCheck, Tag("files")]
    | Annotated[RunCheck, Tag("run")]
    | Annotated[PackCheck, Tag("pack")],
    Discriminator(_check_kind),
]


class Retention(Section):
    """Which recovery points are kept; one that any of these keeps stays.

    Always kept: those the RPO is judged on, the newest verified one, and what is labelled or held.
    """

    keep_last: int = Field(default=0, ge=0, description="the newest, however close together")
    keep_hourly: int = Field(default=24, ge=0, description="the newest of each of so many hours")
    keep_daily: int = Field(default=30, ge=0, description="the newest of each of so many days")
    keep_weekly: int = Field(default=0, ge=0, description="the newest of each of so many weeks")
    keep_monthly: int = Field(default=12, ge=0, description="the newest of each of so many months")
    keep_yearly: int = Field(default=6, ge=0, description="the newest of each of so many years")


class FilesSample(Section):
    """A share of the files, another one each time, until all were restored. Databases are whole."""

    sample: PositivePercentage = Field(description="how much each test restores, as `5%`")

    @property
    def parts(self) -> int:
        """In how many tests all files were restored once."""
        return min(math.ceil(round(1 / self.sample, 6)), MOST_PARTS)


class RestoreTestSpec(Timing):
    """When a system is restored to a sandbox and proven, and from where."""

    catch_up: Literal["skip", "latest", "all"] = Field(
        default="skip", description=Timing.model_fields["catch_up"].description
    )
    from_: Identifier = Field(
        default="",
        alias="from",
        description="repository; the first the system is backed up to unless stated",
    )
    point: Literal["latest", "random"] = "latest"
    files: FilesSample | None = Field(
        default=None,
        description="restore another share of the files each time, as from far away; all of them "
        "unless stated",
    )
    prove_every: PositiveDuration = Field(
        default_factory=lambda data: 2 * data["schedule"].period,
        description="after this long without a passed test, recovery counts as not proven; "
        "twice the test's own interval unless stated",
    )

    @property
    def parts(self) -> int:
        """In how many tests all files were restored once."""
        return self.files.parts if self.files else 1

    @property
    def all_files_every(self) -> timedelta:
        """In what time that is."""
        return self.parts * self.schedule.period


def runbook_for(assets: Iterable[Asset]) -> str:
    """Return the name of the runbook by which a system of such assets is recovered."""
    return "emr-server-lost" if any(each.kind.is_database for each in assets) else "file-share-lost"


Importance = Literal["critical", "important", "routine"]
IMPORTANCES: tuple[Importance, ...] = get_args(Importance)
"""Of a system, the most important first."""


class ProtectedSystem(Section):
    """Something the practice works with, that this plan protects."""

    title: str = Field(default="", description="as it stands on the report; the id unless stated")
    importance: Importance = "important"
    depends_on: tuple[Identifier, ...] = ()
    rto: PositiveDuration = Field(description="promised time until people can work again")
    rpo: PositiveDuration = Field(description="promised longest stretch of work that may be lost")
    max_data_age: Duration | None = Field(
        default=None, description="how old the newest row may be, counted in opening hours"
    )
    max_skew: PositiveDuration | None = Field(
        default=None,
        description="longest time between the instants of its assets in one recovery point",
    )
    recovery: tuple[RecoveryStep, ...] = ()
    assets: dict[Identifier, Asset] = Field(min_length=1)
    runbook: Identifier = Field(
        default_factory=lambda data: runbook_for(data["assets"].values()),
        description="name of the runbook by which it is recovered: `emr-server-lost` where it has "
        "a database, else `file-share-lost`, unless stated",
    )
    newest: NewestRow | None = None
    backup: BackupSpec = Field(
        default_factory=lambda data: BackupSpec(schedule=Schedule.half_of(data["rpo"])),
        description="every half RPO to the first repository unless stated",
    )
    restore_tests: tuple[RestoreTestSpec, ...] = Field(
        default_factory=lambda: (RestoreTestSpec(schedule=Schedule.parse("03:30")),),
        description="nightly from the first repository it is backed up to and weekly from each "
        "further one, and each it is copied to, unless stated",
    )
    retention: Retention = Field(default=Retention.model_construct())
    verify: tuple[Check, ...] = Field(
        default=(BaselineCheck.model_construct(),),
        min_length=1,
        description="`[baseline]` unless stated",
    )

    @property
    def is_existing(self) -> bool:
        """Whether somebody else saves it, to a repository that is only read here."""
        return any(isinstance(each, ExistingAsset) for each in self.assets.values())


class Attestation(Section):
    """How often somebody else's protection is to be confirmed."""

    every: PositiveDuration


class ProtectedElsewhere(Section):
    """Something that somebody else protects."""

    title: str = Field(default="", description="as it stands on the report; the id unless stated")
    protected_by: str = Field(min_length=1, description="who, in words")
    attest: Attestation | None = None


class NotProtected(Section):
    """Something that nobody protects, and who accepted that."""

    title: str = Field(default="", description="as it stands on the report; the id unless stated")
    not_protected: str = Field(min_length=1, description="why not, in words")
    accepted_by: Identifier


def _system_kind(value: Any) -> str:
    keys = value if isinstance(value, dict) else getattr(value, "model_fields_set", ())
    if "protected_by" in keys:
        return "elsewhere"
    return "not_protected" if "not_protected" in keys else "protected"


System = Annotated[
    Annotated[ProtectedSystem, Tag("protected")]
    | Annotated[ProtectedElsewhere, Tag("elsewhere")]
    | Annotated[NotProtected, Tag("not_protected")],
    Discriminator(_system_kind),
]


class BucketPlace(Section):
    """A bucket of S3 that something is put into."""

    to: str = Field(pattern=r"^s3://[^/]", description="s3://BUCKET/PREFIX")
    aws_profile: str | None = Field(default=None, description="profile in ~/.aws/credentials")
    endpoint: str | None = Field(
        default=None, description="of S3-compatible storage that is not Amazon's"
    )


PolicyName = Literal["hipaa", "hipaa-nprm-2025", "insurer-common"]
"""The packs that lie in `policies/`, one file each."""


class Reader(StrEnum):
    """Whom a report is for."""

    MANAGER = "manager"
    AUDITOR = "auditor"
    INSURER = "insurer"
    ENGINEER = "engineer"


class ReportSpec(Section):
    """When reports are made, for whom, and where they go."""

    schedule: Schedule
    folder: Path | None = Field(
        default=None, description="absolute path of the folder they are written to"
    )
    s3: BucketPlace | None = Field(default=None, description="a bucket they are put into")
    mail: tuple[Identifier, ...] = Field(
        default=(), description="contacts that get them by e-mail, as PDF"
    )
    readers: tuple[Reader, ...] = Field(
        default=(Reader.MANAGER,), min_length=1, description="whom they are for"
    )
    after_tests: bool = Field(
        default=True,
        description="made anew after each restore test too: by e-mail where one changed what was "
        "proven, else to folder and bucket alone",
    )


class AnchorSpec(Section):
    """Where the head of the evidence is put, so that a tail that was cut off is found."""

    schedule: Schedule = Field(default=Schedule.parse("Mon 06:00"))
    mail: tuple[Identifier, ...] | None = Field(
        default=None,
        description="contacts whose mailbox keeps it; `manager` unless stated, where that contact "
        "has an e-mail address",
    )
    s3: BucketPlace | None = Field(
        default=None, description="a bucket, best one with Object Lock: it is locked for `keep`"
    )
    keep: PositiveDuration = Field(
        default=timedelta(days=6 * 365 + 2), description="for how long it is locked there"
    )


class EvidenceSpec(Section):
    """When the evidence is saved into every repository, and where its head is anchored."""

    schedule: Schedule = Field(default=Schedule.parse("05:00"))
    anchor: AnchorSpec = Field(default=AnchorSpec.model_construct())


class ActionSpec(Section):
    """Who puts right what a failed or missed test shows, and until when."""

    owner: Identifier = Field(default="msp", description="a contact, or a word such as `msp`")
    due: PositiveDuration = Field(default=timedelta(days=7), description="counted from the test")


class KitSpec(Section):
    """The packet for a responder when everything of ours is gone: when it is made anew, and where
    it goes. A change of the plan or of a runbook has it made anew too.
    """

    schedule: Schedule = Field(
        default=Schedule.parse("06:00"), description="when it is made anew, for the newest points"
    )
    folder: Path | None = Field(
        default=None,
        description="absolute path of a folder it is put into, below the practice's id",
    )
    s3: BucketPlace | None = Field(default=None, description="a bucket it is put into")
    mail: tuple[Identifier, ...] = Field(
        default=(),
        description="contacts that get it by e-mail when plan or runbooks changed, and once in "
        "each `valid`",
    )
    valid: PositiveDuration = Field(
        default=timedelta(days=30), description="for how long it says of itself that it is current"
    )


class Plan(Section):
    """The whole promise to one practice."""

    version: Literal[1] = Field(description="of the plan format")
    extends: str | None = Field(
        default=None,
        min_length=1,
        description="a template under this plan, as `templates/small-practice.yaml`, from this "
        "file's folder; see [templates](../howto/templates.md)",
    )
    practice: Practice
    contacts: dict[Identifier, Contact] = Field(default={})
    custody: tuple[Custody, ...] = ()
    repositories: dict[Identifier, RepositorySpec] = Field(min_length=1)
    systems: dict[Identifier, System] = Field(min_length=1)
    notify: tuple[Notification, ...] = Field(
        default=(), description="who is told when something needs a person"
    )
    report: ReportSpec | None = Field(
        default=None, description="left out: a report is made when somebody asks for it"
    )
    evidence: EvidenceSpec = Field(default=EvidenceSpec.model_construct())
    corrective_actions: ActionSpec = Field(default=ActionSpec.model_construct())
    policies: tuple[PolicyName, ...] = Field(
        default=("hipaa",),
        description="what rules the auditor's report is held against: `hipaa`, "
        "`hipaa-nprm-2025` (a proposal), `insurer-common`",
    )
    kit: KitSpec | None = Field(
        default=None, description="left out: the kit is made when somebody asks for it"
    )

    @property
    def signers(self) -> frozenset[str]:
        """The contacts that sign for the practice: `manager` only, unless stated."""
        return frozenset(
            name
            for name, contact in self.contacts.items()
            if (name == MANAGER if contact.signs is None else contact.signs)
        )

    @property
    def protected(self) -> dict[str, ProtectedSystem]:
        """The systems this plan protects, by id, in file order."""
        return {
            name: system
            for name, system in self.systems.items()
            if isinstance(system, ProtectedSystem)
        }

    def repositories_of(self, system: str) -> tuple[str, ...]:
        """Return the repositories that a system is saved or copied to, those saved to first."""
        backup = self.protected[system].backup
        to = backup.to or (self.first_repository,)
        return tuple(dict.fromkeys((*to, *backup.copy_to)))

    @property
    def used_repositories(self) -> tuple[str, ...]:
        """The repositories that any system is saved or copied to, in file order."""
        used = {each for system in self.protected for each in self.repositories_of(system)}
        return tuple(each for each in self.repositories if each in used)

    def only_reads(self, repository: str) -> bool:
        """Whether nothing of ours is ever saved to a repository: others save there what we test."""
        using = [
            system
            for name, system in self.protected.items()
            if repository in self.repositories_of(name)
        ]
        return bool(using) and all(system.is_existing for system in using)

    @property
    def first_repository(self) -> str:
        """The repository that everything goes to unless stated."""
        return next(iter(self.repositories))
