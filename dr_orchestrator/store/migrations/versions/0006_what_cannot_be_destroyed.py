"""Copies that cannot be destroyed: locks, attempts, and whose points and snapshots they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns and tables, filled with what older entries mean. This file is never changed."""
    instant = sa.String(27).with_variant(sa.DateTime(timezone=True), "postgresql")
    op.add_column(
        "point_copy",
        sa.Column("read_back", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    for name in ("part", "parts"):
        op.add_column(
            "restore_test", sa.Column(name, sa.Integer, nullable=False, server_default="1")
        )
    op.create_table(
        "accepted_snapshot",
        sa.Column("practice", sa.Text, primary_key=True),
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("snapshot", sa.Text, primary_key=True),
    )
    op.create_table(
        "lock_extension",
        sa.Column("practice", sa.Text, primary_key=True),
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("at", instant, nullable=False),
        sa.Column("objects", sa.Integer, nullable=False),
        sa.Column("extended", sa.Integer, nullable=False),
        sa.Column("until", instant),
    )
    op.create_table(
        "immutability_test",
        sa.Column("practice", sa.Text, primary_key=True),
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("location", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("at", instant, nullable=False),
        sa.Column("attempts", sa.Text, nullable=False),
    )
    # a point whose run is not on our record was read back from a repository
    op.execute(
        """
        UPDATE point_copy SET read_back = (1 = 1)
        WHERE NOT EXISTS (
            SELECT 1 FROM point JOIN run
            ON run.id = point.run AND run.practice = point.practice
            WHERE point.id = point_copy.point AND point.practice = point_copy.practice
        )
        """
    )
