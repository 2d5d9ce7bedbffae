"""Evidence, and what is promised, accepted and to be put right."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_GUARDS = {
    "sqlite": (
        """CREATE TRIGGER evidence_no_update BEFORE UPDATE ON evidence
        BEGIN SELECT RAISE(ABORT, 'the evidence is append-only'); END""",
        """CREATE TRIGGER evidence_no_delete BEFORE DELETE ON evidence
        BEGIN SELECT RAISE(ABORT, 'the evidence is append-only'); END""",
    ),
    "postgresql": (
        """CREATE FUNCTION evidence_append_only() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN RAISE EXCEPTION 'the evidence is append-only'; END$$""",
        """CREATE TRIGGER evidence_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON evidence
        FOR EACH STATEMENT EXECUTE FUNCTION evidence_append_only()""",
    ),
}


def upgrade() -> None:
    """Add tables; a chain begins with the next entry. This file is never changed."""
    _promises()
    _corrective_actions()
    _evidence()
    of_restore_tests = sa.text("operation = 'restore test'")
    op.create_index(
        "ix_occurrence_restore_test",
        "occurrence",
        ["practice", "due_at", "skipped", "outcome"],
        sqlite_where=of_restore_tests,
        postgresql_where=of_restore_tests,
    )
    by_hand = sa.text("operation = 'restore test' AND schedule_id IS NULL")
    op.create_index(
        "ix_run_test_by_hand",
        "run",
        ["practice", "id"],
        sqlite_where=by_hand,
        postgresql_where=by_hand,
    )
    follow_ups = sa.text("follow_up_of IS NOT NULL")
    op.create_index(
        "ix_restore_test_follow_up",
        "restore_test",
        ["practice", "started_at", "result"],
        sqlite_where=follow_ups,
        postgresql_where=follow_ups,
    )


def _instant() -> sa.String:
    return sa.String(27).with_variant(sa.DateTime(timezone=True), "postgresql")


def _promises() -> None:
    op.create_table(
        "promise",
        sa.Column("practice", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("promise", sa.Text, nullable=False),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "sign_off",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("practice", sa.Text, nullable=False),
        sa.Column("at", _instant(), nullable=False),
        sa.Column("sign_off", sa.Text, nullable=False),
    )
    op.create_index("ix_sign_off_practice", "sign_off", ["practice", "at"])
    op.create_table(
        "verdict",
        sa.Column("practice", sa.Text, primary_key=True),
        sa.Column("system", sa.Text, primary_key=True),
        sa.Column("objective", sa.Text, primary_key=True),
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("verdict", sa.Text, nullable=False),
    )


def _corrective_actions() -> None:
    op.create_table(
        "corrective_action",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("practice", sa.Text, nullable=False),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("repository", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("test", sa.Text, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("opened_at", _instant(), nullable=False),
        sa.Column("due", _instant(), nullable=False),
        sa.Column("opened_by", sa.Text, nullable=False),
        sa.Column("closed_at", _instant()),
        sa.Column("closed_by", sa.Text, nullable=False),
        sa.Column("done", sa.Text, nullable=False),
    )
    op.create_index("ix_corrective_action_practice", "corrective_action", ["practice", "opened_at"])
    still_open = sa.text("closed_at IS NULL")
    op.create_index(
        "ix_corrective_action_open",
        "corrective_action",
        ["practice", "system", "repository", "cause"],
        unique=True,
        sqlite_where=still_open,
        postgresql_where=still_open,
    )


def _evidence() -> None:
    op.create_table(
        "evidence_chain",
        sa.Column("practice", sa.Text, primary_key=True),
        sa.Column("chain", sa.Text, primary_key=True),
        sa.Column("ours", sa.Boolean, nullable=False),
    )
    op.create_index(
        "ix_evidence_chain_ours",
        "evidence_chain",
        ["practice"],
        unique=True,
        sqlite_where=sa.text("ours"),
        postgresql_where=sa.text("ours"),
    )
    op.create_table(
        "evidence",
        sa.Column("practice", sa.Text, primary_key=True),
        sa.Column("chain", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("at", _instant(), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("line", sa.Text, nullable=False),
    )
    op.create_index("ix_evidence_kind", "evidence", ["practice", "chain", "kind", "number", "at"])
    for statement in _GUARDS[op.get_bind().dialect.name]:
        op.execute(statement)
