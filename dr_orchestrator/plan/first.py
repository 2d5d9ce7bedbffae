"""A first plan for a practice, and the keys and passwords that belong to it.

These are never inside the plans folder, which is likely kept in git, and what exists is never
written over: an older key may be the only one that opens older backups.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import indent, wrap
from typing import Any, NoReturn

from dr_orchestrator.core.secret import Secret
from dr_orchestrator.core.wording import printable
from dr_orchestrator.errors import PlanInvalid, UsageMistake
from dr_orchestrator.plan.effective import written_data
from dr_orchestrator.plan.load import read_plan
from dr_orchestrator.plan.secret_reference import NOT_WRITTEN_DOWN

SYSTEM = "emr"
"""What the one system of a first plan is called."""
REPOSITORY = "onsite"
_ID = re.compile(r"[a-z][a-z0-9_-]{0,39}", re.ASCII)
_KEY_BYTES = 32
_WIDEST = 88
_PLAN = """\
# The promise to one practice. Lines marked DECIDE are for a person; `dro plan show --origin` says
# what the rest of the plan is by default, and docs/reference/plan.md what else a plan can say.
version: 1
practice:
  id: {practice}
  name: {practice} # DECIDE: as it is to stand on the report
  timezone: {timezone} # DECIDE: {zone_note}
repositories:
  onsite:
    location: {location}
    password:
      file: {key}
      obtain: {obtain} # DECIDE: where a copy of the key is
  # offsite: # DECIDE: a second copy, elsewhere; and `copy_to` below
  #   location: "sftp:backup@elsewhere:/restic/{practice}"
  #   password: {{file: {key}}}
# custody: [{{holder: msp, form: vault}}] # DECIDE: who else can open the backups, and with what
systems:
  emr:
    rto: 4h # DECIDE: after this long, people must be able to work again
    rpo: 1h # DECIDE: at most this much work may have to be entered again
    # backup: {{schedule: every 30m, to: [onsite], copy_to: [offsite]}}
    assets:
{assets}{more}\
# notify: [{{url: {{env: OPS_CHAT}}}}] # DECIDE: who is told when something needs a person
# report: {{schedule: "Mon 07:00", folder: /srv/reports}} # the manager's page; `mail` sends it
"""
_NO_ASSETS = """\
      database:
        kind: sqlite # DECIDE: postgres, mariadb, sqlite, command, files or smb
        path: /srv/emr/emr.db # DECIDE
      # database: {kind: postgres, host: /run/postgresql, database: emr, user: root}
      # documents: {kind: files, path: /srv/emr/documents}
"""


@dataclass(frozen=True, kw_only=True)
class DraftedAsset:
    """An asset, and what was found out about it."""

    name: str
    stated: Mapping[str, Any]
    """What the plan says of it, as JSON."""
    remarks: tuple[str, ...] = ()
    """Comments, one line each."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What a first plan says that is not the same in each."""

    timezone: str = "UTC"
    location: str = ""
    """Of the repository; empty where a person decides."""
    assets: tuple[DraftedAsset, ...] = ()
    of_system: str = ""
    """More lines of the system, as YAML, with their comments."""


@dataclass(frozen=True)
class FirstPlan:
    """What was written."""

    plan: Path
    key: Path
    passwords: Mapping[str, Path] = field(default_factory=dict)
    """Asset -> the file of its password."""


def write_first_plan(
    practice: str,
    plan: Path,
    *,
    passwords: Mapping[str, Secret] | None = None,
    describe: Callable[[Mapping[str, Path]], Draft] = lambda _passwords: Draft(),
) -> FirstPlan:
    """Write a plan that is valid as it stands, a new random key, and the passwords of assets, each
    in a file of its own that nobody but its owner can read.

    `describe` is asked for what the plan says once the passwords are where it may refer to.

    Raises:
        UsageMistake: the id cannot be one, one of the files exists already, or cannot be written;
            or what was asked for makes no plan. Nothing is left behind then.
    """
    plan = absolute(plan)
    folder = place_for_keys(plan)
    key = folder / practice
    files = {name: folder / f"{practice}-{name}" for name in passwords or ()}
    contents = {key: Secret(secrets.token_urlsafe(_KEY_BYTES))}
    contents |= {files[name]: password for name, password in (passwords or {}).items()}
    write_new_plan(
        practice, plan, contents, lambda: first_plan_text(practice, key, describe(files))
    )
    return FirstPlan(plan, key, files)


def write_new_plan(
    practice: str, plan: Path, keys: Mapping[Path, Secret], describe: Callable[[], str]
) -> None:
    """Write a plan that is valid as it stands, and secrets to files that nobody but their owner can
    read. `describe` is asked for the plan's text once these are there.

    Raises:
        UsageMistake: the id cannot be one, one of the files exists already, or cannot be written;
            or the text is no plan. Nothing is left behind then.
    """
    if not _ID.fullmatch(practice):
        raise UsageMistake(
            f"{practice} is not an id",
            hint="lower-case letters, digits, - and _, beginning with a letter, 40 at most",
        )
    if there := [path for path in (plan, *keys) if os.path.lexists(path)]:
        _in_the_way(*there, plan=plan)
    with _our_words(), _removed_on_failure() as written:
        plan.parent.mkdir(parents=True, exist_ok=True)
        for file, secret in keys.items():
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_new(file, secret.reveal() + "\n", 0o600, written)
        text = describe()
        try:
            read_plan(text.encode(), plan.name)
        except PlanInvalid as error:
            raise UsageMistake(
                f"what was asked for makes no plan: {error.message}", hint="nothing was written"
            ) from None
        _write_new(plan, text, 0o644, written)


def absolute(path: Path) -> Path:
    """Return the full path of a file that may not be there yet; links are not followed."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve would follow links


def first_plan_text(practice: str, key: Path, draft: Draft) -> str:
    """Return the least plan, with a comment wherever a person must decide."""
    default = f"/srv/restic/{practice} # DECIDE: a disk that is not the one the data is on"
    assets = "".join(_asset(each) for each in draft.assets)
    here = "as America/Chicago" if draft.timezone == "UTC" else "this machine's own"
    return _PLAN.format(
        practice=practice,
        timezone=scalar(draft.timezone),
        zone_note=here,
        location=scalar(draft.location) if draft.location else default,
        key=scalar(str(key)),
        obtain=NOT_WRITTEN_DOWN,
        assets=assets or _NO_ASSETS,
        more=indent(draft.of_system, "    "),
    )


def comment(text: str) -> str:
    """Return a comment, of as many lines as it takes."""
    lines = wrap(printable(text), _WIDEST, break_long_words=False, break_on_hyphens=False)
    return "".join(f"# {line}\n" for line in lines)


def _asset(drafted: DraftedAsset) -> str:
    remarks = indent("".join(map(comment, drafted.remarks)), "        ")
    return f"      {drafted.name}:\n{remarks}{indent(written_data(drafted.stated), ' ' * 8)}"


def scalar(text: str) -> str:
    """Return text as one value of YAML."""
    return written_data([text]).removeprefix("- ").rstrip("\n")


def place_for_keys(plan: Path) -> Path:
    """Return where keys go: never into the plans folder, nor into a git work tree."""
    folder = plan.parent.parent if plan.parent.name == "plans" else plan.parent
    keys = folder / "keys"
    for above in (folder, *folder.parents):
        if (above / ".git").exists():
            keys = above.with_name(f"{above.name}-keys")
    return keys


@contextmanager
def _removed_on_failure() -> Iterator[list[Path]]:
    """Remove the files that were just made: without the plan they are of no use to anybody."""
    written: list[Path] = []
    try:
        yield written
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise


@contextmanager
def _our_words() -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        _in_the_way(Path(error.filename))
    except OSError as error:
        raise UsageMistake(
            f"{error.filename} cannot be written: {(error.strerror or 'unknown').lower()}",
            hint="name another file with --out, or run as a user who may write there",
        ) from None


def _write_new(path: Path, content: str, mode: int, written: list[Path]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    written.append(path)
    with open(descriptor, "w", encoding="utf-8") as stream:  # noqa: PTH123 - a descriptor
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)


def _in_the_way(first: Path, *others: Path, plan: Path | None = None) -> NoReturn:
    too = f", {' and '.join(map(str, others))} too" if others else ""
    hint = "name another file with --out, or move what is there away"
    if first == plan:
        go_on = f"to go on with it correct it, then `dro plan validate {plan}`"
        hint = f"{go_on}; to begin anew {hint}"
    raise UsageMistake(f"{first} exists already{too}: nothing is written over", hint=hint)
