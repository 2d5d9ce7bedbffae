"""Runs by when they started, so that last night is found among a million runs at once."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the indexes. This file is never changed again."""
    op.create_index("ix_run_started_at", "run", ["started_at"])
    op.create_index("ix_run_practice_started_at", "run", ["practice", "started_at"])
