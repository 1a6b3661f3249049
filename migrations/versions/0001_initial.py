"""The first schema: orders, the ledger, the journal, control state, forecasts.

Revision: 0001, after nothing. Units are in the columns' names (see ``src.database.models``).
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_orders()
    _create_fills()
    _create_positions()
    _create_settlements()
    _create_signals()
    _create_refusals()
    _create_journal()
    _create_control_state()
    _create_forecasts()
    _create_account_marks()


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)


TABLES = (
    "account_marks",
    "forecasts",
    "control_state",
    "journal",
    "refusals",
    "signals",
    "settlements",
    "positions",
    "fills",
    "orders",
)


def _create_orders() -> None:
    op.create_table(
        "orders",
        sa.Column("client_order_id", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("signal_id", sa.Text(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("ticker", sa.Text(), nullable=False),
        sa.Column("event_ticker", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("price_e4", sa.BigInteger(), nullable=False),
        sa.Column("count_e2", sa.BigInteger(), nullable=False),
        sa.Column("filled_e2", sa.BigInteger(), nullable=False),
        sa.Column("time_in_force", sa.Text(), nullable=False),
        sa.Column("post_only", sa.Boolean(), nullable=False),
        sa.Column("reduce_only", sa.Boolean(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reserved_e6", sa.BigInteger(), nullable=False),
        sa.Column("expected_edge", sa.Float(precision=53), nullable=False),
        sa.Column("probability", sa.Float(precision=53), nullable=True),
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("book_seq", sa.BigInteger(), nullable=True),
        sa.Column("book_ts_ns", sa.BigInteger(), nullable=True),
        sa.Column("expiration_ns", sa.BigInteger(), nullable=True),
        sa.Column("exchange_index", sa.BigInteger(), nullable=False),
        sa.Column("external", sa.Boolean(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("updated_ns", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("purpose IN ('entry', 'exit')", name=op.f("ck_orders_purpose_known")),
        sa.CheckConstraint("side IN ('bid', 'ask')", name=op.f("ck_orders_side_known")),
        sa.CheckConstraint(
            "status IN ('pending_new', 'resting', 'partially_filled', 'pending_cancel', 'unknown', "
            "'executed', 'canceled', 'expired', 'rejected')",
            name=op.f("ck_orders_status_known"),
        ),
        sa.CheckConstraint(
            "time_in_force IN ('good_till_canceled', 'immediate_or_cancel', 'fill_or_kill')",
            name=op.f("ck_orders_time_in_force_known"),
        ),
        sa.CheckConstraint(
            "external OR (price_e4 > 0 AND price_e4 < 10000)", name=op.f("ck_orders_price_legal")
        ),
        sa.CheckConstraint("external OR count_e2 > 0", name=op.f("ck_orders_count_positive")),
        sa.CheckConstraint(
            "filled_e2 >= 0 AND (external OR filled_e2 <= count_e2)",
            name=op.f("ck_orders_filled_within_count"),
        ),
        sa.CheckConstraint("reserved_e6 >= 0", name=op.f("ck_orders_reserved_not_negative")),
        sa.PrimaryKeyConstraint("client_order_id", name=op.f("pk_orders")),
        sa.UniqueConstraint("order_id", name=op.f("uq_orders_order_id")),
    )
    op.create_index(
        "ix_orders_live",
        "orders",
        ["ticker"],
        postgresql_where=sa.text(
            "status IN ('pending_new', 'resting', 'partially_filled', 'pending_cancel', 'unknown')"
        ),
    )
    op.create_index(
        "uq_orders_signal_id_attempt",
        "orders",
        ["signal_id", "attempt"],
        unique=True,
        postgresql_where=sa.text("NOT external"),
    )


def _create_fills() -> None:
    op.create_table(
        "fills",
        sa.Column("trade_id", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("client_order_id", sa.Text(), nullable=False),
        sa.Column("ticker", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("price_e4", sa.BigInteger(), nullable=False),
        sa.Column("count_e2", sa.BigInteger(), nullable=False),
        sa.Column("fee_e6", sa.BigInteger(), nullable=False),
        sa.Column("is_taker", sa.Boolean(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("realized_e6", sa.BigInteger(), nullable=False),
        sa.Column("event_ns", sa.BigInteger(), nullable=False),
        sa.Column("recv_ns", sa.BigInteger(), nullable=False),
        sa.Column("booked_ns", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("side IN ('bid', 'ask')", name=op.f("ck_fills_side_known")),
        sa.CheckConstraint("count_e2 > 0", name=op.f("ck_fills_count_positive")),
        sa.CheckConstraint("price_e4 >= 0 AND price_e4 <= 10000", name=op.f("ck_fills_price_legal")),
        sa.PrimaryKeyConstraint("trade_id", "order_id", name=op.f("pk_fills")),
    )
    op.create_index(op.f("ix_fills_ticker"), "fills", ["ticker"])


def _create_positions() -> None:
    op.create_table(
        "positions",
        sa.Column("ticker", sa.Text(), nullable=False),
        sa.Column("event_ticker", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("count_e2", sa.BigInteger(), nullable=False),
        sa.Column("cost_e6", sa.BigInteger(), nullable=False),
        sa.Column("realized_e6", sa.BigInteger(), nullable=False),
        sa.Column("fees_e6", sa.BigInteger(), nullable=False),
        sa.Column("opened_ns", sa.BigInteger(), nullable=False),
        sa.Column("updated_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("ticker", name=op.f("pk_positions")),
    )


def _create_settlements() -> None:
    op.create_table(
        "settlements",
        sa.Column("ticker", sa.Text(), nullable=False),
        sa.Column("settled_ns", sa.BigInteger(), nullable=False),
        sa.Column("event_ticker", sa.Text(), nullable=False),
        sa.Column("value_e4", sa.BigInteger(), nullable=False),
        sa.Column("revenue_e6", sa.BigInteger(), nullable=False),
        sa.Column("yes_count_e2", sa.BigInteger(), nullable=False),
        sa.Column("no_count_e2", sa.BigInteger(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("pnl_e6", sa.BigInteger(), nullable=False),
        sa.Column("recv_ns", sa.BigInteger(), nullable=False),
        sa.Column("booked_ns", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("value_e4 >= 0 AND value_e4 <= 10000", name=op.f("ck_settlements_value_legal")),
        sa.PrimaryKeyConstraint("ticker", "settled_ns", name=op.f("pk_settlements")),
    )


def _create_signals() -> None:
    op.create_table(
        "signals",
        sa.Column("signal_id", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("ticker", sa.Text(), nullable=False),
        sa.Column("event_ticker", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("probability", sa.Float(precision=53), nullable=False),
        sa.Column("std_error", sa.Float(precision=53), nullable=False),
        sa.Column("min_edge", sa.Float(precision=53), nullable=False),
        sa.Column("cause_id", sa.Text(), nullable=False),
        sa.Column("cause_ns", sa.BigInteger(), nullable=False),
        sa.Column("signalled_ns", sa.BigInteger(), nullable=False),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("edge", sa.Float(precision=53), nullable=True),
        sa.Column("updated_ns", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("outcome IN ('yes', 'no')", name=op.f("ck_signals_outcome_known")),
        sa.PrimaryKeyConstraint("signal_id", name=op.f("pk_signals")),
    )


def _create_refusals() -> None:
    op.create_table(
        "refusals",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("signal_id", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("ticker", sa.Text(), nullable=False),
        sa.Column("gate", sa.Text(), nullable=False),
        sa.Column("numbers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("refused_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refusals")),
    )
    op.create_index(op.f("ix_refusals_ticker_refused_ns"), "refusals", ["ticker", "refused_ns"])


def _create_journal() -> None:
    op.create_table(
        "journal",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_journal")),
    )
    op.create_index(op.f("ix_journal_kind_ts_ns"), "journal", ["kind", "ts_ns"])
    op.create_index(
        "ix_journal_trace_id", "journal", ["trace_id"], postgresql_where=sa.text("trace_id <> ''")
    )


def _create_control_state() -> None:
    op.create_table(
        "control_state",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("until_ns", sa.BigInteger(), nullable=True),
        sa.Column("updated_ns", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "key <> 'trading_state' OR value IN ('starting', 'reconciling', 'active', 'reducing', 'halted')",
            name=op.f("ck_control_state_trading_state_known"),
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_control_state")),
    )


def _create_forecasts() -> None:
    op.create_table(
        "forecasts",
        sa.Column("series_ticker", sa.Text(), nullable=False),
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("target_date", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("issued_ns", sa.BigInteger(), nullable=False),
        sa.Column("lead_days", sa.Float(precision=53), nullable=False),
        sa.Column("tmax_f", sa.Float(precision=53), nullable=False),
        sa.Column("event_ns", sa.BigInteger(), nullable=False),
        sa.Column("first_seen_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "series_ticker", "station", "target_date", "source", "issued_ns", name=op.f("pk_forecasts")
        ),
    )


def _create_account_marks() -> None:
    op.create_table(
        "account_marks",
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.Column("cash_e6", sa.BigInteger(), nullable=False),
        sa.Column("liquidation_e6", sa.BigInteger(), nullable=False),
        sa.Column("at_risk_e6", sa.BigInteger(), nullable=False),
        sa.Column("open_positions", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("day_pnl_e6", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("ts_ns", name=op.f("pk_account_marks")),
    )
