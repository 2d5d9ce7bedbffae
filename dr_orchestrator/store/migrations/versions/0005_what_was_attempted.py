"""What a verdict and a night need of a million runs, without a walk through them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add indexes, and a table filled from the runs that are there. This file is never changed."""
    instant = sa.String(27).with_variant(sa.DateTime(timezone=True), "postgresql")
    op.create_table(
        "attempted",
        sa.Column("practice", sa.Text, primary_key=True),
        sa.Column("operation", sa.Text, primary_key=True),
        sa.Column("system", sa.Text, primary_key=True),
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("first_started", instant, nullable=False),
        sa.Column("newest_run", sa.Text),
        sa.Column("newest_finished", instant),
        sa.CheckConstraint("(newest_run IS NULL) = (newest_finished IS NULL)", name="newest"),
    )
    op.create_index("ix_occurrence_due_at", "occurrence", ["due_at"])
    no = sa.Column("much_new", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("point_asset", no)  # nobody counted before
    op.create_index("ix_point_asset_much_new", "point_asset", ["practice", "much_new", "point"])
    op.create_index("ix_restore_test_point", "restore_test", ["practice", "point"])
    op.create_index(
        "ix_restore_test_result",
        "restore_test",
        ["practice", "result", "started_at", "system", "repository", "id"],
    )
    op.execute(
        """
        INSERT INTO attempted
            (practice, operation, system, repository, first_started, newest_run, newest_finished)
        SELECT
            practice, operation, system, COALESCE(repository, ''), first,
            CASE WHEN finished_at IS NOT NULL THEN id END, finished_at
        FROM (
            SELECT
                run.*,
                MIN(started_at) OVER same AS first,
                ROW_NUMBER() OVER (
                    PARTITION BY practice, operation, system, repository
                    ORDER BY
                        CASE WHEN finished_at IS NULL THEN 1 ELSE 0 END, finished_at DESC, id DESC
                ) AS age
            FROM run
            WINDOW same AS (PARTITION BY practice, operation, system, repository)
        ) AS ranked
        WHERE age = 1
        """
    )
