"""The same contract on another day, for another bracket, has the same wording; another contract has not."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.execution.builders as b
from src.core.market import Market, Strike, StrikeKind
from src.core.rules_text import difference, digest, shape, wording

NWS = (
    "If the highest temperature recorded in Central Park, New York for {date} as reported by the National "
    "Weather Service's Climatological Report (Daily), is {what}, then the market resolves to Yes. The report "
    "is released at the first 7 or 8 AM ET following {next}. No data within 7 days: last fair price."
)
LESS, GREATER = StrikeKind.LESS, StrikeKind.GREATER


def market(rules: str, strike: Strike | None, ticker: str = "KXHIGHNY-26NOV24-X") -> Market:
    return replace(b.market(ticker), rules_primary=rules, strike=strike)


def between(low: int) -> tuple[str, Strike]:
    return f"between {low}-{low + 1}°", Strike(StrikeKind.BETWEEN, low, low + 1)


SPELLINGS = ["%b %d, %Y", "%B %d, %Y", "%Y-%m-%d", "%A, %B %d, %Y", "%m/%d/%Y", "%d %B %Y", "%b. %d"]


@given(st.dates(date(2026, 1, 1), date(2027, 12, 31)), st.integers(-20, 115), st.sampled_from(SPELLINGS))
def test_days_and_strikes_do_not_change_the_wording(day: date, low: int, spelling: str) -> None:
    """Winter lows included, where a strike may look like an hour or a count of days."""

    def text(day: date, low: int) -> str:
        what, strike = between(low)
        following = (day + timedelta(days=1)).strftime(spelling)
        rules = NWS.format(date=day.strftime(spelling), what=what, next=following)
        return wording(market(rules, strike))

    assert text(day, low) == text(date(2026, 7, 4), 88)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("less than 50°", Strike(LESS, cap=50)), ("less than 61°", Strike(LESS, cap=61))),
        (("49° or below", Strike(LESS, cap=50)), ("7° or below", Strike(LESS, cap=8))),
        (("greater than 57", Strike(GREATER, floor=57)), ("greater than 8", Strike(GREATER, floor=8))),
        (("58 or higher", Strike(GREATER, floor=57)), ("-3 or higher", Strike(GREATER, floor=-4))),
        (("above 2.5 inches", Strike(GREATER, floor=2.5)), ("above 10 inches", Strike(GREATER, floor=10))),
        (("at least 57 degrees", None), ("at least 60 degrees", None)),
    ],
)
def test_tails_are_worded_alike_whatever_their_edge(
    first: tuple[str, Strike], second: tuple[str, Strike]
) -> None:
    texts = [NWS.format(date="Nov 24, 2026", what=what, next="Nov 25, 2026") for what, _ in (first, second)]
    assert wording(market(texts[0], first[1])) == wording(market(texts[1], second[1]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Central Park, New York", "LaGuardia Airport, New York"),
        ("the National Weather Service's Climatological Report (Daily)", "The Weather Company"),
        ("within 7 days", "within 14 days"),
        ("7 or 8 AM", "9 or 10 AM"),
        ("highest", "lowest"),
        ("last fair price", "No"),
        ("between", "strictly between"),
    ],
)
def test_what_makes_another_contract_changes_the_wording(old: str, new: str) -> None:
    what, strike = between(7)
    rules = NWS.format(date="Nov 24, 2026", what=what, next="Nov 25, 2026")
    before, after = wording(market(rules, strike)), wording(market(rules.replace(old, new), strike))
    assert digest(before) != digest(after)
    was, says = difference(before, after)
    assert was in before.join(("...", "...")) or was.strip(".") in before
    assert says.strip(".") in after
    assert was != says


def test_markets_share_a_wording_by_kind_of_strike_or_else_by_their_tail() -> None:
    assert shape(market("", Strike(LESS, cap=50))) == "less"
    assert shape(market("", Strike(StrikeKind.OTHER), "KXRAIN-26OCT05-MSY")) == "MSY"
    assert shape(market("", None, "KXSNOW-26OCT05-T2.5")) == shape(market("", None, "KXSNOW-26OCT06-T4"))


@given(st.text(), st.text())
def test_a_difference_of_any_two_texts_is_cut_from_both(old: str, new: str) -> None:
    """Nothing raises, and unequal texts are shown unequal."""
    was, says = difference(old, new)
    assert (was == says) == (old == new)
    assert was.strip(".") in old or was in old
    assert says.strip(".") in new or says in new
