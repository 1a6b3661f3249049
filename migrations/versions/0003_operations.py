"""Commands from outside, what strategies say, the daily tie-out, and which instance committed an order.

Revision: 0003, after 0002.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_KINDS = "'pause', 'resume', 'halt', 'clear_halt', 'flatten', 'strategy_off', 'strategy_on'"


def upgrade() -> None:
    op.add_column("orders", sa.Column("fence", sa.BigInteger(), nullable=True))
    op.create_table(
        "commands",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("answered_ns", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(f"kind IN ({_KINDS})", name=op.f("ck_commands_kind_known")),
        sa.CheckConstraint(
            "status IN ('waiting', 'done', 'refused', 'withdrawn')", name=op.f("ck_commands_status_known")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commands")),
    )
    op.create_index("ix_commands_waiting", "commands", ["id"], postgresql_where=sa.text("status = 'waiting'"))
    op.create_table(
        "strategy_answers",
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("event_ticker", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("since_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("strategy", "event_ticker", name=op.f("pk_strategy_answers")),
    )
    op.create_table(
        "tie_outs",
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("differences", postgresql.JSONB(), nullable=False),
        sa.Column("fills", sa.BigInteger(), nullable=False),
        sa.Column("positions", sa.BigInteger(), nullable=False),
        sa.Column("cash_e6", sa.BigInteger(), nullable=True),
        sa.Column("balance_e6", sa.BigInteger(), nullable=True),
        sa.Column("external_e6", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("ts_ns", name=op.f("pk_tie_outs")),
    )


def downgrade() -> None:
    op.drop_table("tie_outs")
    op.drop_table("strategy_answers")
    op.drop_table("commands")
    op.drop_column("orders", "fence")
