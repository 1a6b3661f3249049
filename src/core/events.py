"""Everything that can happen to the engine, as frozen messages.

``ts_recv`` is stamped once, at the edge, by the injected clock, and is the only time decisions may use;
``ts_event`` is the sender's own time where it gave one. Book prices are YES prices on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from src.core.market import Market
from src.core.sides import BookSide
from src.core.units import Cash, Count, Nanos, Price

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Levels: TypeAlias = tuple[tuple[Price, Count], ...]


# --- market data -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BookSnapshot:
    """The whole book of a market: YES bids and YES asks, in any order."""

    ticker: str
    bids: Levels
    asks: Levels
    seq: int
    ts_event: Nanos | None
    ts_recv: Nanos


class BookDelta(NamedTuple):
    """Size at one YES price of one side changes by ``delta`` (0.01 contract, signed).

    A tuple, because the feed makes thousands a second and a frozen dataclass takes three times as long.
    """

    ticker: str
    side: BookSide
    price: Price
    delta: Count
    seq: int
    ts_event: Nanos | None
    ts_recv: Nanos


NO_TIME: Nanos = -(2**63)
"""In the columns of ``BookDeltas``: the venue gave no time."""
_SIDES = (BookSide.BID, BookSide.ASK)


@dataclass(frozen=True, slots=True, eq=False)
class BookDeltas:
    """A run of ``BookDelta`` of many markets, received together and to be applied in order.

    ``tickers``: the markets changed, each once. ``columns``: int64 of shape (changes, 6), a row a change:
    place of its market in ``tickers``, side (0 bid, 1 ask), YES price, delta, seq, ``ts_event`` or
    ``NO_TIME``. Iterating gives the same changes one by one.
    """

    tickers: tuple[str, ...]
    columns: NDArray[np.int64]
    ts_recv: Nanos

    def __len__(self) -> int:
        return len(self.columns)

    def __iter__(self) -> Iterator[BookDelta]:
        for market, side, price, delta, seq, ts_event in self.columns.tolist():
            ts = None if ts_event == NO_TIME else ts_event
            yield BookDelta(self.tickers[market], _SIDES[side], price, delta, seq, ts, self.ts_recv)


@dataclass(frozen=True, slots=True)
class BookInvalid:
    """The feed no longer vouches for these markets' books (gap, resubscription, malformed frame)."""

    tickers: tuple[str, ...]
    reason: str
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """Somebody's trade. ``taker_side`` is the book side of the taker's order."""

    ticker: str
    trade_id: str
    price: Price
    count: Count
    taker_side: BookSide
    ts_event: Nanos
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class MarketUpdate:
    """A market as the venue describes it now (listing, refresh)."""

    market: Market
    ts_recv: Nanos


class LifecycleKind(Enum):
    """Kinds of ``market_lifecycle_v2`` messages that change a known market."""

    ACTIVATED = "activated"
    DEACTIVATED = "deactivated"
    CLOSE_DATE_UPDATED = "close_date_updated"
    DETERMINED = "determined"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class MarketLifecycle:
    """A change in a market's life. Absent fields are unchanged."""

    ticker: str
    kind: LifecycleKind
    ts_recv: Nanos
    close_time: Nanos | None = None
    result: str = ""
    settlement_value: Price | None = None


@dataclass(frozen=True, slots=True)
class ExchangeStatus:
    """``trading_active`` False: orders are refused, cancels may pass; both False: nothing passes.

    ``closed_shards``: shards (``exchange_index``) that take no orders although the exchange does.
    """

    exchange_active: bool
    trading_active: bool
    ts_recv: Nanos
    closed_shards: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class ExchangeSchedule:
    """Times without trading that are known ahead: (begin, end) each, in order, as last read."""

    closed: tuple[tuple[Nanos, Nanos], ...]
    ts_recv: Nanos


# --- account -----------------------------------------------------------------------------------


class VenueOrderStatus(Enum):
    """The venue's own order statuses (REST and WebSocket)."""

    RESTING = "resting"
    CANCELED = "canceled"
    EXECUTED = "executed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class OrderAccepted:
    """Answer to our create call: the venue holds the order."""

    client_order_id: str
    order_id: str
    filled: Count
    remaining: Count
    ts_event: Nanos
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class OrderRejected:
    """The venue definitely refused the order; it does not exist. ``fatal``: until a person acts."""

    client_order_id: str
    code: str
    message: str
    ts_recv: Nanos
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class OrderUnknown:
    """No usable answer: the order may exist. Only the venue's records resolve this."""

    client_order_id: str
    reason: str
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """The venue's view of one order, from the private feed or from a listing.

    ``remaining`` is 0 once canceled; ``filled`` is cumulative. ``updated_ts`` orders updates.
    """

    order_id: str
    client_order_id: str
    ticker: str
    side: BookSide
    price: Price
    count: Count
    filled: Count
    remaining: Count
    status: VenueOrderStatus
    updated_ts: Nanos
    ts_recv: Nanos
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CancelAnswered:
    """Answer to our cancel call. ``outcome``: "canceled", "not_found" (proves nothing) or "failed".

    ``reduced_by``: what the cancel took out of the book; the rest of the order has filled.
    """

    client_order_id: str
    outcome: str
    detail: str
    ts_recv: Nanos
    reduced_by: Count | None = None


@dataclass(frozen=True, slots=True)
class AmendAnswered:
    """Answer to our amend call. ``outcome``: "amended", or "failed" (it may have happened: records tell).

    ``count`` is the order's new total and ``expiration_ts`` its new expiry; ``ts_event`` the venue's time.
    """

    client_order_id: str
    outcome: str
    count: Count
    expiration_ts: Nanos
    detail: str
    ts_event: Nanos
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class Fill:
    """One of our fills, keyed by ``(trade_id, order_id)``; ``fee`` is the venue's own, net."""

    trade_id: str
    order_id: str
    client_order_id: str
    ticker: str
    side: BookSide
    price: Price
    count: Count
    fee: Cash
    is_taker: bool
    ts_event: Nanos
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class VenuePosition:
    """Signed position (+ YES, - NO) as the venue reports it, with its own totals."""

    ticker: str
    count: Count
    exposure: Cash
    realized_pnl: Cash
    fees_paid: Cash


@dataclass(frozen=True, slots=True)
class Settlement:
    """A settled market that we held. ``value`` is the payout per YES contract (1e-4 dollars)."""

    ticker: str
    event_ticker: str
    value: Price
    revenue: Cash
    yes_count: Count
    no_count: Count
    settled_ts: Nanos
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class AccountReport:
    """The venue's records, read in this order: orders, fills, settlements, positions, balance.

    ``started_ts`` is when the first read began; ``as_of`` is the venue's own freshness stamp. A
    report is whole or it does not exist: a failed read raises, it never yields an empty list.
    ``orders`` holds every resting order and those updated since the requested time. ``shards`` is the
    balance by ``exchange_index``, empty where the venue keeps one purse.
    """

    orders: tuple[OrderUpdate, ...]
    fills: tuple[Fill, ...]
    settlements: tuple[Settlement, ...]
    positions: tuple[VenuePosition, ...]
    balance: Cash
    started_ts: Nanos
    as_of: Nanos
    ts_recv: Nanos
    shards: tuple[tuple[int, Cash], ...] = ()


@dataclass(frozen=True, slots=True)
class ReportFailed:
    """The venue's records could not be read: exposure is unknown until they can.

    ``fatal``: they are refused until a person acts (key revoked, scope or endpoint gone).
    """

    reason: str
    ts_recv: Nanos
    fatal: bool = False


# --- news and weather --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ForecastUpdate:
    """A forecast of the daily maximum (degF) of the local standard day ``target_date`` (ISO).

    ``lead_days``: days from issue to target. ``issued_ts``: model run; ``ts_event``: first known.
    """

    series_ticker: str
    station: str
    target_date: str
    source: str
    lead_days: float
    tmax_f: float
    issued_ts: Nanos
    ts_event: Nanos
    ts_recv: Nanos

    @property
    def cause_id(self) -> str:
        """Identity of this forecast for signals and storage."""
        return f"forecast:{self.source}:{self.station}:{self.target_date}:{self.issued_ts}"


@dataclass(frozen=True, slots=True)
class DailyMaximum:
    """The observed maximum (whole degF) of a local standard day; ``final`` when it is the settling one."""

    series_ticker: str
    station: str
    date: str
    tmax_f: int
    final: bool
    ts_event: Nanos
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class ObservationUpdate:
    """A temperature reading (degF) at a station."""

    series_ticker: str
    station: str
    temp_f: float
    ts_event: Nanos
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class NewsItem:
    """A headline or post. ``ts_recv`` is when it was first seen; ``ts_event`` when its sender dated it.

    Decisions know an item from ``ts_recv`` on, whatever its sender says.
    """

    source: str
    item_id: str
    text: str
    ts_event: Nanos | None
    ts_recv: Nanos

    @property
    def cause_id(self) -> str:
        """Identity of this item for signals and storage."""
        return f"news:{self.source}:{self.item_id}"


# --- control -----------------------------------------------------------------------------------


class CommandKind(Enum):
    """What a person may ask of the running system."""

    PAUSE = "pause"
    RESUME = "resume"
    HALT = "halt"
    CLEAR_HALT = "clear_halt"
    FLATTEN = "flatten"
    STRATEGY_OFF = "strategy_off"
    STRATEGY_ON = "strategy_on"


@dataclass(frozen=True, slots=True)
class Command:
    """A person's order to the system; ``who`` and ``why`` are stored with the state.

    ``target`` names the strategy of STRATEGY_OFF and STRATEGY_ON; the others have none. ``command_id`` is
    its row in the table of commands, which wants an answer; 0 for one that came another way.
    """

    kind: CommandKind
    who: str
    why: str
    ts_recv: Nanos
    target: str = ""
    command_id: int = 0


@dataclass(frozen=True, slots=True)
class KillSwitch:
    """What the kill switch says now: why it is tripped, or empty. Tripped halts; only a person clears it."""

    reason: str
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class RulesAcknowledged:
    """A person has read changed rules of a series: the wordings with these ``core.rules_text.digest``."""

    series_ticker: str
    digests: tuple[str, ...]
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class FeedDown:
    """A source is not to be trusted. ``feed``: "market", "account", "weather", "news:<name>".

    ``fatal``: the exchange refuses it until a person acts.
    """

    feed: str
    reason: str
    ts_recv: Nanos
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class FeedUp:
    """A source is connected and subscribed again."""

    feed: str
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """Our clock minus the exchange's, in nanoseconds, as last measured."""

    offset: Nanos
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """Whether the durable store takes writes: ``reason`` says why it does not, and is empty when it does."""

    reason: str
    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed. Everything periodic in the engine happens on ticks."""

    ts_recv: Nanos


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Stop: no new intents, cancel what rests."""

    ts_recv: Nanos


MarketData: TypeAlias = (
    BookSnapshot | BookDelta | BookDeltas | BookInvalid | PublicTrade | MarketUpdate | MarketLifecycle
)
AccountEvent: TypeAlias = (
    OrderAccepted
    | OrderRejected
    | OrderUnknown
    | OrderUpdate
    | CancelAnswered
    | AmendAnswered
    | Fill
    | AccountReport
    | ReportFailed
)
WeatherEvent: TypeAlias = ForecastUpdate | DailyMaximum | ObservationUpdate
ControlEvent: TypeAlias = (
    Command
    | KillSwitch
    | RulesAcknowledged
    | FeedDown
    | FeedUp
    | ClockOffset
    | ExchangeStatus
    | ExchangeSchedule
    | StoreHealth
    | Tick
    | Shutdown
)
Event: TypeAlias = MarketData | AccountEvent | WeatherEvent | NewsItem | ControlEvent
