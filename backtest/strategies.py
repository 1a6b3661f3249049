"""Strategies by name: the configured ones and the reference ones; ``name:argument`` where one fits."""

from __future__ import annotations

from backtest.reference_strategies import BuyFavourite, BuyUnder, Nothing, RandomSide
from src.core.errors import ConfigError
from src.core.ports import Strategy
from src.core.units import CENT_PRICE, DOLLAR_PRICE
from src.execution.limits import ExitPolicy
from src.runtime.settings import Settings
from src.runtime.settings_mode import Mode
from src.runtime.strategies import STRATEGIES

HOLD = ExitPolicy(price_stop=False)
DESCRIPTIONS = {
    **{entry.short: f"{entry.what} (strategies.{entry.key})" for entry in STRATEGIES},
    "buy_favourite": "reference: the likeliest outcome of each event, held to settlement",
    "buy_under": "reference: YES the first time it is offered below a price; buy_under:0.20 is the default",
    "random": "reference: a random side at the favourite's time; random:7 seeds it",
    "nothing": "reference: never trades",
}
_CONFIGURED = {entry.short: entry for entry in STRATEGIES}
_ALIASES = {entry.key: entry.short for entry in STRATEGIES}


def names_of(text: str) -> tuple[str, ...]:
    """``all`` or a comma-separated list, checked. Raises ``ConfigError`` listing what there is."""
    if text == "all":
        return tuple(DESCRIPTIONS)
    names = tuple(part.strip() for part in text.split(","))
    for name in names:
        base = name.partition(":")[0]
        if _ALIASES.get(base, base) not in DESCRIPTIONS:
            there = "; ".join(f"{known} ({what})" for known, what in DESCRIPTIONS.items())
            raise ConfigError(f"strategy: {name!r} is not known. There are: {there}; or all")
    return names


def make_strategy(name: str, settings: Settings) -> tuple[Strategy, ExitPolicy]:
    """A fresh strategy and how its positions are left. Raises ``ConfigError``."""
    (checked,) = names_of(name)
    base, _, argument = checked.partition(":")
    base = _ALIASES.get(base, base)
    if argument and base not in {"buy_under", "random"}:
        raise ConfigError(f"strategy: {base} takes no argument, got {argument!r}")
    if base in _CONFIGURED:
        return _CONFIGURED[base].build(settings, Mode.SIMULATED)
    if base == "buy_favourite":
        return BuyFavourite(), HOLD
    if base == "buy_under":
        return BuyUnder(_cents(argument)), HOLD
    if base == "random":
        return RandomSide(_seed(argument)), HOLD
    return Nothing(), HOLD


def _cents(argument: str) -> int:
    if not argument:
        return 20 * CENT_PRICE
    try:
        price = round(float(argument) * DOLLAR_PRICE)
    except ValueError:
        price = 0
    if not 0 < price < DOLLAR_PRICE:
        raise ConfigError(f"strategy: buy_under:{argument} needs a price in dollars, e.g. buy_under:0.20")
    return price


def _seed(argument: str) -> int:
    if argument and not argument.isdigit():
        raise ConfigError(f"strategy: random:{argument} needs a whole number, e.g. random:7")
    return int(argument or "0")
