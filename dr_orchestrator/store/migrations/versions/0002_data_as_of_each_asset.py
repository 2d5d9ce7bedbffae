"""How old the data of each asset was: what another tool made may be older than the rest."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. Points that are known had no such asset. This file is never changed again."""
    instant = sa.String(27).with_variant(sa.DateTime(timezone=True), "postgresql")
    op.add_column("point_asset", sa.Column("data_as_of", instant))
