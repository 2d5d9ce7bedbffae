"""The first tables: runs, recovery points, restore tests, repositories, and the journal of all."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_JOURNAL_GUARDS = {
    "sqlite": (
        """CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal
        BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
        """CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal
        BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
    ),
    "postgresql": (
        """CREATE FUNCTION journal_append_only() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN RAISE EXCEPTION 'the journal is append-only'; END$$""",
        """CREATE TRIGGER journal_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal
        FOR EACH STATEMENT EXECUTE FUNCTION journal_append_only()""",
    ),
}


def upgrade() -> None:
    """Make the tables. This file is never changed again: the next change is a new one."""
    _journal()
    _run()
    _point()
    _restore_test()
    op.create_table(
        "repository",
        sa.Column("practice", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("restic_id", sa.Text, nullable=False),
        sa.Column("first_seen", _instant(), nullable=False),
    )
    for statement in _JOURNAL_GUARDS[op.get_bind().dialect.name]:
        op.execute(statement)


def _instant() -> sa.String:
    return sa.String(27).with_variant(sa.DateTime(timezone=True), "postgresql")


def _journal() -> None:
    op.create_table(
        "journal",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("at", _instant(), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("practice", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_journal_practice", "journal", ["practice", "seq"])


def _run() -> None:
    op.create_table(
        "run",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("practice", sa.Text, nullable=False),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("repository", sa.Text),
        sa.Column("schedule_id", sa.Text),
        sa.Column("due_at", _instant()),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("token", sa.Text),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("pid_started", sa.Text, nullable=False),
        sa.Column("started_at", _instant(), nullable=False),
        sa.Column("heartbeat_at", _instant()),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("finished_at", _instant()),
        sa.Column("outcome", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.UniqueConstraint("schedule_id", "due_at"),
        sa.CheckConstraint("(finished_at IS NULL) = (outcome IS NULL)", name="closed"),
    )
    op.create_index("ix_run_practice", "run", ["practice", "system", "started_at"])
    still_open = sa.text("finished_at IS NULL")
    op.create_index(
        "ix_run_open",
        "run",
        ["started_at"],
        sqlite_where=still_open,
        postgresql_where=still_open,
    )


def _point() -> None:
    op.create_table(
        "point",
        sa.Column("practice", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("label", sa.Text),
        sa.Column("as_of", _instant(), nullable=False),
        sa.Column("finished", _instant(), nullable=False),
        sa.Column("data_as_of", _instant()),
        sa.Column("skew_seconds", sa.Float, nullable=False),
    )
    op.create_index("ix_point_system", "point", ["practice", "system", "as_of"])
    op.create_table(
        "point_asset",
        sa.Column("practice", sa.Text, primary_key=True),
        sa.Column("point", sa.Text, primary_key=True),
        sa.Column("asset", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("level", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["practice", "point"], ["point.practice", "point.id"]),
    )
    op.create_table(
        "point_copy",
        sa.Column("practice", sa.Text, primary_key=True),
        sa.Column("point", sa.Text, primary_key=True),
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("manifest_snapshot", sa.Text, nullable=False),
        sa.Column("manifest_sha256", sa.Text, nullable=False),
        sa.Column("snapshots", sa.Text, nullable=False),
        sa.Column("recorded_at", _instant(), nullable=False),
        sa.ForeignKeyConstraint(["practice", "point"], ["point.practice", "point.id"]),
    )


def _restore_test() -> None:
    op.create_table(
        "restore_test",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("practice", sa.Text, nullable=False),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("repository", sa.Text, nullable=False),
        sa.Column("point", sa.Text, nullable=False),
        sa.Column("point_as_of", _instant(), nullable=False),
        sa.Column("started_at", _instant(), nullable=False),
        sa.Column("finished_at", _instant(), nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("rta_data_seconds", sa.Float),
        sa.Column("rta_service_seconds", sa.Float),
        sa.Column("proof_seconds", sa.Float, nullable=False),
        sa.Column("rpa_seconds", sa.Float, nullable=False),
        sa.Column("newest", _instant()),
        sa.Column("data_age_seconds", sa.Float),
        sa.Column("depth", sa.Integer, nullable=False),
        sa.Column("sandbox", sa.Text, nullable=False),
        sa.Column("verifications", sa.Text, nullable=False),
        sa.Column("conditions", sa.Text, nullable=False),
        sa.Column("follow_up_of", sa.Text),
        sa.Column("next", sa.Text, nullable=False),
    )
    op.create_index("ix_restore_test_system", "restore_test", ["practice", "system", "started_at"])
