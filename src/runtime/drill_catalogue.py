"""The fault catalogue as drills: a name for people, the fault's number, and what plays it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from src.runtime import drill_account as account
from src.runtime import drill_control as control
from src.runtime import drill_feed as feed
from src.runtime import drill_orders as orders
from src.runtime.drill_bench import Bench

Play = Callable[[Bench], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Drill:
    """One fault. ``play`` says what happened or raises ``DrillFailed``; the bench is judged afterwards."""

    area: str
    fault: str
    play: Play


DRILLS: tuple[Drill, ...] = (
    Drill("orders", "order accepted, its answer lost", orders.lost_answer),
    Drill("orders", "order lost on its way", orders.lost_request),
    Drill("orders", "error page, order accepted", orders.server_error),
    Drill("orders", "error page, order not accepted", orders.server_error_refused),
    Drill("orders", "records lag behind a lost answer", orders.read_lag),
    Drill("orders", "killed between sending and answer", orders.crash_before_answer),
    Drill("orders", "killed between fill and ledger", orders.crash_after_fill),
    Drill("orders", "partial fill", orders.partial_fill),
    Drill("orders", "fill before the answer", orders.fill_before_answer),
    Drill("orders", "fills told six times", orders.doubled_fills),
    Drill("orders", "fills never told", orders.lost_fills),
    Drill("orders", "canceled after acceptance", orders.rejected_after_ack),
    Drill("orders", "429 storm", orders.rate_limited),
    Drill("orders", "eight opinions before any fill", orders.many_at_once),
    Drill("orders", "frozen between commit and send", orders.frozen_between_commit_and_send),
    Drill("books", "frames lost", feed.lost_frames),
    Drill("books", "frames doubled", feed.doubled_frames),
    Drill("books", "frames out of order", feed.reordered_frames),
    Drill("books", "sequence starts again", feed.sequence_reset),
    Drill("books", "sequence skips", feed.sequence_gap),
    Drill("books", "acknowledgements merged", feed.merged_acknowledgements),
    Drill("books", "connection up, nothing comes", feed.silent_connection),
    Drill("books", "frames seconds late", feed.late_frames),
    Drill("books", "connection reset", feed.closed_connection),
    Drill("books", "subscription ended by an error", feed.ended_subscription),
    Drill("books", "price missing in frames", feed.missing_price),
    Drill("account", "account unreadable at the start", account.records_fail_at_start),
    Drill("account", "positions unreadable", account.positions_fail),
    Drill("account", "balance unreadable", account.balance_fails),
    Drill("account", "field removed", account.field_removed),
    Drill("account", "endpoint removed", account.endpoint_removed),
    Drill("account", "pages of one row, one fails", account.broken_pages),
    Drill("account", "key revoked", account.key_revoked),
    Drill("account", "the owner trades by hand", account.owner_trades),
    Drill("exchange", "trading paused", account.exchange_paused),
    Drill("exchange", "one market paused", account.market_paused),
    Drill("exchange", "market closes early", account.closes_early),
    Drill("exchange", "market voided", account.voided),
    Drill("exchange", "market pays a fraction", account.scalar),
    Drill("exchange", "settled while the daemon was down", account.settled_while_down),
    Drill("exchange", "fee higher than the terms", account.wrong_fee),
    Drill("exchange", "fees change", account.fee_changed),
    Drill("exchange", "price grid changes", account.tick_changed),
    Drill("control", "halt, kill, restart", control.halt_survives),
    Drill("control", "kill file", control.kill_file),
    Drill("control", "kill file cannot be read", control.kill_switch_fails),
    Drill("control", "kill file flaps", control.flapping_kill_file),
    Drill("control", "halt with an order in flight", control.halt_in_flight),
    Drill("control", "flatten while halted", control.flattened),
    Drill("control", "a second instance takes over", control.second_instance),
    Drill("control", "stop in the middle of a send", control.clean_stop),
)
