"""Where a repository is, as far as it takes to know that it is certainly not there, and who we say
we are to a server of restic's.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from dr_orchestrator.core.secret import Secret

_REMOTE = re.compile(r"(rest|s3|sftp|rclone|b2|azure|gs|swift):")
_EMPTY_ENOUGH = {"lost+found"}
"""What a freshly made file system holds."""


def local_path(location: str) -> Path | None:
    """Return the folder of a repository on this machine's own file systems, or `None`."""
    if _REMOTE.match(location):
        return None
    return Path(location.removeprefix("local:"))


def with_login(location: str, user: str, password: Secret) -> Secret:
    """Return the location of a REST server with a user's name and password in it.

    restic 0.14 takes them from nowhere else; its RESTIC_REST_USERNAME came with 0.16.1.
    """
    parts = urlsplit(location.removeprefix("rest:"))
    login = f"{quote(user, safe='')}:{quote(password.reveal(), safe='')}"
    host = parts.netloc.rpartition("@")[2]
    return Secret(f"rest:{urlunsplit(parts._replace(netloc=f'{login}@{host}'))}")


def where_it_went(practice: str, name: str, location: str) -> str:
    """Return what to look at first where a repository is gone that was there."""
    if location.startswith("s3:"):
        return (
            "if the bucket is there, somebody deleted it: see "
            f"`dro repository undelete {practice} --repository {name} --show`"
        )
    return "is its disk mounted?"


def is_certainly_empty(path: Path) -> bool:
    """Return whether nothing is at `path`, or an empty folder.

    A link that leads nowhere and a folder we may not look into are not empty: unknown is no.
    """
    try:
        return {entry.name for entry in path.iterdir()} <= _EMPTY_ENOUGH
    except FileNotFoundError:
        return not path.is_symlink()
    except OSError:
        return False


def has_no_keys(path: Path) -> bool:
    """Return whether the repository at `path` certainly has no key files left."""
    try:
        return not any((path / "keys").iterdir())
    except FileNotFoundError:
        return True
    except OSError:
        return False
