"""What belongs to this machine, not to a practice; and the only reader of the environment.

The settings file is `$DRO_SETTINGS`, else `/etc/dro/dro.yaml` where that exists. Everything has a
default, so a machine without the file works. Read as strictly as a plan. Since the file says which
programs run, often as root, one that others can write is refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, NoReturn, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dr_orchestrator.core.secret import Secret
from dr_orchestrator.errors import SettingsInvalid
from dr_orchestrator.plan.document import (
    Document,
    Unusable,
    child,
    elements,
    plain_data,
    read_document,
    read_file,
    text_of,
    writable_by_others,
)
from dr_orchestrator.plan.notes import Notes
from dr_orchestrator.plan.notification import Notification
from dr_orchestrator.plan.notification_consistency import check_notifications
from dr_orchestrator.plan.problem import Problem, report
from dr_orchestrator.plan.quantity import PositiveDuration, mistake
from dr_orchestrator.plan.secret_reference import SecretReference
from dr_orchestrator.plan.section import Identifier, Section

SYSTEM_FILE = Path("/etc/dro/dro.yaml")
_LOCAL_TIME = "/etc/localtime"
"""A link to the file of the machine's time zone."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FOR_STORAGE = (
    *("HOME", "XDG_CONFIG_HOME", "SSH_AUTH_SOCK", "RCLONE_CONFIG"),
    *("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AWS_DEFAULT_REGION", "AWS_REGION"),
    *("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),
)
Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 of a public key."""
_FOR_OURSELVES = ("DRO_SETTINGS", "HOME", "PYTHONPATH", "XDG_CACHE_HOME", "XDG_STATE_HOME")
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})
_MOST_JOBS = 4
"""More side by side only helps where the disk is idle, and a practice works on this machine."""


class LabServer(Section):
    """A server that may receive restores of tests, for what no sandbox of ours can run."""

    kind: Literal["postgres", "mariadb"]
    host: str = Field(min_length=1, description="host name, address, or a unix socket as in plans")
    port: int | None = Field(
        default=None, ge=1, le=65535, description="the engine's own unless stated"
    )
    user: str = Field(
        min_length=1, description="an account that may make and drop databases, and nothing more"
    )
    password: SecretReference | None = Field(
        default=None, description="left out where the server trusts the connection"
    )
    sslmode: Literal["disable", "prefer", "require"] = Field(
        default="prefer", description="whether what is said over the network is encrypted"
    )


class MailServer(Section):
    """The server that takes our e-mail."""

    host: str = Field(min_length=1)
    port: int = Field(default=587, ge=1, le=65535)
    encryption: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="`none` is for a server on this machine"
    )
    user: str | None = Field(default=None, description="left out where the server asks for none")
    password: SecretReference | None = None
    sender: str = Field(min_length=1, alias="from", description="the address we write from")
    reply_to: str | None = Field(
        default=None,
        min_length=1,
        description="the address that answers go to, where nobody reads `from`",
    )

    @model_validator(mode="after")
    def _keeps_its_password(self) -> Self:
        if self.password is not None and self.user is None:
            raise mistake("`password` has no effect", "name the `user` too")
        if self.user is not None and self.encryption == "none" and self.host not in _HERE:
            raise mistake("would send the password unencrypted", "`encryption: starttls`, or `tls`")
        return self


class Publish(Section):
    """Where this site's status goes, for whoever looks after many: no patient data in it."""

    to: str = Field(
        pattern=r"^(/|s3://[^/])", description="absolute path of a folder, or s3://BUCKET/PREFIX"
    )
    every: PositiveDuration = Field(
        default=timedelta(minutes=15), description="silent for longer than twice this is red"
    )
    aws_profile: str | None = Field(default=None, description="profile in ~/.aws/credentials")
    endpoint: str | None = Field(
        default=None, description="of S3-compatible storage that is not Amazon's"
    )


class Fleet(Section):
    """Where many sites' status is read, and whose signatures are believed."""

    sites: dict[Identifier, Fingerprint] = Field(
        default={},
        description="site -> fingerprint of the key its status is signed with; `dro publish` "
        "prints it there",
    )
    aws_profile: str | None = Field(default=None, description="profile in ~/.aws/credentials")
    endpoint: str | None = Field(
        default=None, description="of S3-compatible storage that is not Amazon's"
    )


class KitProgram(Section):
    """restic for another machine, that goes into every kit: as its maker publishes it, with the
    hash of its maker's list.
    """

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$",
        description="what it is called in the kit, as `restic_0.17.3_windows_amd64.exe`",
    )
    file: Path = Field(description="absolute path of the program")
    sha256: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="of that file; no kit is made with another one"
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of this machine, complete."""

    plans: Path
    state: Path
    cache: Path
    sandbox_directory: Path
    sandbox_uid: int
    postgres_programs: tuple[str, ...]
    """Patterns of folders, as `glob` takes them."""
    mariadb_programs: tuple[str, ...]
    """The same, of MariaDB's and MySQL's."""
    command_programs: tuple[str, ...]
    """The same, of the programs that `command` assets bring into the sandbox."""
    lab_servers: Mapping[str, LabServer]
    """Servers that may receive restores of tests, by name."""
    path: str
    """Folders, as PATH has them."""
    work_jobs: int
    lock_wait: timedelta
    site: str
    """What this machine is called where many are looked after."""
    slots: int
    """Operations that may run side by side, beside emergencies."""
    mail: MailServer | None = None
    notify: tuple[Notification, ...] = ()
    """Who is told of what is wrong with any practice of this machine, and with itself."""
    publish: Publish | None = None
    metrics: Path | None = None
    """File for the node exporter of Prometheus."""
    fleet: Fleet = field(default_factory=Fleet.model_construct)
    kit_programs: tuple[KitProgram, ...] = ()
    """restic for other machines, that goes into every kit."""
    commands_allowed: bool = True
    """Whether programs run that plans name, and those of runbooks unasked."""
    source: Path | None = None
    """The file these came from, `None` where there is none."""

    @staticmethod
    def environment_value(name: str) -> str | None:
        """Return a variable of the environment, `None` where it is not set."""
        return environment_value(name)

    @staticmethod
    def whole_environment() -> dict[str, str]:
        """Return all that our own process was given: for another process of ours, and no other."""
        return dict(os.environ)

    @staticmethod
    def own_environment() -> dict[str, str]:
        """Return the variables by which another process of ours finds the same program and the same
        settings; none holds a secret.
        """
        found = {name: environment_value(name) for name in _FOR_OURSELVES}
        return {name: value for name, value in found.items() if value}

    @staticmethod
    def storage_environment(
        aws_profile: str | None = None, region: str | None = None
    ) -> dict[str, str]:
        """Return the variables by which restic, ssh and rclone find this user's configuration.

        They name files and services, and hold no secret. `aws_profile` and `region` are the plan's.
        """
        stated = {"AWS_PROFILE": aws_profile, "AWS_DEFAULT_REGION": region}
        found = {name: environment_value(name) for name in _FOR_STORAGE}
        return {name: value for name, value in (*found.items(), *stated.items()) if value}

    @staticmethod
    def storage_keys() -> tuple[Secret, Secret, Secret | None] | None:
        """Return the keys that AWS's own programs would find in the environment: id, key and the
        token of temporary ones; `None` where there are none.
        """
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        identity, key, token = (environment_value(name) for name in names)
        if not identity or not key:
            return None
        return Secret(identity), Secret(key), Secret(token) if token else None


class SettingsFile(BaseModel):
    """The machine settings: the folders, programs and limits of one machine."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    plans: Path = Field(default=Path("/etc/dro/plans"), description="folder of the plan files")
    state: Path | None = Field(
        default=None,
        description="folder of the record: /var/lib/dro for root, else ~/.local/state/dro",
    )
    cache: Path | None = Field(
        default=None,
        description="folder of what can be made again: /var/cache/dro for root, else ~/.cache/dro",
    )
    sandbox_directory: Path | None = Field(
        default=None,
        description="folder in which restored data lies while it is proven, and which needs the "
        "space for it; beside the state folder, which nobody else can pass: `/var/lib/dro-sandbox`",
    )
    sandbox_uid: int = Field(
        default=47115,
        ge=1,
        le=4_294_967_293,
        description="user and group number of programs in a sandbox, and of nobody else",
    )
    postgres_programs: tuple[str, ...] = Field(
        default=("/usr/lib/postgresql/*/bin",),
        min_length=1,
        description="patterns of the folders that PostgreSQL's server programs are in",
    )
    mariadb_programs: tuple[str, ...] = Field(
        default=("/usr/bin", "/opt/mariadb-*/bin"),
        min_length=1,
        description="patterns of the folders that MariaDB's and MySQL's programs are in; the "
        "`sbin` beside each is looked at too",
    )
    command_programs: tuple[str, ...] = Field(
        default=(),
        description="patterns of the folders outside /usr whose programs `command` assets may run "
        "inside the sandbox",
    )
    lab_servers: dict[Identifier, LabServer] = Field(
        default={},
        description="servers that may receive restores of tests: each carries our marker database, "
        "and none is the host of any asset",
    )
    path: str | None = Field(
        default=None, min_length=1, description="folders all other programs are looked for in: PATH"
    )
    work_jobs: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="programs that may load side by side: one a processor, at most 4",
    )
    lock_wait: PositiveDuration = Field(
        default=timedelta(minutes=2), description="how long to wait for somebody else's lock"
    )
    site: Identifier | None = Field(
        default=None,
        description="what this machine is called where many are looked after; its host name unless "
        "stated",
    )
    slots: int = Field(
        default=2, ge=1, le=32, description="scheduled operations that may run side by side"
    )
    mail: MailServer | None = Field(default=None, description="without it nobody gets e-mail")
    notify: tuple[Notification, ...] = Field(
        default=(),
        description="who is told what is wrong with any practice of this machine, or with itself",
    )
    publish: Publish | None = Field(default=None, description="left out: nothing is published")
    metrics: Path | None = Field(
        default=None,
        description="file written for the textfile collector of Prometheus' node exporter",
    )
    fleet: Fleet = Field(default=Fleet.model_construct())
    kit_programs: tuple[KitProgram, ...] = Field(
        default=(), description="restic for other machines, that goes into every kit"
    )
    commands: Literal["allowed", "refused"] = Field(
        default="allowed",
        description="`refused`: no program runs that a plan names, and those of a runbook only "
        "once a person confirmed them; `dro recover` writes that until somebody has read them",
    )


def environment_value(name: str) -> str | None:
    """Return a variable of the environment, `None` where it is not set."""
    return os.environ.get(name)


def machine_zone() -> ZoneInfo:
    """Return the time zone that this machine is set to; UTC where it does not say."""
    named = os.environ.get("TZ", "").removeprefix(":")
    place = os.path.realpath(_LOCAL_TIME).partition("/zoneinfo/")[2]
    for name in (named, place):
        with contextlib.suppress(ZoneInfoNotFoundError, ValueError):
            return ZoneInfo(name.removeprefix("Etc/"))
    return ZoneInfo("UTC")


def load_settings() -> Settings:
    """Return the settings of this machine.

    Raises:
        SettingsInvalid: the file named by `$DRO_SETTINGS` does not exist, or the settings file
            must not be used; the message has every mistake with its line and column.
    """
    named = os.environ.get("DRO_SETTINGS")
    if named:
        return settings_in(Path(named))
    return settings_in(SYSTEM_FILE) if SYSTEM_FILE.exists() else _complete(SettingsFile(), None)


def settings_in(path: Path) -> Settings:
    """Return the settings in a file.

    Raises:
        SettingsInvalid: it must not be used; the message has every mistake.
    """
    content, trouble = read_file(path)
    if trouble:
        raise SettingsInvalid(
            f"the settings file {path} {trouble}", hint="DRO_SETTINGS names it, where that is set"
        )
    if why := writable_by_others(path):
        raise SettingsInvalid(
            f"the settings file {path} is not safe to use: {why}",
            hint="it says which programs run: it belongs to root or you, chmod go-w",
        )
    document = read_document(content, str(path))
    if isinstance(document.root, Unusable):
        _refuse(document.problems)
    notes = Notes(document, (path,))
    check_notifications(notes, of_machine=True)
    problems = [*document.problems, *_relative_paths(document), *notes.mistakes]
    stated = SettingsFile()
    try:
        stated = SettingsFile.model_validate_json(
            json.dumps(plain_data(document.root)), strict=True
        )
    except ValidationError as error:
        from dr_orchestrator.plan.explain import explain

        problems += explain(error, document, SettingsFile)
    if problems:
        _refuse(problems)
    return _complete(stated, path)


def _complete(stated: SettingsFile, source: Path | None) -> Settings:
    """Return settings out of what a file states and this machine's defaults."""
    state = stated.state or _own_folder("/var/lib/dro", "XDG_STATE_HOME", ".local/state")
    processors = len(os.sched_getaffinity(0))
    return Settings(
        plans=stated.plans,
        state=state,
        cache=stated.cache or _own_folder("/var/cache/dro", "XDG_CACHE_HOME", ".cache"),
        sandbox_directory=stated.sandbox_directory or state.with_name(f"{state.name}-sandbox"),
        sandbox_uid=stated.sandbox_uid,
        postgres_programs=stated.postgres_programs,
        mariadb_programs=stated.mariadb_programs,
        command_programs=stated.command_programs,
        lab_servers=MappingProxyType(stated.lab_servers),
        path=stated.path or os.environ.get("PATH") or _PATH,
        work_jobs=stated.work_jobs or min(processors, _MOST_JOBS),
        lock_wait=stated.lock_wait,
        site=stated.site or _host_identifier(),
        slots=stated.slots,
        mail=stated.mail,
        notify=stated.notify,
        publish=stated.publish,
        metrics=stated.metrics,
        fleet=stated.fleet,
        kit_programs=stated.kit_programs,
        commands_allowed=stated.commands == "allowed",
        source=source,
    )


def _host_identifier() -> str:
    """Return the host's name in the letters an id may have."""
    name = re.sub(r"[^a-z0-9_-]", "-", os.uname().nodename.lower())[:39].strip("-")
    return name if name[:1].isalpha() else f"h{name}"


def _own_folder(for_root: str, variable: str, below_home: str) -> Path:
    """Return where data of this program lies; XDG base directories for other users than root."""
    if os.geteuid() == 0:
        return Path(for_root)
    stated = os.environ.get(variable, "")
    base = Path(stated) if stated.startswith("/") else Path.home() / below_home
    return base / "dro"


def _relative_paths(document: Document) -> list[Problem]:
    """Report paths that would mean another place for each folder the program is started in."""
    problems = []
    root = document.root
    paths = [
        child(root, key) for key in ("plans", "state", "cache", "sandbox_directory", "metrics")
    ]
    patterns = ("postgres_programs", "mariadb_programs", "command_programs")
    programs = [node for key in patterns for node in elements(child(root, key))]
    in_kits = [child(each, "file") for each in elements(child(root, "kit_programs"))]
    for node in (*paths, *programs, *in_kits):
        text = text_of(node)
        if node is not None and text is not None and not text.startswith("/"):
            problems.append(
                document.problem(
                    node.position, node.path, "must be an absolute path", "begin it with /"
                )
            )
    return problems


def _refuse(problems: list[Problem]) -> NoReturn:
    raise SettingsInvalid(report(sorted(set(problems))))
