"""Publication of a world's weather: everything known so far, then news as it happens."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import TypeAlias

from src.core.events import DailyMaximum, ForecastUpdate, ObservationUpdate

WeatherItem: TypeAlias = ForecastUpdate | DailyMaximum | ObservationUpdate
_TYPES: dict[type, str] = {
    ForecastUpdate: "forecast",
    DailyMaximum: "daily_max",
    ObservationUpdate: "observation",
}


class WeatherHub:
    """Holds the public weather record and passes on what is new."""

    def __init__(self, history: Iterable[WeatherItem] = ()) -> None:
        self.items: list[WeatherItem] = list(history)
        self._listeners: list[Callable[[WeatherItem], None]] = []

    def subscribe(self, listener: Callable[[WeatherItem], None]) -> None:
        """Call ``listener`` with every new item."""
        self._listeners.append(listener)

    def unsubscribe(self, listener: Callable[[WeatherItem], None]) -> None:
        """Stop calling ``listener``."""
        self._listeners.remove(listener)

    def publish(self, item: WeatherItem) -> None:
        """Make an item public."""
        self.items.append(item)
        for listener in list(self._listeners):
            listener(item)


def weather_message(item: WeatherItem) -> dict[str, object]:
    """The JSON form: ``type`` and the event's fields but ``ts_recv``, which the receiver stamps."""
    message: dict[str, object] = {"type": _TYPES[type(item)]}
    for each in fields(item):
        if each.name != "ts_recv":
            message[each.name] = getattr(item, each.name)
    return message
