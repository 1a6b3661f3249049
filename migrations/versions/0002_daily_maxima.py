"""Observed daily maxima are kept beside the forecasts: a restart learns its bias from both.

Revision: 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "daily_maxima",
        sa.Column("series_ticker", sa.Text(), nullable=False),
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("date", sa.Text(), nullable=False),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.Column("tmax_f", sa.BigInteger(), nullable=False),
        sa.Column("event_ns", sa.BigInteger(), nullable=False),
        sa.Column("first_seen_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("series_ticker", "station", "date", "final", name=op.f("pk_daily_maxima")),
    )


def downgrade() -> None:
    op.drop_table("daily_maxima")
