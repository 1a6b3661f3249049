"""Faults that befall the exchange itself at a world time: pauses, results, terms, and the owner's own hand.

One that names a market or series which is not listed yet happens when it is. One that cannot happen leaves
the reason in its rule's ``problem``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from src.core.fees import CENTICENT, FeeSchedule
from src.core.grid import DECI_CENT, LINEAR_CENT, TAPERED_DECI_CENT
from src.core.market import MarketStatus
from src.core.sides import BookSide
from src.core.units import DOLLAR_PRICE, Cash, Count, Price
from src.simulator.exchange import Exchange
from src.simulator.faults import ActiveRule, FaultPlan
from src.simulator.faults_orders import OrderFaults
from src.simulator.faults_spec import Place
from src.simulator.outputs import EventFeesChanged, LifecycleChange, LifecycleStep, Output
from src.simulator.records import NewOrder
from src.simulator.refusals import OrderRefused
from src.simulator.venue import BEFORE_CLOSE
from src.simulator.world import Determine

_GRIDS = {"linear_cent": LINEAR_CENT, "deci_cent": DECI_CENT, "tapered_deci_cent": TAPERED_DECI_CENT}
_VALUES = {"yes": DOLLAR_PRICE, "no": 0}
_ONE_E4 = 10_000


@dataclass(frozen=True, slots=True)
class ScaledFees(FeeSchedule):
    """Fees that are not what the terms say: each trade fee is ``scale_e4`` times (1e-4) what it should be."""

    scale_e4: int = _ONE_E4

    def trade_fee(self, price: Price, count: Count, is_taker: bool) -> Cash:
        """Fee of one fill in 1e-6 dollars, rounded up to 0.0001 dollars."""
        fee = FeeSchedule.trade_fee(self, price, count, is_taker)
        return -(-fee * self.scale_e4 // (_ONE_E4 * CENTICENT)) * CENTICENT


class _CannotHappen(Exception):
    """Why a fault could not act."""


class WorldFaults:
    """Acts on an exchange by a plan's rules. The owner's own trades are those of its first account."""

    def __init__(self, exchange: Exchange, plan: FaultPlan, orders: OrderFaults) -> None:
        self._exchange = exchange
        self._plan = plan
        self._orders = orders
        self._waiting: list[ActiveRule] = []
        self._undo: dict[ActiveRule, Callable[[], None]] = {}
        self._actions: dict[str, Callable[[ActiveRule, dict[str, Any]], None]] = {
            "pause_exchange": self._pause_exchange,
            "pause_market": self._pause_market,
            "early_close": self._early_close,
            "determine": self._determine,
            "void": self._void,
            "scalar": self._determine_scalar,
            "re_determine": self._re_determine,
            "tick_change": self._tick_change,
            "fee_change": self._fee_change,
            "fee_scale": self._fee_scale,
            "rules_change": self._rules_change,
            "external_order": self._external_order,
            "manual_fill": self._manual_fill,
        }
        exchange.subscribe(self._on_outputs)

    def added(self, active: ActiveRule) -> None:
        """Have a rule of the world act at its time."""
        if active.rule.fault not in self._actions or active.spec.place is not Place.WORLD:
            return
        when, now = active.rule.when, self._exchange.now
        start = self._plan.start
        begin = when.from_ts.at(start) if when.from_ts else now
        if begin <= now:
            self._begin(active)
        else:
            self._exchange.venue.schedule(begin, partial(self._begin, active))
        if when.to_ts is not None:
            self._exchange.venue.schedule(when.to_ts.at(start), partial(self._end, active))

    def cleared(self) -> None:
        """Undo what lasts."""
        self._waiting.clear()
        for active in list(self._undo):
            self._end(active)

    # --- when ------------------------------------------------------------------------------------

    def _begin(self, active: ActiveRule) -> None:
        if not self._is_in_force(active):
            return
        args = active.args
        exchange = self._exchange
        listed = {"ticker": exchange.markets, "event": exchange.events, "series": exchange.series}
        missing = [args[kind] for kind, known in listed.items() if args.get(kind) and args[kind] not in known]
        if missing:
            active.problem = f"waits for {missing[0]} to be listed"
            self._waiting.append(active)
            return
        active.problem = ""
        try:
            self._actions[active.rule.fault](active, args)
        except (_CannotHappen, OrderRefused, ValueError) as error:
            active.problem = str(error)
            return
        active.matched += 1
        active.fired += 1

    def _is_in_force(self, active: ActiveRule) -> bool:
        # By the exchange's own time: within a timer the world's clock has not been set yet.
        return active.in_force(self._exchange.now, self._plan.start)

    def _end(self, active: ActiveRule) -> None:
        undo = self._undo.pop(active, None)
        if undo is not None:
            undo()

    def _on_outputs(self, outputs: Sequence[Output]) -> None:
        if not any(_is_news(each) for each in outputs):
            return
        waiting, self._waiting = self._waiting, []
        for active in waiting:
            self._begin(active)
        # These last: they are applied again to what is listed later, or got other terms.
        lasting = {"fee_scale": self._fee_scale, "rules_change": self._rules_change}
        for active in self._plan.rules:
            apply = lasting.get(active.rule.fault)
            if apply is not None and active.fired and self._is_in_force(active):
                apply(active, active.args)

    # --- what ------------------------------------------------------------------------------------

    def _pause_exchange(self, active: ActiveRule, args: dict[str, Any]) -> None:
        self._exchange.set_exchange_status(exchange_active=args["scope"] != "exchange", trading_active=False)
        resume = partial(self._exchange.set_exchange_status, exchange_active=True, trading_active=True)
        self._undo[active] = resume

    def _pause_market(self, active: ActiveRule, args: dict[str, Any]) -> None:
        self._needs(args["ticker"], MarketStatus.ACTIVE)
        self._exchange.set_market_active(args["ticker"], False)
        self._undo[active] = partial(self._exchange.set_market_active, args["ticker"], True)

    def _early_close(self, active: ActiveRule, args: dict[str, Any]) -> None:
        self._needs(args["ticker"], *BEFORE_CLOSE)
        self._exchange.change_close_time(args["ticker"], self._exchange.now)
        self._exchange.advance(self._exchange.now)

    def _determine(self, active: ActiveRule, args: dict[str, Any]) -> None:
        self._set_result(args["ticker"], args["result"], _VALUES[args["result"]], "")

    def _void(self, active: ActiveRule, args: dict[str, Any]) -> None:
        """The outcome cannot be told: everybody is paid the last fair price, which the wire calls scalar."""
        value = args["value"]
        if value is None:
            value = self._exchange.markets[args["ticker"]].last_price
        if value is None:
            raise _CannotHappen(f"{args['ticker']} never traded: give the value a void pays")
        self._set_result(args["ticker"], "scalar", value, "void")

    def _determine_scalar(self, active: ActiveRule, args: dict[str, Any]) -> None:
        self._set_result(args["ticker"], "scalar", args["value"], "")

    def _re_determine(self, active: ActiveRule, args: dict[str, Any]) -> None:
        self._needs(args["ticker"], MarketStatus.DETERMINED, MarketStatus.DISPUTED, MarketStatus.AMENDED)
        value = args["value"] if args["result"] == "scalar" else _VALUES[args["result"]]
        self._set_result(args["ticker"], args["result"], value, "")

    def _set_result(self, ticker: str, result: str, value: Price, expiration_value: str) -> None:
        self._exchange.apply(Determine(self._exchange.now, ticker, result, value, expiration_value))

    def _external_order(self, active: ActiveRule, args: dict[str, Any]) -> None:
        request = NewOrder(
            args["ticker"],
            BookSide(args["side"]),
            args["price"],
            args["count"],
            client_order_id=args["client_order_id"],
        )
        self._exchange.create(self._owner(), request)

    def _manual_fill(self, active: ActiveRule, args: dict[str, Any]) -> None:
        side = BookSide(args["side"])
        self._orders.trade_by_hand(self._owner(), args["ticker"], side, args["price"], args["count"])

    def _owner(self) -> str:
        return next(iter(self._exchange.accounts))

    def _needs(self, ticker: str, *statuses: MarketStatus) -> None:
        status = self._exchange.markets[ticker].market.status
        if status not in statuses:
            raise _CannotHappen(f"{ticker} is {status.value}")

    # --- terms -----------------------------------------------------------------------------------

    def _tick_change(self, active: ActiveRule, args: dict[str, Any]) -> None:
        self._needs(args["ticker"], *BEFORE_CLOSE)
        self._exchange.change_grid(args["ticker"], _GRIDS[args["structure"]])

    def _fee_change(self, active: ActiveRule, args: dict[str, Any]) -> None:
        """A series' schedule changes silently; an event's own fees are announced."""
        exchange, multiplier = self._exchange, args["multiplier"]
        if args["event"]:
            series = exchange.series[exchange.events[args["event"]].series_ticker]
            fees = replace(series.fees, multiplier_e4=multiplier)
            exchange.change_event_fees(args["event"], fees, exchange.now)
        else:
            fees = replace(exchange.series[args["series"]].fees, multiplier_e4=multiplier)
            exchange.change_series_fees(args["series"], fees, exchange.now)

    def _rules_change(self, active: ActiveRule, args: dict[str, Any]) -> None:
        """Part of the rules' text reads otherwise from now on, silently."""
        for state in self._exchange.markets.values():
            market = state.market
            if market.series_ticker == args["series"]:
                worded = market.rules_primary.replace(args["old"], args["new"])
                state.market = replace(market, rules_primary=worded)

    def _fee_scale(self, active: ActiveRule, args: dict[str, Any]) -> None:
        for ticker, state in self._exchange.markets.items():
            fees = state.market.fees
            if active.rule.when.has_ticker(ticker) and not isinstance(fees, ScaledFees):
                scaled = ScaledFees(fees.fee_type, fees.multiplier_e4, fees.rounding, scale_e4=args["factor"])
                state.market = replace(state.market, fees=scaled)
        self._undo[active] = self._unscale

    def _unscale(self) -> None:
        for state in self._exchange.markets.values():
            fees = state.market.fees
            if isinstance(fees, ScaledFees):
                honest = FeeSchedule(fees.fee_type, fees.multiplier_e4, fees.rounding)
                state.market = replace(state.market, fees=honest)


def _is_news(output: Output) -> bool:
    """Whether markets were listed, or terms changed."""
    is_listing = isinstance(output, LifecycleChange) and output.step is LifecycleStep.CREATED
    return is_listing or isinstance(output, EventFeesChanged)
