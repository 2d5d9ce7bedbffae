"""What makes a machine run the scheduler: a hardened systemd unit, or a line for cron.

Hardened as far as backups and their proof still work under it. What is left out, and why
(systemd 252, bubblewrap 0.8, reproduced on Debian 12):

- ProtectKernelTunables, ProtectKernelLogs, ProtectProc, ProcSubset: they cover parts of /proc, and
  then the kernel lets no sandbox mount a /proc of its own.
- RestrictNamespaces, ProtectHostname: a sandbox is made of namespaces, and has a name of its own.
- PrivateDevices, DevicePolicy, ProtectClock (it implies the second), RestrictSUIDSGID: what comes
  back out of a repository may be a device, or setuid, until the sandbox takes that away.
- MemoryDenyWriteExecute: PostgreSQL compiles queries (jit) and MariaDB regular expressions.
- ProtectHome: home folders may hold what is protected, and hold the credentials of storage.
- PrivateTmp: a database server's socket may lie in /tmp.
- User: what is protected belongs to many users, and a sandbox to yet another.

RequiresMountsFor names only our own folders: one backup disk that is missing must not keep the
backups to the others from being made.
"""

from __future__ import annotations

import pwd
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dr_orchestrator.plan.model import SqliteAsset
from dr_orchestrator.repositories.restic_location import local_path

if TYPE_CHECKING:
    from dr_orchestrator.plan.model import Plan
    from dr_orchestrator.settings import Settings

UNIT = "dro-scheduler.service"
CRON_FILE = "dro"
_ENVIRONMENT = "/etc/dro/environment"
_NOT_NEEDED = (
    *("CAP_AUDIT_CONTROL", "CAP_BPF", "CAP_MAC_ADMIN", "CAP_MAC_OVERRIDE", "CAP_PERFMON"),
    *("CAP_SYSLOG", "CAP_SYS_BOOT", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_TIME"),
    "CAP_WAKE_ALARM",
)
_CALLS_NOT_NEEDED = ("@clock", "@cpu-emulation", "@module", "@obsolete", "@raw-io", "@reboot")


def service_unit(settings: Settings, plans: Iterable[Plan], *, program: tuple[str, ...]) -> str:
    """Return the text of a systemd unit that runs the scheduler for these plans."""
    own = (settings.state, settings.cache, settings.sandbox_directory)
    named = {"HOME": pwd.getpwuid(0).pw_dir}  # where the credentials of storage are
    if settings.source is not None:
        named["DRO_SETTINGS"] = str(settings.source)
    environment = "\n".join(f"Environment={_word(f'{key}={text}')}" for key, text in named.items())
    writable = "\n".join(
        f"ReadWritePaths={_word(f'-{each}')}" for each in _writable(settings, plans)
    )
    return f"""\
# Written by `dro schedule install`; run it again when a plan names a new local folder.
[Unit]
Description=dro: backups that are made, and proven, by plan
Wants=network-online.target
After=network-online.target local-fs.target remote-fs.target
RequiresMountsFor={" ".join(_word(str(each)) for each in own)}

[Service]
Type=exec
ExecStart={" ".join(map(_word, program))} schedule run
{environment}
# Secrets that plans take from the environment, one NAME=value a line; chmod 600.
EnvironmentFile=-{_ENVIRONMENT}
# SIGTERM goes to the scheduler alone; it ends what runs in order, and then exits 0.
KillMode=mixed
TimeoutStopSec=120
Restart=always
RestartSec=15
# An operation that is killed for its memory is attempted again; the scheduler goes on.
OOMPolicy=continue
# The practice works on this machine, too.
Nice=10
IOSchedulingPriority=7

NoNewPrivileges=yes
ProtectSystem=strict
{writable}
ReadWritePaths=-/tmp -/var/tmp
ProtectControlGroups=yes
ProtectKernelModules=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=~{" ".join(_CALLS_NOT_NEEDED)}
SystemCallErrorNumber=EPERM
CapabilityBoundingSet=~{" ".join(_NOT_NEEDED)}

[Install]
WantedBy=multi-user.target
"""


def cron_line(settings: Settings, *, program: tuple[str, ...]) -> str:
    """Return what cron's own folder takes: every five minutes, what is due is run.

    One that still runs is no hindrance: as many as the settings have slots share the work.
    """
    named = f"DRO_SETTINGS={settings.source} " if settings.source is not None else ""
    command = " ".join(each.replace("%", r"\%") for each in program)
    secrets = f"set -a; [ ! -e {_ENVIRONMENT} ] || . {_ENVIRONMENT}; set +a"
    return f"""\
# Written by `dro schedule install --crontab`.
# Secrets that plans take from the environment: {_ENVIRONMENT}, one NAME='value' a line; chmod 600.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
*/5 * * * * root {{ {secrets}; {named}{command} schedule run --once; }} 2>&1 | logger -t dro
"""


def _writable(settings: Settings, plans: Iterable[Plan]) -> tuple[Path, ...]:
    """Return the folders that must be writable: what is there, else where it is to be made."""
    wanted = [settings.state, settings.cache, settings.sandbox_directory]
    if settings.metrics is not None:
        wanted.append(settings.metrics.parent)
    if settings.publish is not None and settings.publish.to.startswith("/"):
        wanted.append(Path(settings.publish.to))
    for plan in plans:
        wanted += _writable_by(plan)
    there = {_there(path) for path in wanted}
    return tuple(
        sorted(
            path
            for path in there
            if not any(path.is_relative_to(other) for other in there - {path})
        )
    )


def _writable_by(plan: Plan) -> Iterator[Path]:
    for repository in plan.repositories.values():
        folders = map(local_path, repository.locations)
        yield from (each for each in folders if each is not None)
    if plan.report is not None and plan.report.folder is not None:
        yield plan.report.folder
    for system in plan.protected.values():
        for asset in system.assets.values():
            if isinstance(asset, SqliteAsset):
                # whoever reads a database in WAL mode writes its -shm (sqlite.org/wal.html)
                yield asset.path.parent


def _there(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())


def _word(text: str) -> str:
    """Return one word as systemd.syntax(7) takes it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"' if escaped != text or " " in text else text
