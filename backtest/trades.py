"""From the audit stream to one row per trade: a position from its first fill to its end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from backtest.fee_history import fees_on, todays
from backtest.times import iso
from src.core.actions import (
    AccountMarked,
    AuditRecord,
    FillApplied,
    Refused,
    SettlementApplied,
    SignalRecorded,
)
from src.core.events import Fill
from src.core.market import Market
from src.core.sides import Outcome, from_book
from src.core.signal import OrderIntent, Purpose, Signal
from src.core.units import DOLLAR_PRICE, HOUR, ONE_CONTRACT, Cash, Count, Nanos, Price, dollars

_CURVE_STEP: Nanos = 6 * HOUR


@dataclass(slots=True)
class Trade:
    """A position in one market. Cash 1e-6 dollars; ``cost`` and ``proceeds`` without fees.

    ``claimed_edge`` and ``probability`` are the strategy's at entry, per contract; ``mid`` is the market's
    probability of the outcome bought when the fill was heard of. ``payout`` is what settlement paid for
    what was still held.
    ``won``: whether the outcome bought came true (None: the market never settled). ``fees_then`` and
    ``fees_today``: what these fills cost under the schedule of their date, and under today's.
    """

    strategy: str
    ticker: str
    event_ticker: str
    series_ticker: str
    outcome: Outcome
    opened_ts: Nanos
    claimed_edge: float = 0.0
    probability: float = 0.0
    mid: float | None = None
    closed_ts: Nanos | None = None
    bought: Count = 0
    cost: Cash = 0
    fees: Cash = 0
    entry_fees: Cash = 0
    fees_then: Cash = 0
    fees_today: Cash = 0
    sold: Count = 0
    proceeds: Cash = 0
    payout: Cash = 0
    exit_reason: str = ""
    won: bool | None = None

    @property
    def pnl(self) -> Cash:
        """Profit so far, fees included."""
        return self.proceeds + self.payout - self.cost - self.fees

    @property
    def contracts(self) -> float:
        """Contracts bought."""
        return self.bought / ONE_CONTRACT

    @property
    def price(self) -> float:
        """Average price paid, dollars."""
        return self.cost / self.bought / DOLLAR_PRICE if self.bought else 0.0

    @property
    def hold_pnl(self) -> Cash | None:
        """What holding to settlement would have made; None while the result is not known."""
        if self.won is None:
            return None
        return (self.bought * DOLLAR_PRICE if self.won else 0) - self.cost - self.entry_fees


@dataclass(frozen=True, slots=True)
class Said:
    """A signal as first spoken: the probability of an outcome, beside the market's offer."""

    strategy: str
    ticker: str
    outcome: Outcome
    probability: float
    offer: float | None


@dataclass(slots=True)
class OrderTally:
    """What became of the orders."""

    sent: int = 0
    filled: int = 0
    partial: int = 0
    unfilled: int = 0
    asked: Count = 0
    got: Count = 0


@dataclass(slots=True)
class _Sent:
    intent: OrderIntent
    mid: float | None
    filled: Count = 0


@dataclass(slots=True)
class TradeBook:
    """Reads the audit stream of one run."""

    trades: list[Trade] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    said: dict[str, Said] = field(default_factory=dict)
    curve: list[tuple[Nanos, Cash]] = field(default_factory=list)
    max_drawdown: Cash = 0
    taken: Count = 0
    made: Count = 0
    _peak: Cash | None = None
    _open: dict[str, Trade] = field(default_factory=dict)
    _sent: dict[str, _Sent] = field(default_factory=dict)

    def sent(self, intent: OrderIntent, mid: float | None) -> None:
        """An approved order left; ``mid`` is the market's probability of YES at that moment."""
        self._sent[intent.client_order_id] = _Sent(intent, mid)

    def observe(self, record: AuditRecord, market: Market | None = None, mid: float | None = None) -> None:
        """Count a record. ``market`` and ``mid`` (the market's probability of YES by then): of a fill."""
        match record:
            case SignalRecorded():
                self._signal(record.signal)
            case Refused():
                self.refusals[record.result.gate] += 1
            case FillApplied():
                self._fill(record.fill, market, mid)
            case SettlementApplied():
                self._settle(record)
            case AccountMarked():
                self.mark(record.ts, record.cash + record.liquidation)

    def mark(self, ts: Nanos, equity: Cash) -> None:
        """The account is worth ``equity`` now."""
        self._peak = equity if self._peak is None else max(self._peak, equity)
        self.max_drawdown = max(self.max_drawdown, self._peak - equity)
        if self.curve and ts // _CURVE_STEP == self.curve[-1][0] // _CURVE_STEP:
            self.curve[-1] = (ts, equity)
        else:
            self.curve.append((ts, equity))

    def orders(self) -> OrderTally:
        """How the orders fared."""
        tally = OrderTally()
        for sent in self._sent.values():
            tally.sent += 1
            tally.asked += sent.intent.count
            tally.got += sent.filled
            if sent.filled == sent.intent.count:
                tally.filled += 1
            elif sent.filled:
                tally.partial += 1
            else:
                tally.unfilled += 1
        return tally

    def _signal(self, signal: Signal) -> None:
        if signal.signal_id not in self.said:
            offer = signal.details.get("offer")
            self.said[signal.signal_id] = Said(
                signal.strategy, signal.ticker, signal.outcome, signal.probability, offer
            )

    def _fill(self, fill: Fill, market: Market | None, seen: float | None) -> None:
        sent = self._sent.get(fill.client_order_id)
        if sent is None:
            return  # an order of another program, or of a session before the tape
        sent.filled += fill.count
        intent = sent.intent
        outcome, price = from_book(fill.side, fill.price)
        trade = self._open.get(fill.ticker)
        if intent.purpose is Purpose.EXIT:
            if trade is None:
                raise AssertionError(f"exit fill without a position: {fill.ticker}")
            _reprice(trade, fill, market)
            self._exit(trade, fill, price, intent.strategy.rpartition(":")[2])
            return
        if trade is None:
            series = market.series_ticker if market is not None else ""
            trade = Trade(intent.strategy, fill.ticker, intent.event_ticker, series, outcome, fill.ts_event)
            self._open[fill.ticker] = trade
            self.trades.append(trade)
        _reprice(trade, fill, market)
        if fill.is_taker:
            self.taken += fill.count
        else:
            self.made += fill.count
        held, total = trade.bought, trade.bought + fill.count
        trade.claimed_edge = (trade.claimed_edge * held + intent.expected_edge * fill.count) / total
        trade.probability = (trade.probability * held + (intent.probability or 0.0) * fill.count) / total
        # The middle at the fill: by then the market may have moved, and the fill with it.
        yes_mid = seen if seen is not None else sent.mid
        if yes_mid is not None:
            mid = yes_mid if outcome is Outcome.YES else 1.0 - yes_mid
            trade.mid = mid if trade.mid is None else (trade.mid * held + mid * fill.count) / total
        trade.bought = total
        trade.cost += price * fill.count
        trade.fees += fill.fee
        trade.entry_fees += fill.fee

    def _exit(self, trade: Trade, fill: Fill, price_of_other: Price, reason: str) -> None:
        trade.sold += fill.count
        trade.proceeds += (DOLLAR_PRICE - price_of_other) * fill.count
        trade.fees += fill.fee
        trade.exit_reason = reason
        if trade.sold == trade.bought:
            trade.closed_ts = fill.ts_event
            del self._open[fill.ticker]

    def _settle(self, record: SettlementApplied) -> None:
        trade = self._open.pop(record.settlement.ticker, None)
        if trade is None:
            return
        value = record.settlement.value
        unit = value if trade.outcome is Outcome.YES else DOLLAR_PRICE - value
        trade.payout = (trade.bought - trade.sold) * unit
        trade.closed_ts = record.settlement.settled_ts
        trade.exit_reason = trade.exit_reason or "settlement"


def _reprice(trade: Trade, fill: Fill, market: Market | None) -> None:
    if market is not None:
        then, today = fees_on(fill.ts_event, market.fees), todays(market.fees)
        trade.fees_then += then.trade_fee(fill.price, fill.count, fill.is_taker)
        trade.fees_today += today.trade_fee(fill.price, fill.count, fill.is_taker)


def csv_row(trade: Trade) -> dict[str, str | float]:
    """A trade as a row of the CSV output; times ISO UTC, money in dollars."""
    hold = trade.hold_pnl
    return {
        "strategy": trade.strategy,
        "series": trade.series_ticker,
        "event": trade.event_ticker,
        "ticker": trade.ticker,
        "outcome": trade.outcome.value,
        "opened": iso(trade.opened_ts),
        "closed": iso(trade.closed_ts) if trade.closed_ts is not None else "",
        "contracts": trade.contracts,
        "price": round(trade.price, 6),
        "market_mid": "" if trade.mid is None else round(trade.mid, 4),
        "probability": round(trade.probability, 6),
        "claimed_edge": round(trade.claimed_edge, 6),
        "cost": dollars(trade.cost),
        "fees": dollars(trade.fees),
        "fees_trade_date": dollars(trade.fees_then),
        "fees_today": dollars(trade.fees_today),
        "proceeds": dollars(trade.proceeds),
        "payout": dollars(trade.payout),
        "pnl": dollars(trade.pnl),
        "exit": trade.exit_reason or "open",
        "won": "" if trade.won is None else str(trade.won).lower(),
        "hold_pnl": "" if hold is None else dollars(hold),
    }
