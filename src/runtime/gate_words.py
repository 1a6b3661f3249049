"""What a gate's refusal means, in plain words with its numbers."""

from __future__ import annotations

from collections.abc import Mapping

# Keys are gate names, texts may use the numbers the gate stored. A gate without a line here, or with other
# numbers, is told by its name and numbers: nothing is ever left out.
_WORDS: dict[str, str] = {
    "trading_state": "trading was {state} ({why})",
    "strategy_off": "the strategy is switched off ({why})",
    "exchange_status": "the exchange was not trading",
    "exchange_status_unknown": "it was not known whether the exchange trades",
    "pause_ahead": "the exchange pauses in {left_s:.0f} s",
    "clock_unknown": "our clock had not been compared with the exchange's",
    "clock_offset": "our clock was {offset_s:.1f} s off the exchange's",
    "account_unknown": "the exchange's records had not been read yet",
    "account_stale": "the exchange's records were last read {age_s:.0f} s ago, too long",
    "equity_unknown": "the account could not be valued: a position has no usable book",
    "market_closed": "the market was not open (status {status})",
    "closing_soon": "the market closes in {left_s:.0f} s, too soon",
    "rules_changed": "the rules of {series} are worded otherwise than before: acknowledge-rules {series}",
    "no_valid_book": "there was no book the feed vouches for",
    "book_one_sided": "the book had only one side, or its sides crossed (bid {bid}, ask {ask})",
    "feed_lag": "prices arrived {lag_s:.1f} s late",
    "signal_age": "the opinion was {age_s:.0f} s old, too old",
    "slippage": "the offer had moved to {offer:.2f} $, beyond the worst acceptable {worst:.2f} $",
    "opposite_position": "we hold {held:g} contracts of the other outcome",
    "order_working": "an order of ours is still under way in this market",
    "stopped_out": "a stop has left this outcome before; it is not entered again",
    "refused_lately": "the exchange refused {times:g} orders in a row here; waiting {wait_s:.0f} s more",
    "exit_liveness": "{market}, of the same event, could not be left if it had to be",
    "announced_pause": "the weekly pause begins in {begins_in_s:.0f} s",
    "cooldown_after_loss": "the last loss is only {since_s:.0f} s ago",
    "consecutive_losses": "{losses:g} losses in a row reached the limit of {limit:g}",
    "trades_per_hour": "{trades:g} entries within the hour reached the limit of {limit:g}",
    "trades_per_day": "{trades:g} entries within 24 hours reached the limit of {limit:g}",
    "max_open_positions": "{open:g} markets are held, the limit is {limit:g}",
    "max_position": "the market's limit has {room_dollars:.2f} $ left",
    "max_event": "the event's limit has {room_dollars:.2f} $ left",
    "max_city": "the city's limit has {room_dollars:.2f} $ left",
    "max_region": "the limit of this day's neighbouring cities has {room_dollars:.2f} $ left",
    "max_category": "the category's limit has {room_dollars:.2f} $ left",
    "max_strategy": "the strategy's limit has {room_dollars:.2f} $ left",
    "correlated_group": "a configured group's limit has {room_dollars:.2f} $ left",
    "shard_cash": "only {room_dollars:.2f} $ of cash are free on the market's shard",
    "portfolio_heat": "the portfolio's limit has {room_dollars:.2f} $ left",
    "daily_loss": "the day's loss limit has {room_dollars:.2f} $ left",
    "cash": "only {room_dollars:.2f} $ of cash are free",
    "no_offers": "nobody offered this outcome",
    "size_no_edge": (
        "no edge left after fees: best offer {best_offer:.2f} $ for a probability of {probability:.3f}"
    ),
    "size_too_small": "the sensible stake is under one contract (edge {edge:.4f} $)",
}


def explain(gate: str, numbers: Mapping[str, float | str]) -> str:
    """One sentence for a refusal; the gate's own name is in it, so that it can be searched for."""
    words = _WORDS.get(gate)
    if words is not None:
        try:
            return f"{words.format_map(numbers)} [{gate}]"
        except (KeyError, ValueError, TypeError):
            pass  # other numbers than this version knows: told below as they are
    told = ", ".join(f"{name} {_number(value)}" for name, value in numbers.items())
    return f"{gate.replace('_', ' ')}{f' ({told})' if told else ''} [{gate}]"


def _number(value: float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
