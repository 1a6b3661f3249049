"""What happens in a world besides our own doing: crowd, news, the owner's hand, the exchange."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from src.core.events import Command, CommandKind
from src.core.sides import BookSide, Outcome
from src.core.signal import TimeInForce
from src.core.units import CENT_PRICE, DOLLAR_CASH, ONE_CONTRACT, SECOND
from src.simulator.faults_orders import OrderFaults
from src.simulator.order_changes import Amendment
from src.simulator.records import NewOrder
from src.simulator.refusals import OrderRefused
from src.simulator.world import CrowdQuote, CrowdTake, Determine
from tests.simulation.faulty_feed import Wire
from tests.simulation.news import NAME, NewsDesk
from tests.simulation.process import Process
from tests.simulation.sim_venue import KEY, SimVenue
from tests.simulation.stage import Stage
from tests.simulation.watch import Watch

_COMMANDS = (
    CommandKind.HALT,
    CommandKind.CLEAR_HALT,
    CommandKind.PAUSE,
    CommandKind.RESUME,
    CommandKind.FLATTEN,
    CommandKind.STRATEGY_OFF,
    CommandKind.STRATEGY_ON,
)
_STOPS = (CommandKind.HALT, CommandKind.PAUSE, CommandKind.STRATEGY_OFF)


class Script:
    """Runs a world's events until it heals; quotes and closings go on after that."""

    def __init__(
        self,
        stage: Stage,
        venue: SimVenue,
        wire: Wire,
        news: NewsDesk,
        watch: Watch,
        process: Callable[[], Process | None],
    ) -> None:
        self._stage = stage
        self._venue = venue
        self._wire = wire
        self._news = news
        self._watch = watch
        self._process = process
        dice = stage.dice("fair")
        self._fair = {ticker: dice.uniform(0.25, 0.75) for ticker in venue.tickers}
        self._one_sided: dict[str, float] = {}
        watch.entry_approved.append(self._intervene)
        if stage.plan.opening_position:
            self._quote()
            self._trade_by_hand()

    async def run(self) -> None:
        """Everything at once, until cancelled."""
        plan = self._stage.plan
        async with asyncio.TaskGroup() as group:
            group.create_task(self._crowd())
            for name, every, act in (
                ("news", plan.news_every, self._publish),
                ("crash", plan.crash_every, self._crash),
                ("external", plan.external_order_every, self._order_by_hand),
                ("manual", plan.manual_trade_every, self._trade_by_hand),
                ("deposit", plan.deposit_every, self._deposit),
                ("venue cancel", plan.venue_cancel_every, self._venue_cancels),
                ("late refusal", plan.refuse_late_every, self._venue_refuses_late),
                ("amend by hand", plan.hand_amend_every, self._amend_by_hand),
                ("command", plan.command_every, self._command),
                ("one-sided", plan.one_sided_every, self._withdraw_a_side),
            ):
                if every:
                    group.create_task(self._often(name, every, act))
            if plan.store_away_every:
                group.create_task(self._store_goes_away())
            if plan.pause_every:
                group.create_task(self._pauses())
            if plan.market_pause_every:
                group.create_task(self._market_pauses())
            if plan.settle:
                group.create_task(self._settle())
            if plan.close_early:
                group.create_task(self._close_early())

    async def _store_goes_away(self) -> None:
        """The database does not answer for a while; sometimes longer than the daemon waits for it."""
        dice, stage = self._stage.dice("store away"), self._stage
        while stage.faulty:
            await asyncio.sleep(dice.expovariate(1 / stage.plan.store_away_every))
            stage.store_back_at = stage.loop.time() + dice.choice([dice.uniform(1, 12), dice.uniform(15, 35)])

    # --- the crowd -----------------------------------------------------------------------------------

    async def _crowd(self) -> None:
        dice = self._stage.dice("crowd")
        while True:
            self._quote()
            if dice.random() < 0.4:
                ticker = dice.choice(self._venue.tickers)
                side = dice.choice([BookSide.BID, BookSide.ASK])
                price = 9_900 if side is BookSide.BID else 100
                count = dice.randint(1, 60) * ONE_CONTRACT
                self._venue.exchange.apply(CrowdTake(self._stage.now, ticker, side, price, count))
            await asyncio.sleep(dice.uniform(0.3, 2.0))

    def _quote(self) -> None:
        dice = self._stage.dice("quote")
        for ticker in self._venue.tickers:
            fair = min(0.93, max(0.07, self._fair[ticker] + dice.gauss(0, 0.015)))
            if dice.random() < 0.02:
                fair = dice.uniform(0.1, 0.9)
            self._fair[ticker] = fair
            half = dice.choice([1, 1, 2, 3, 7])
            bid = max(2, round(fair * 100) - half)
            ask = min(98, round(fair * 100) + half)
            bids = {bid - n: dice.randint(5, 200) for n in range(3) if bid - n > 0}
            asks = {ask + n: dice.randint(5, 200) for n in range(3) if ask + n < 100}
            if self._one_sided.get(ticker, 0.0) > self._stage.loop.time():
                bids = {}
            self._venue.exchange.apply(
                CrowdQuote(
                    self._stage.now,
                    ticker,
                    tuple((price * CENT_PRICE, size * ONE_CONTRACT) for price, size in bids.items()),
                    tuple((price * CENT_PRICE, size * ONE_CONTRACT) for price, size in asks.items()),
                )
            )

    def _withdraw_a_side(self) -> None:
        ticker = self._stage.dice("one-sided").choice(self._venue.tickers)
        self._one_sided[ticker] = self._stage.loop.time() + 12.0

    def _publish(self) -> None:
        dice = self._stage.dice("news")
        ticker = dice.choice(self._venue.tickers)
        outcome = dice.choice([Outcome.YES, Outcome.NO])
        fair = self._fair[ticker] if outcome is Outcome.YES else 1.0 - self._fair[ticker]
        self._news.publish(ticker, min(0.97, fair + dice.uniform(0.0, 0.3)), outcome)

    # --- the owner's hand ----------------------------------------------------------------------------

    def _order_by_hand(self) -> None:
        dice = self._stage.dice("external")
        ticker = dice.choice(self._venue.tickers)
        side = dice.choice([BookSide.BID, BookSide.ASK])
        price = (dice.randint(20, 45) if side is BookSide.BID else dice.randint(55, 80)) * CENT_PRICE
        expires = self._stage.now + dice.randint(5, 60) * SECOND if dice.random() < 0.5 else None
        request = NewOrder(
            ticker,
            side,
            price,
            dice.randint(1, 20) * ONE_CONTRACT,
            client_order_id=f"by hand {self._stage.now}" if dice.random() < 0.5 else "",
            expiration_ts=expires,
        )
        self._foreign(request)

    def _trade_by_hand(self) -> None:
        dice = self._stage.dice("manual")
        ticker = dice.choice(self._venue.tickers)
        side = dice.choice([BookSide.BID, BookSide.ASK])
        price = 9_900 if side is BookSide.BID else 100
        count = dice.randint(1, 8) * ONE_CONTRACT
        self._foreign(NewOrder(ticker, side, price, count, TimeInForce.IMMEDIATE_OR_CANCEL))

    def _amend_by_hand(self) -> None:
        """The owner changes the size of an order that rests, ours included."""
        dice = self._stage.dice("amend by hand")
        for order in tuple(self._venue.account.open_orders.values()):
            count = order.filled + max(ONE_CONTRACT, order.remaining + dice.randint(-8, 8) * ONE_CONTRACT)
            self._watch.foreign = True
            self._watch.by_hand.add(order.client_order_id)
            self._venue.advance()
            wanted = Amendment(order.order_id, order.ticker, order.side, order.price, count)
            try:
                self._venue.exchange.amend(KEY, wanted)
            except OrderRefused as refused:
                self._stage.trace(f"venue: refuses the owner {refused.code}")
                return
            self._stage.saw("order amended by hand")
            self._stage.trace(f"venue: by hand {order.order_id[:8]} to {count}")
            return

    def _foreign(self, request: NewOrder) -> None:
        self._watch.foreign = True
        try:
            self._venue.foreign(request)
        except OrderRefused as refused:
            self._stage.trace(f"venue: refuses the owner {refused.code}")

    def _deposit(self) -> None:
        amount = self._stage.dice("deposit").choice([-20, 50, 100]) * DOLLAR_CASH
        if self._venue.account.free_cash + amount > 50 * DOLLAR_CASH:
            self._venue.deposit(amount)
            self._stage.saw("cash moved by the owner")

    def _command(self) -> None:
        self._say(self._stage.dice("command").choice(_COMMANDS))

    def _say(self, kind: CommandKind) -> None:
        process, stage = self._process(), self._stage
        if process is not None and process.alive and process.started:
            stage.trace(f"owner: {kind.value}")
            process.daemon.inject(Command(kind, "owner", "drill", process.clock.now(), NAME))
            if stage.hits("crash after command", stage.plan.crash_after_command):
                after = stage.dice("crash after command").uniform(0.0, 4.0)
                stage.loop.call_later(after, lambda: stage.faulty and process.crash("the owner's word"))

    def _intervene(self, client_order_id: str) -> None:
        """The owner stops trading while an approved entry is being committed."""
        dice, stage = self._stage.dice("intervene"), self._stage
        if not stage.hits("owner intervenes", stage.plan.owner_intervenes):
            return

        def stop() -> None:
            if stage.faulty and client_order_id not in self._watch.sent:
                stage.saw("stopped between approval and sending")
                self._say(dice.choice(_STOPS))

        stage.loop.call_later(dice.choice([0.001, dice.uniform(0.1, 4.0)]), stop)

    def _crash(self) -> None:
        process = self._process()
        if process is not None:
            process.crash("any moment")

    # --- the exchange --------------------------------------------------------------------------------

    def _venue_cancels(self) -> None:
        for order in tuple(self._venue.account.open_orders.values()):
            try:
                self._venue.exchange.cancel(KEY, order.order_id, order.ticker)
            except OrderRefused as refused:
                self._stage.trace(f"venue: does not end the order {refused.code}")
                return
            self._stage.saw("order ended by the venue after its acknowledgement")
            return

    def _venue_refuses_late(self) -> None:
        dice = self._stage.dice("late refusal")
        for order in tuple(self._venue.account.open_orders.values()):
            faults = OrderFaults(self._venue.exchange)
            faults.reject(KEY, order.order_id, dice.choice(["post_only_cross", "self_trade"]))
            self._stage.saw("refused after its acknowledgement")
            return

    async def _pauses(self) -> None:
        dice = self._stage.dice("pause")
        while True:
            await asyncio.sleep(dice.expovariate(1 / self._stage.plan.pause_every))
            self._set_status(dice.random() < 0.5, False)
            self._stage.saw("exchange paused")
            try:
                await asyncio.sleep(dice.uniform(2, 20))
            finally:
                self._set_status(True, True)

    def _set_status(self, active: bool, trading: bool) -> None:
        self._venue.exchange.set_exchange_status(exchange_active=active, trading_active=trading)
        self._wire.status_changed()

    async def _market_pauses(self) -> None:
        dice = self._stage.dice("market pause")
        while True:
            await asyncio.sleep(dice.expovariate(1 / self._stage.plan.market_pause_every))
            ticker = dice.choice(self._venue.tickers)
            self._venue.exchange.set_market_active(ticker, False)
            try:
                await asyncio.sleep(dice.uniform(2, 20))
            finally:
                self._venue.exchange.set_market_active(ticker, True)

    async def _settle(self) -> None:
        plan, dice = self._stage.plan, self._stage.dice("settle")
        await asyncio.sleep(plan.duration * dice.uniform(0.3, 1.1))
        value = {"yes": 10_000, "no": 0, "scalar": 3_700, "void": 5_000}[plan.settle]
        ticker = self._venue.tickers[0]
        self._stage.saw(f"settled {plan.settle}")
        self._venue.exchange.apply(Determine(self._stage.now, ticker, plan.settle, value, ""))
        if dice.random() < 0.3:
            # Determined again, differently, before it is paid.
            await asyncio.sleep(2)
            self._venue.exchange.apply(Determine(self._stage.now, ticker, "yes", 10_000, ""))
            self._stage.saw("determined again")

    async def _close_early(self) -> None:
        await asyncio.sleep(self._stage.plan.duration * self._stage.dice("close").uniform(0.2, 0.9))
        self._venue.exchange.change_close_time(self._venue.tickers[-1], self._stage.now)
        self._stage.saw("market closed early")

    async def _often(self, name: str, every: float, act: Callable[[], None]) -> None:
        dice = self._stage.dice(f"every {name}")
        while self._stage.faulty:
            await asyncio.sleep(dice.expovariate(1 / every))
            if self._stage.faulty:
                act()
