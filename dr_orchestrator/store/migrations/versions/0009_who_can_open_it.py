"""Keys and their holders, points of what others saved, and who has a practice."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables, and what served an asset. This file is never changed."""
    op.add_column("point_asset", sa.Column("server", sa.Text, nullable=False, server_default=""))
    op.create_table("written_by", sa.Column("version", sa.Text, primary_key=True))
    op.create_table(
        "kept_manifest",
        sa.Column("practice", sa.Text, primary_key=True),
        sa.Column("point", sa.Text, primary_key=True),
        sa.Column("manifest", sa.Text, nullable=False),
    )
    op.create_table(
        "held_key",
        sa.Column("practice", sa.Text, primary_key=True),
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("form", sa.Text, nullable=False),
        sa.Column("made_at", _instant(), nullable=False),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.Column("revoked_at", _instant()),
        sa.Column("revoked_by", sa.Text, nullable=False),
    )
    op.create_table(
        "key_proof",
        sa.Column("practice", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, primary_key=True),
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("at", _instant(), nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("opened", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_table(
        "retired_repository",
        sa.Column("practice", sa.Text, primary_key=True),
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("at", _instant(), nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("replaced_by", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
    )
    op.create_table(
        "handed_over",
        sa.Column("practice", sa.Text, primary_key=True),
        sa.Column("at", _instant(), nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("to", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
    )


def _instant() -> sa.String:
    return sa.String(27).with_variant(sa.DateTime(timezone=True), "postgresql")
