"""The entry desk: from signals to approved orders, each at most once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

from src.core.actions import (
    Alert,
    AmendOrder,
    AuditRecord,
    CancelOrder,
    GateResult,
    Noted,
    Refused,
    RequestReport,
    RequestSnapshot,
    SignalRecorded,
    StoredState,
)
from src.core.sides import to_book
from src.core.signal import OrderIntent, Purpose, Signal, TimeInForce, make_client_order_id
from src.core.units import Cash, Nanos
from src.execution import maker, risk
from src.execution.event_sizing import event_targets
from src.execution.exit_desk import ExitDesk
from src.execution.exposure import exposure_of, place_of
from src.execution.ledger import Ledger
from src.execution.limits import EntryPolicy, ExecutionStyle, RiskLimits
from src.execution.market_state import MarketState
from src.execution.order_state import worst_case_cost
from src.execution.resting_desk import PROFIT_TARGET, expiry
from src.execution.risk import Approved, approve
from src.execution.risk_context import AccountView, Looked, RiskContext
from src.execution.rules_watch import RulesWatch
from src.execution.sizing import SizedOrder
from src.execution.trading_state import TradingControl
from src.execution.venue_patience import VenuePatience

Output: TypeAlias = list[
    Approved | AmendOrder | CancelOrder | RequestReport | RequestSnapshot | Alert | AuditRecord
]
_MAX_REMEMBERED_REFUSALS = 10_000


class EntryHost(Protocol):
    """What the entry desk needs from the engine it belongs to."""

    clock_offset: Nanos | None
    store_down: str
    rules: RulesWatch
    stopping: bool

    @property
    def now(self) -> Nanos:
        """Time of the event being handled."""

    @property
    def equity_known(self) -> bool:
        """Whether every position that trades has been valued."""

    def equity(self) -> Cash:
        """Cash plus liquidation value."""

    def fair_yes(self, strategy_name: str, ticker: str) -> float | None:
        """A strategy's current probability of YES."""

    def guard_failed(self, error: risk.GuardError) -> Output:
        """A risk check raised: stop."""


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
        entries: Mapping[str, EntryPolicy],
    ) -> None:
        self._host = host
        self._markets = markets
        self._ledger = ledger
        self._control = control
        self._limits = limits
        self._exits = exits
        self._entries = entries
        self._used_signals: set[str] = set()
        self._last_refusal: dict[str, str] = {}
        self.patience = VenuePatience()

    def restore(self, stored: StoredState) -> None:
        """The same cause cannot trade twice, not even after a restart."""
        self._used_signals |= stored.signal_ids
        self._used_signals.update(row.intent.signal_id for row in stored.orders)

    def consider(self, signals: Sequence[Signal]) -> Output:
        """Run the signals of one moment through the gate; those of one event are sized together.

        A check that raises stops trading: the order it was asked about may not have been safe.
        """
        if self._host.stopping:
            return []
        fresh = [signal for signal in signals if signal.signal_id not in self._used_signals]
        if not fresh:
            return []
        out: Output = []
        try:
            looked = Looked()
            targets = self._targets(fresh, looked)
            for signal in fresh:
                out += self._enter(signal, targets.get(signal.signal_id), looked)
        except risk.GuardError as error:
            out += self._host.guard_failed(error)
        return out

    def _targets(self, signals: Sequence[Signal], looked: Looked) -> dict[str, float]:
        """Contracts to hold by signal, of events whose brackets have to be sized together."""
        targets: dict[str, float] = {}
        for event_ticker in dict.fromkeys(signal.event_ticker for signal in signals):
            if self._markets.exclusive_ladder(event_ticker) is None:
                continue
            judged = [self._judge(each, looked) for each in signals if each.event_ticker == event_ticker]
            passing = [context for context, refusal in judged if refusal is None]
            try:
                targets |= event_targets(
                    passing, self._markets, self._limits, self._host.fair_yes, self._entries
                )
            except Exception as error:
                raise risk.GuardError("joint sizing", error) from error
        return targets

    def _enter(self, signal: Signal, target: float | None, looked: Looked) -> Output:
        """Approve, or store the first refusal with its numbers."""
        if signal.signal_id in self._used_signals:
            return []  # said twice in one breath
        context, refusal = self._judge(signal, looked)
        if refusal is not None:
            return self._refuse(signal, refusal)
        policy = self._entries.get(signal.strategy, EntryPolicy())
        rests = policy.style is ExecutionStyle.MAKER
        size = maker.size if rests else risk.size
        rooms = risk.room(context, self._limits)
        sized = size(context, self._limits, rooms, target)
        if isinstance(sized, GateResult):
            return self._refuse(signal, sized)
        deadline = self._host.now + policy.time_to_live if rests else None
        intent = self._entry(signal, sized, context, deadline)
        reserved = worst_case_cost(intent, intent.count, self._markets.fees(signal.ticker))
        refusal = risk.after_sizing(rooms, reserved)
        if refusal is not None:
            return self._refuse(signal, refusal)
        looked.forget()
        self._used_signals.add(signal.signal_id)
        self._last_refusal.pop(signal.signal_id, None)
        if self._ledger.orders.get(intent.client_order_id) is not None:
            # It is at the exchange, adopted as foreign: an instance that replaced this one has sent it.
            return [Noted("signal_sent_elsewhere", {"signal_id": signal.signal_id}, self._host.now)]
        self._control.count_trade(self._host.now)
        recorded = SignalRecorded(signal, "approved", sized.edge, self._host.now)
        return [recorded, self._ledger.open_order(approve(intent, reserved), self._host.now)]

    def _works(self, ticker: str) -> bool:
        """Whether an order of ours is under way here; an offer at the profit target is in nobody's way."""
        return any(
            not order.intent.strategy.endswith(f":{PROFIT_TARGET}")
            for order in self._ledger.own_orders(ticker)
        )

    def _judge(self, signal: Signal, looked: Looked) -> tuple[RiskContext, GateResult | None]:
        """What the checks see of a signal, and the first of them that refuses it."""
        known = looked.judged.get(signal.signal_id)
        if known is None or known[0].signal is not signal:
            context = self._context(signal, looked)
            known = looked.judged[signal.signal_id] = context, risk.first_refusal(context, self._limits)
        return known

    def _context(self, signal: Signal, looked: Looked | None = None) -> RiskContext:
        try:
            return self._look(signal, looked or Looked())
        except Exception as error:
            raise risk.GuardError("context", error) from error

    def _account(self) -> AccountView:
        portfolio, orders = self._ledger.portfolio, self._ledger.orders
        working = frozenset([order.intent.ticker for order in orders.live()])
        return AccountView(
            equity=self._host.equity(),
            equity_known=self._host.equity_known,
            spendable=portfolio.cash - orders.reserved(),
            exposure=exposure_of(portfolio, orders, self._markets),
            working=working,
            open_positions=len(working.union([position.ticker for position in portfolio.open_positions()])),
        )

    def _look(self, signal: Signal, looked: Looked) -> RiskContext:
        ledger, ticker = self._ledger, signal.ticker
        account = looked.account = looked.account or self._account()
        market, shard = self._markets.market(ticker), self._markets.shard_of(ticker)
        refused_times, refused_until = self.patience.refusals(ticker)
        return RiskContext(
            now=self._host.now,
            signal=signal,
            market=market,
            place=place_of(ticker, self._markets),
            book=self._markets.book(ticker),
            control=self._control,
            status=self._markets.status,
            status_lost=self._markets.status_lost,
            schedule=self._markets.schedule,
            account_ts=ledger.report_ts,
            clock_offset=self._host.clock_offset,
            store_down=self._host.store_down,
            equity=account.equity,
            equity_known=account.equity_known,
            spendable=account.spendable,
            shard_spendable=ledger.shards.spendable(shard, ledger.orders.reserved(exchange_index=shard)),
            exposure=account.exposure,
            open_positions=account.open_positions,
            held=ledger.portfolio.count(ticker),
            stopped_out=(signal.event_ticker, signal.outcome) in self._exits.stopped_out,
            working=ticker in account.working and self._works(ticker),
            unexitable=self._exits.liveness.blocked_by(signal.event_ticker),
            refused_times=refused_times,
            refused_until=refused_until,
            rules=self._host.rules.gate(market),
        )

    def _entry(
        self, signal: Signal, sized: SizedOrder, context: RiskContext, deadline: Nanos | None
    ) -> OrderIntent:
        """The order; with a ``deadline`` it rests until then at most, else it takes at once or not at all."""
        rests = deadline is not None
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
            time_in_force=TimeInForce.GOOD_TILL_CANCELED if rests else TimeInForce.IMMEDIATE_OR_CANCEL,
            purpose=Purpose.ENTRY,
            created_ts=self._host.now,
            post_only=rests,
            expiration_ts=expiry(self._host.now, deadline, self._limits.longest_expiry) if rests else None,
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
