"""The fault script: what is accepted, what is refused, and that decisions repeat."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.errors import ConfigError
from src.core.units import HOUR, SECOND
from src.simulator.faults import FaultPlan, FaultRule, FrameFacts, RequestFacts, When
from src.simulator.faults_rules import parse_rule
from src.simulator.faults_spec import FAULTS

ORDERS = "/trade-api/v2/portfolio/events/orders"
CREATE = RequestFacts("POST", ORDERS, frozenset({"KXHIGHNY-26NOV23-B50.5"}))
NAMED_BY_THE_CATALOGUE = [
    *("lose_response", "lose_request", "delay", "5xx", "429", "read_lag", "page_size", "cursor_fail"),
    *("ws.drop", "ws.dup", "ws.reorder", "ws.delay", "ws.silent", "ws.close", "ws.seq_reset", "ws.gap"),
    *("ws.merge_acks", "ws.error", "half_fill", "fill_after_cancel_ack", "reject_after_ack"),
    *("pause_exchange", "pause_market", "early_close", "determine", "void", "scalar", "re_determine"),
    *(
        "tick_change",
        "fee_change",
        "fee_scale",
        "rules_change",
        "clock_offset",
        "external_order",
        "manual_fill",
    ),
    *("balance_fail", "positions_fail", "key_revoked", "deprecate_field", "deprecate_endpoint"),
]


class NoWorld:
    """Listens to a plan and does nothing."""

    def added(self, active: object) -> None: ...

    def cleared(self) -> None: ...


def bound(*rules: FaultRule, seed: int = 7, now: int = 1_000 * SECOND, start: int = 0) -> FaultPlan:
    plan = FaultPlan(rules, seed)
    plan.bind(start, lambda: now, NoWorld())
    return plan


def test_every_fault_of_the_catalogue_exists() -> None:
    assert sorted(FAULTS) == sorted(NAMED_BY_THE_CATALOGUE)


def test_a_document_becomes_rules() -> None:
    plan = FaultPlan.from_document(
        {
            "seed": 3,
            "rules": [
                {"fault": "lose_response", "when": {"method": "post", "path": "/portfolio/*", "nth": 2}},
                {"fault": "read_lag", "parameters": {"seconds": 1.5}, "when": {"from_ts": "+2h"}},
                {"fault": 429, "when": {"to_ts": "2026-11-23T08:00:00Z", "probability": 0.5, "times": 4}},
                {"fault": "ws.drop", "when": {"to_ts": datetime(1970, 1, 2, tzinfo=UTC)}},
            ],
        }
    )
    first, lag, storm, drop = plan.rules
    assert (first.rule.when.method, first.rule.when.nth) == ("POST", 2)
    assert lag.args == {"seconds": 1_500_000_000}
    assert lag.rule.when.from_ts is not None
    assert lag.rule.when.from_ts.at(5 * SECOND) == 2 * HOUR + 5 * SECOND
    assert storm.rule.fault == "429"
    assert storm.rule.when.to_ts is not None
    assert storm.rule.when.to_ts.at(123) == 1_795_420_800 * SECOND
    assert drop.rule.when.to_ts is not None
    assert drop.rule.when.to_ts.at(0) == 86_400 * SECOND


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"fault": "lose_respons"}, "unknown fault 'lose_respons'"),
        ({"when": {}}, r"rules\[0\].fault is missing"),
        ({"fault": "429", "extra": 1}, "unknown key 'extra'"),
        ({"fault": "429", "when": {"pth": "/x"}}, "unknown key 'pth'"),
        ({"fault": "429", "parameters": {"retry_after": 1}}, "unknown key 'retry_after'"),
        ({"fault": "delay"}, "seconds is missing"),
        ({"fault": "delay", "parameters": {"seconds": "3"}}, "a number of seconds, got '3'"),
        ({"fault": "delay", "parameters": {"seconds": -1}}, "expected 0 to"),
        ({"fault": "delay", "parameters": {"seconds": float("nan")}}, "a number of seconds, got nan"),
        ({"fault": "5xx", "parameters": {"status": 418}}, "expected 500, 502, 503, 504, got 418"),
        ({"fault": "5xx", "parameters": {"html": 1}}, "expected True, False, got 1"),
        ({"fault": "429", "when": {"probability": 0}}, "above 0, at most 1"),
        ({"fault": "429", "when": {"probability": 1.01}}, "above 0, at most 1"),
        ({"fault": "429", "when": {"nth": 0}}, "whole number from 1"),
        ({"fault": "429", "when": {"from_ts": "2026-11-23T08:00:00"}}, "a time with its zone"),
        ({"fault": "429", "when": {"from_ts": 1795420800}}, "a time with its zone"),
        ({"fault": "429", "when": {"channel": "trade"}}, "when.channel: has no meaning for 429"),
        ({"fault": "ws.drop", "when": {"path": "/x"}}, "when.path: has no meaning for ws.drop"),
        ({"fault": "pause_exchange", "when": {"nth": 2}}, "when.nth: has no meaning"),
        (
            {
                "fault": "deprecate_field",
                "when": {"channel": "trade", "path": "/x"},
                "parameters": {"field": "a"},
            },
            "give one",
        ),
        ({"fault": "external_order", "parameters": {"ticker": "A", "side": "bid", "price": 0.4}}, "0.4000"),
        ({"fault": "scalar", "parameters": {"ticker": "A", "value": "1.5"}}, "1.0000 dollars"),
        ({"fault": "fee_scale", "parameters": {"factor": "1.00001"}}, "at most 4 decimals"),
        ({"fault": "fee_change", "parameters": {"multiplier": 2}}, "either series or event"),
        ({"fault": "re_determine", "parameters": {"ticker": "A", "result": "scalar"}}, "value is missing"),
        ("lose_response", "expected a mapping"),
        ({"fault": "429", "when": [1]}, "when: expected"),
    ],
)
def test_a_bad_rule_is_refused_by_name(rule: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        FaultPlan.from_document({"rules": [rule]}, "f.yaml")
    assert "f.yaml: rules[0]" in str(refused.value)


def test_a_bad_document_is_refused() -> None:
    for document, said in (
        ({"rule": []}, "unknown key 'rule'"),
        ({"rules": {}}, "expected a list"),
        ({"rules": [], "seed": "x"}, "seed: expected a whole number"),
        ({}, "expected a list"),
    ):
        with pytest.raises(ConfigError, match=said):
            FaultPlan.from_document(document, "f.yaml")


def test_python_rules_are_checked_too() -> None:
    with pytest.raises(ConfigError, match="unknown fault"):
        FaultRule("nothing")
    with pytest.raises(ConfigError, match="size is missing"):
        FaultRule("page_size")


def test_nth_and_times_count_matches() -> None:
    plan = bound(FaultRule("lose_request", When(nth=3)), FaultRule("lose_response", When(times=2)))
    struck = [[each.rule.fault for each in plan.on_request(CREATE)] for _ in range(4)]
    assert struck == [["lose_response"], ["lose_response"], ["lose_request"], []]
    assert [(each.matched, each.fired) for each in plan.rules] == [(4, 1), (4, 2)]


def test_matchers_all_have_to_hold() -> None:
    when = When(method="POST", path="/portfolio/events/*", ticker="KXHIGHNY-*")
    plan = bound(FaultRule("429", when))
    assert plan.on_request(CREATE)
    for other in (
        RequestFacts("DELETE", ORDERS, CREATE.tickers),
        RequestFacts("POST", "/trade-api/v2/portfolio/orders", CREATE.tickers),
        RequestFacts("POST", ORDERS, frozenset({"KXHIGHCHI-26NOV23-B50.5"})),
        RequestFacts("POST", ORDERS),
    ):
        assert not plan.on_request(other)


def test_the_window_is_in_world_time_from_inclusive_to_exclusive() -> None:
    now = [0]
    raw = {"fault": "ws.drop", "when": {"from_ts": "+10s", "to_ts": "+20s"}}
    plan = FaultPlan([parse_rule(raw, "r")])
    plan.bind(100 * SECOND, lambda: now[0], NoWorld())
    facts = FrameFacts("trade", "")
    hits = []
    for second in (109, 110, 119, 120):
        now[0] = second * SECOND
        hits.append(bool(plan.on_frame(facts)))
    assert hits == [False, True, True, False]


@given(st.integers(0, 2**32), st.floats(0.01, 0.99), st.integers(1, 200))
def test_the_same_seed_and_requests_give_the_same_faults(seed: int, probability: float, count: int) -> None:
    rules = [
        FaultRule("429", When(probability=probability)),
        FaultRule("ws.drop", When(probability=probability)),
    ]

    def run(plan: FaultPlan) -> list[tuple[int, int]]:
        return [
            (len(plan.on_request(CREATE)), len(plan.on_frame(FrameFacts("trade", "A")))) for _ in range(count)
        ]

    first = bound(*rules, seed=seed)
    seen = run(first)
    assert run(bound(*rules, seed=seed)) == seen
    # Cleared and given the same rules again, a plan begins anew.
    first.clear()
    for rule in rules:
        first.add(rule)
    assert run(first) == seen


def test_rules_draw_apart_so_that_traffic_elsewhere_changes_nothing() -> None:
    rules = [FaultRule("429", When(probability=0.5)), FaultRule("ws.drop", When(probability=0.5))]
    alone, beside = bound(*rules), bound(*rules)
    first, second = [], []
    for _ in range(100):
        first.append(len(alone.on_request(CREATE)))
        beside.on_frame(FrameFacts("trade", "A"))
        second.append(len(beside.on_request(CREATE)))
    assert first == second
    assert 20 < sum(first) < 80


def test_a_plan_belongs_to_one_exchange() -> None:
    plan = bound()
    with pytest.raises(ValueError, match="one simulated exchange"):
        plan.bind(0, lambda: 0, NoWorld())
