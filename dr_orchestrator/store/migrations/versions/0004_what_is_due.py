"""What is due and who works on it; what keeps a point; what was read back; who was told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables; a run may be one of several attempts. This file is never changed again."""
    _run()
    for name, kind in (("files", sa.BigInteger), ("changed_files", sa.BigInteger)):
        op.add_column("point_asset", sa.Column(name, kind))
    op.add_column("point_asset", sa.Column("added_bytes", sa.BigInteger))
    _due()
    _at_work()
    _kept()
    _told()


def _instant() -> sa.String:
    return sa.String(27).with_variant(sa.DateTime(timezone=True), "postgresql")


def _run() -> None:
    # The indexes stand apart while SQLite writes the table anew: it would lose their conditions.
    op.drop_index("ix_run_open", "run")
    with op.batch_alter_table("run") as run:
        run.drop_constraint("uq_run_schedule_id_due_at", type_="unique")
        run.create_unique_constraint(
            "uq_run_schedule_id_due_at_attempt", ["schedule_id", "due_at", "attempt"]
        )
        for column in ("token", "heartbeat_at", "cancel_requested"):
            run.drop_column(column)
    still_open = sa.text("finished_at IS NULL")
    op.create_index(
        "ix_run_open",
        "run",
        ["started_at"],
        sqlite_where=still_open,
        postgresql_where=still_open,
    )


def _due() -> None:
    op.create_table(
        "schedule",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("last_due", _instant(), nullable=False),
    )
    op.create_table(
        "occurrence",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("schedule_id", sa.Text, nullable=False),
        sa.Column("due_at", _instant(), nullable=False),
        sa.Column("practice", sa.Text, nullable=False),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("repository", sa.Text),
        sa.Column("point", sa.Text, nullable=False),
        sa.Column("skipped", sa.Text, nullable=False),
        sa.Column("keeps_older", sa.Boolean, nullable=False),
        sa.Column("emergency", sa.Boolean, nullable=False),
        sa.Column("settled_at", _instant()),
        sa.Column("outcome", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.UniqueConstraint("schedule_id", "due_at"),
    )
    op.create_index("ix_occurrence_practice", "occurrence", ["practice", "due_at"])
    still_open = sa.text("settled_at IS NULL")
    op.create_index(
        "ix_occurrence_open",
        "occurrence",
        ["due_at"],
        sqlite_where=still_open,
        postgresql_where=still_open,
    )


def _at_work() -> None:
    op.create_table(
        "claim",
        sa.Column("occurrence", sa.Text, primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("spared", sa.Integer, nullable=False),
        sa.Column("token", sa.Text),
        sa.Column("host", sa.Text),
        sa.Column("pid", sa.Integer),
        sa.Column("pid_started", sa.Text),
        sa.Column("heartbeat_at", _instant()),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("not_before", _instant()),
        sa.Column("outcome", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.CheckConstraint("(token IS NULL) = (heartbeat_at IS NULL)", name="held"),
    )
    op.create_table(
        "lock",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, primary_key=True),
        sa.Column("exclusive", sa.Boolean, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("pid_started", sa.Text, nullable=False),
        sa.Column("asked_at", _instant(), nullable=False),
        sa.Column("granted_at", _instant()),
        sa.Column("heartbeat_at", _instant(), nullable=False),
    )
    op.create_table(
        "scheduler",
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("pid", sa.Integer, primary_key=True),
        sa.Column("pid_started", sa.Text, primary_key=True),
        sa.Column("started_at", _instant(), nullable=False),
        sa.Column("heartbeat_at", _instant(), nullable=False),
    )


def _kept() -> None:
    op.create_table(
        "hold",
        sa.Column("practice", sa.Text, primary_key=True),
        sa.Column("point", sa.Text, primary_key=True),
        sa.Column("at", _instant(), nullable=False),
        sa.Column("until", _instant()),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("released", sa.Boolean, nullable=False),
    )
    op.create_table(
        "repository_check",
        sa.Column("practice", sa.Text, primary_key=True),
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("parts", sa.Integer, primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("at", _instant(), nullable=False),
        sa.Column("sound", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_table(
        "freeze",
        sa.Column("practice", sa.Text, primary_key=True),
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("at", _instant(), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
    )
    op.create_table(
        "retention_release",
        sa.Column("practice", sa.Text, primary_key=True),
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("at", _instant(), nullable=False),
    )
    op.create_table(
        "pause",
        sa.Column("practice", sa.Text, primary_key=True),
        sa.Column("system", sa.Text, primary_key=True),
        sa.Column("at", _instant(), nullable=False),
        sa.Column("until", _instant(), nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
    )


def _told() -> None:
    op.create_table(
        "problem",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("practice", sa.Text, nullable=False),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("next", sa.Text, nullable=False),
        sa.Column("since", _instant()),
        sa.Column("opened_at", _instant(), nullable=False),
        sa.Column("acknowledged_at", _instant()),
        sa.Column("acknowledged_by", sa.Text, nullable=False),
        sa.Column("closed_at", _instant()),
    )
    op.create_index("ix_problem_practice", "problem", ["practice", "opened_at"])
    still_open = sa.text("closed_at IS NULL")
    op.create_index(
        "ix_problem_open",
        "problem",
        ["practice", "key"],
        unique=True,
        sqlite_where=still_open,
        postgresql_where=still_open,
    )
    op.create_table(
        "telling",
        sa.Column("problem", sa.Text, primary_key=True),
        sa.Column("channel", sa.Text, primary_key=True),
        sa.Column("at", _instant(), primary_key=True),
        sa.Column("practice", sa.Text, nullable=False),
        sa.Column("occasion", sa.Text, nullable=False),
        sa.Column("delivered", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
