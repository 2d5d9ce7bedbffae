"""A first plan for a practice, and the key that encrypts its backups.

The key is never inside the plans folder, which is likely kept in git, and what exists is never
written over: an older key may be the only one that opens older backups.
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from dr_orchestrator.errors import UsageMistake

_ID = re.compile(r"[a-z][a-z0-9_-]{0,39}", re.ASCII)
_KEY_BYTES = 32
_PLAN = """\
# The promise to one practice. Lines marked DECIDE are for a person; `dro plan show --origin` says
# what the rest of the plan is by default, and docs/reference/plan.md what else a plan can say.
version: 1
practice:
  id: {practice}
  name: {practice} # DECIDE: as it is to stand on the report
  timezone: UTC # DECIDE: as America/Chicago
repositories:
  onsite:
    location: /srv/restic/{practice} # DECIDE: a disk that is not the one the data is on
    password:
      file: {key}
      obtain: not written down yet # DECIDE: where a copy of the key is
systems:
  emr:
    rto: 4h # DECIDE: after this long, people must be able to work again
    rpo: 1h # DECIDE: at most this much work may have to be entered again
    assets:
      database:
        kind: sqlite # DECIDE: postgres, mariadb, sqlite, command, files or smb
        path: /srv/emr/emr.db # DECIDE
      # database: {{kind: postgres, host: /run/postgresql, database: emr, user: root}}
      # documents: {{kind: files, path: /srv/emr/documents}}
# notify: [{{url: {{env: OPS_CHAT}}}}] # DECIDE: who is told when something needs a person
# report: {{schedule: "Mon 07:00", folder: /srv/reports}} # the manager's page; `mail` sends it
"""


@dataclass(frozen=True)
class FirstPlan:
    """What was written."""

    plan: Path
    key: Path


def write_first_plan(practice: str, plan: Path) -> FirstPlan:
    """Write a plan that is valid as it stands, and a new random key, readable by its owner only.

    Raises:
        UsageMistake: the id cannot be one, one of the files exists already, or cannot be written.
    """
    if not _ID.fullmatch(practice):
        raise UsageMistake(
            f"{practice} is not an id",
            hint="lower-case letters, digits, - and _, beginning with a letter, 40 at most",
        )
    plan = Path(os.path.abspath(plan))  # noqa: PTH100 - resolve would follow links
    key = _place_for_key(plan, practice)
    for path in (plan, key):
        if os.path.lexists(path):
            _in_the_way(path)
    try:
        plan.parent.mkdir(parents=True, exist_ok=True)
        key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(key, secrets.token_urlsafe(_KEY_BYTES) + "\n", 0o600)
        try:
            _write_new(plan, _PLAN.format(practice=practice, key=_quoted(key)), 0o644)
        except BaseException:
            key.unlink()  # just made, and of no use to anybody
            raise
    except FileExistsError as error:
        _in_the_way(Path(error.filename))
    except OSError as error:
        raise UsageMistake(
            f"{error.filename} cannot be written: {(error.strerror or 'unknown').lower()}",
            hint="name another file with --out, or run as a user who may write there",
        ) from None
    return FirstPlan(plan, key)


def _place_for_key(plan: Path, practice: str) -> Path:
    """Return where the key goes: never into the plans folder, nor into a git work tree."""
    folder = plan.parent.parent if plan.parent.name == "plans" else plan.parent
    keys = folder / "keys"
    for above in (folder, *folder.parents):
        if (above / ".git").exists():
            keys = above.with_name(f"{above.name}-keys")
    return keys / practice


def _write_new(path: Path, content: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with open(descriptor, "w", encoding="utf-8") as stream:  # noqa: PTH123 - a descriptor
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _in_the_way(path: Path) -> NoReturn:
    raise UsageMistake(
        f"{path} exists already: nothing is written over",
        hint="name another file with --out, or move this one away",
    )
