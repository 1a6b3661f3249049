"""The entry desk: from signals to approved orders, each at most once."""

from __future__ import annotations

from typing import Protocol, TypeAlias

from src.core.actions import Alert, AuditRecord, GateResult, Refused, SignalRecorded, StoredState
from src.core.sides import to_book
from src.core.signal import OrderIntent, Purpose, Signal, TimeInForce, make_client_order_id
from src.core.units import Cash, Nanos
from src.execution import risk
from src.execution.exit_desk import ExitDesk
from src.execution.ledger import Ledger
from src.execution.limits import RiskLimits
from src.execution.market_state import MarketState
from src.execution.orders import worst_case_cost
from src.execution.risk import Approved, RiskContext, approve
from src.execution.sizing import SizedOrder
from src.execution.trading_state import TradingControl

Output: TypeAlias = list[Approved | Alert | AuditRecord]
_MAX_REMEMBERED_REFUSALS = 10_000


class EntryHost(Protocol):
    """What the entry desk needs from the engine it belongs to."""

    clock_offset: Nanos | None
    store_down: str
    stopping: bool

    @property
    def now(self) -> Nanos:
        """Time of the event being handled."""

    def equity(self) -> Cash:
        """Cash plus liquidation value."""


class EntryDesk:
    """Considers each signal once it could trade: gate, size, gate again, order."""

    def __init__(
        self,
        host: EntryHost,
        markets: MarketState,
        ledger: Ledger,
        control: TradingControl,
        limits: RiskLimits,
        exits: ExitDesk,
    ) -> None:
        self._host = host
        self._markets = markets
        self._ledger = ledger
        self._control = control
        self._limits = limits
        self._exits = exits
        self._used_signals: set[str] = set()
        self._last_refusal: dict[str, str] = {}

    def restore(self, stored: StoredState) -> None:
        """The same cause cannot trade twice, not even after a restart."""
        self._used_signals |= stored.signal_ids
        self._used_signals.update(row.intent.signal_id for row in stored.orders)

    def consider(self, signal: Signal) -> Output:
        """Run a signal through the gate; approve, or store the first refusal with its numbers."""
        if signal.signal_id in self._used_signals or self._host.stopping:
            return []
        context = self._context(signal)
        refusal = risk.first_refusal(context, self._limits)
        if refusal is not None:
            return self._refuse(signal, refusal)
        sized = risk.size(context, self._limits)
        if isinstance(sized, GateResult):
            return self._refuse(signal, sized)
        intent = self._entry(signal, sized, context)
        reserved = worst_case_cost(intent, intent.count, self._markets.fees(signal.ticker))
        refusal = risk.after_sizing(context, self._limits, reserved)
        if refusal is not None:
            return self._refuse(signal, refusal)
        self._used_signals.add(signal.signal_id)
        self._last_refusal.pop(signal.signal_id, None)
        self._control.count_trade(self._host.now)
        recorded = SignalRecorded(signal, "approved", sized.edge, self._host.now)
        return [recorded, self._ledger.open_order(approve(intent, reserved), self._host.now)]

    def _context(self, signal: Signal) -> RiskContext:
        now, ledger = self._host.now, self._ledger
        portfolio, orders = ledger.portfolio, ledger.orders
        held = portfolio.get(signal.ticker)
        at_risk_here = (held.cost if held else 0) + orders.reserved(ticker=signal.ticker)
        working = {order.intent.ticker for order in orders.live()}
        return RiskContext(
            now=now,
            signal=signal,
            market=self._markets.market(signal.ticker),
            book=self._markets.book(signal.ticker),
            control=self._control,
            exchange_ok=self._markets.exchange_active and self._markets.trading_active,
            account_ts=ledger.report_ts,
            clock_offset=self._host.clock_offset,
            store_down=self._host.store_down,
            equity=self._host.equity(),
            spendable=portfolio.cash - orders.reserved(),
            at_risk=portfolio.at_risk() + orders.reserved(),
            market_at_risk=at_risk_here,
            open_positions=len({position.ticker for position in portfolio.open_positions()} | working),
            held=portfolio.count(signal.ticker),
            stopped_out=(signal.event_ticker, signal.outcome) in self._exits.stopped_out,
            working=ledger.has_entry_working(signal.ticker),
        )

    def _entry(self, signal: Signal, sized: SizedOrder, context: RiskContext) -> OrderIntent:
        side, yes_price = to_book(signal.outcome, sized.limit_price)
        book, market = context.book, context.market
        return OrderIntent(
            client_order_id=make_client_order_id(signal.signal_id),
            signal_id=signal.signal_id,
            strategy=signal.strategy,
            ticker=signal.ticker,
            event_ticker=signal.event_ticker,
            side=side,
            price=yes_price,
            count=sized.count,
            time_in_force=TimeInForce.IMMEDIATE_OR_CANCEL,
            purpose=Purpose.ENTRY,
            created_ts=self._host.now,
            trace_id=signal.cause_id,
            exchange_index=market.exchange_index if market else 0,
            expected_edge=sized.edge,
            probability=signal.probability,
            book_seq=book.seq if book else None,
            book_ts=book.ts if book else None,
        )

    def _refuse(self, signal: Signal, result: GateResult) -> Output:
        """Store a refusal when it is new: a standing one would otherwise fill the journal every tick."""
        if self._last_refusal.get(signal.signal_id) == result.gate:
            return []
        if len(self._last_refusal) >= _MAX_REMEMBERED_REFUSALS:
            self._last_refusal.pop(next(iter(self._last_refusal)))
        self._last_refusal[signal.signal_id] = result.gate
        now = self._host.now
        return [
            SignalRecorded(signal, result.gate, None, now),
            Refused(signal.signal_id, signal.strategy, signal.ticker, result, now),
        ]
