"""Options that several commands share, and what they stand for."""

from __future__ import annotations

import getpass

from dr_orchestrator.core.wording import printable


def person(by: str | None) -> str:
    """Return who acts, as `--by` says; the login name unless stated."""
    return printable(by or getpass.getuser())
