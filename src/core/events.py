"""Everything that can happen to the engine, as frozen messages.

``ts_recv`` is stamped once, at the edge, by the injected clock, and is the only time decisions may use;
``ts_event`` is the sender's own time where it gave one. Book prices are YES prices on both sides.
"""

from __future__ import annotations

from typing import TypeAlias

from src.core.account_events import (
    AccountReport,
    AmendAnswered,
    CancelAnswered,
    Fill,
    OrderAccepted,
    OrderRejected,
    OrderUnknown,
    OrderUpdate,
    ReportFailed,
    Settlement,
    VenueOrderStatus,
    VenuePosition,
)
from src.core.control_events import (
    ClockOffset,
    Command,
    CommandKind,
    FeedDown,
    FeedUp,
    KillSwitch,
    RulesAcknowledged,
    Shutdown,
    StoreHealth,
    Tick,
)
from src.core.market_events import (
    NO_TIME,
    BookDelta,
    BookDeltas,
    BookInvalid,
    BookSnapshot,
    ExchangeSchedule,
    ExchangeStatus,
    Levels,
    LifecycleKind,
    MarketLifecycle,
    MarketUpdate,
    PublicTrade,
    books_shown,
)
from src.core.news_events import (
    DailyMaximum,
    ForecastUpdate,
    NewsItem,
    ObservationUpdate,
)

__all__ = [
    "NO_TIME",
    "AccountEvent",
    "AccountReport",
    "AmendAnswered",
    "BookDelta",
    "BookDeltas",
    "BookInvalid",
    "BookSnapshot",
    "CancelAnswered",
    "ClockOffset",
    "Command",
    "CommandKind",
    "ControlEvent",
    "DailyMaximum",
    "Event",
    "ExchangeSchedule",
    "ExchangeStatus",
    "FeedDown",
    "FeedUp",
    "Fill",
    "ForecastUpdate",
    "KillSwitch",
    "Levels",
    "LifecycleKind",
    "MarketData",
    "MarketLifecycle",
    "MarketUpdate",
    "NewsItem",
    "ObservationUpdate",
    "OrderAccepted",
    "OrderRejected",
    "OrderUnknown",
    "OrderUpdate",
    "PublicTrade",
    "ReportFailed",
    "RulesAcknowledged",
    "Settlement",
    "Shutdown",
    "StoreHealth",
    "Tick",
    "VenueOrderStatus",
    "VenuePosition",
    "WeatherEvent",
    "books_shown",
]

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
