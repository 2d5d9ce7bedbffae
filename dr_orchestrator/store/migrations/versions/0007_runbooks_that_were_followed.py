"""Runbooks that were followed, drills, and kits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables; nothing older speaks of them. This file is never changed."""
    instant = sa.String(27).with_variant(sa.DateTime(timezone=True), "postgresql")
    op.create_table(
        "runbook_run",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("practice", sa.Text, nullable=False),
        sa.Column("incident", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("opened_at", instant, nullable=False),
        sa.Column("closed", sa.Boolean, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
    )
    op.create_index("ix_runbook_run_practice", "runbook_run", ["practice", "opened_at"])
    op.create_index("ix_runbook_run_incident", "runbook_run", ["incident"])
    op.create_table(
        "runbook_move",
        sa.Column("run", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("move", sa.Text, nullable=False),
    )
    op.create_table(
        "step_exercised",
        sa.Column("practice", sa.Text, primary_key=True),
        sa.Column("runbook", sa.Text, primary_key=True),
        sa.Column("system", sa.Text, primary_key=True),
        sa.Column("step", sa.Text, primary_key=True),
        sa.Column("at", instant, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
    )
    op.create_table(
        "drill",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("practice", sa.Text, nullable=False),
        sa.Column("started_at", instant, nullable=False),
        sa.Column("drill", sa.Text, nullable=False),
    )
    op.create_index("ix_drill_practice", "drill", ["practice", "started_at"])
    op.create_table(
        "kit",
        sa.Column("practice", sa.Text, primary_key=True),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("at", instant, nullable=False),
        sa.Column("expires", instant, nullable=False),
        sa.Column("inputs", sa.Text, nullable=False),
        sa.Column("places", sa.Text, nullable=False),
    )
