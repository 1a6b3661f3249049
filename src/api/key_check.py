"""Whether an API key may do what a trading system needs, and no more than that."""

from __future__ import annotations

from dataclasses import dataclass

from src.api.schema_orders import ApiKeysAnswer

_NEEDED = ("read", "write::trade")
# ``write`` holds every narrower write scope, among them the transfer of money.
_TOO_MUCH = ("write", "write::transfer")


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """``missing``: why it cannot trade. ``excess``: what it should not be able to do. ``restricted``: which
    markets it cannot trade. One text each.
    """

    missing: tuple[str, ...]
    excess: tuple[str, ...] = ()
    restricted: tuple[str, ...] = ()


def check_key(answer: ApiKeysAnswer, key_id: str, now_s: int) -> KeyCheck:
    """Judge the key ``key_id`` at ``now_s`` (Unix seconds) by the account's list of keys."""
    key = next((each for each in answer.api_keys if each.api_key_id == key_id), None)
    if key is None:
        return KeyCheck(("KALSHI_API_KEY is not among the account's keys: create a key and use its id",))
    scopes = set(key.scopes)
    missing = [
        f"the API key lacks the scope {scope}: create one with read and write::trade"
        for scope in _NEEDED
        if not scopes & {scope, scope.partition("::")[0]}
    ]
    expires = answer.api_key_region_expiration_ts
    restricted = (
        "the account's location attestation has lapsed: markets on sports, elections and entertainment "
        "refuse orders by API until it is renewed on the website",
    )
    excess = [
        f"the API key has the scope {scope}, which can move money: one with read and write::trade suffices"
        for scope in _TOO_MUCH
        if scope in scopes
    ]
    is_lapsed = expires is not None and expires <= now_s
    return KeyCheck(tuple(missing), tuple(excess), restricted if is_lapsed else ())
