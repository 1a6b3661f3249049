"""Administration over HTTP: closed without a token, strict, and able to see everything."""

from __future__ import annotations

import pytest

from src.simulator.faults import FaultPlan, FaultRule, When

from .conftest import TICKER, Serve

TOKEN = {"Authorization": "Bearer open sesame"}
FAULTS = "/sim/v1/faults"


async def test_there_is_no_administration_unless_asked_for(serve: Serve) -> None:
    for options in ({}, {"faults": FaultPlan()}):
        served = await serve(**options)
        for path in (FAULTS, "/sim/v1/observations"):
            assert (await served.client.http.get(path, headers=TOKEN)).status_code == 404


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "open sesame"}])
async def test_without_the_token_nothing_is_told_or_done(serve: Serve, headers: dict[str, str]) -> None:
    served = await serve(admin_token="open sesame")
    http = served.client.http
    for answer in (
        await http.get(FAULTS, headers=headers),
        await http.post(FAULTS, headers=headers, json={"fault": "429"}),
        await http.delete(FAULTS, headers=headers),
        await http.get("/sim/v1/observations", headers=headers),
    ):
        assert answer.status_code == 401
        assert "open sesame" not in answer.text
    assert (await served.client.call("GET", "/markets")).status_code == 200


async def test_rules_come_count_and_go(serve: Serve) -> None:
    served = await serve(faults=FaultPlan([FaultRule("429", When(nth=5))]), admin_token="open sesame")
    http = served.client.http
    added = await http.post(
        FAULTS,
        headers=TOKEN,
        json={"rules": [{"fault": "5xx", "when": {"path": "/markets"}, "parameters": {"status": 502}}]},
    )
    assert added.status_code == 201
    assert (await served.client.call("GET", "/markets")).status_code == 502
    listed = (await http.get(FAULTS, headers=TOKEN)).json()["rules"]
    assert [(each["fault"], each["matched"], each["fired"]) for each in listed] == [
        ("429", 1, 0),
        ("5xx", 1, 1),
    ]
    assert listed[1]["when"] == {"path": "/markets"}
    assert listed[1]["parameters"] == {"status": 502}
    assert (await http.delete(FAULTS, headers=TOKEN)).status_code == 204
    assert (await http.get(FAULTS, headers=TOKEN)).json() == {"rules": []}
    assert (await served.client.call("GET", "/markets")).status_code == 200


async def test_a_bad_rule_is_refused_and_none_of_its_company_added(serve: Serve) -> None:
    served = await serve(admin_token="open sesame")
    http = served.client.http
    for content, said in (
        (b'{"rules":[{"fault":"429"},{"fault":"430"}]}', "unknown fault '430'"),
        (b'{"fault":"429","whn":{}}', "unknown key 'whn'"),
        (b"[]", "expected a mapping"),
        (b"{", "truncated"),
    ):
        answer = await http.post(FAULTS, headers=TOKEN, content=content)
        assert answer.status_code == 400
        assert said in answer.json()["details"]
    assert (await http.get(FAULTS, headers=TOKEN)).json() == {"rules": []}


async def test_observations_tell_orders_requests_and_tokens(serve: Serve) -> None:
    served = await serve(admin_token="open sesame")
    created = await served.client.create(price="0.3000", client_order_id="mine")
    body = (await served.client.http.get("/sim/v1/observations", headers=TOKEN)).json()
    account = body["accounts"][served.client.key_id]
    order_id = created.json()["order_id"]
    assert [each["order_id"] for each in account["orders_by_client_id"]["mine"]] == [order_id]
    assert [each["order_id"] for each in account["live_orders"]] == [order_id]
    assert (account["fills"], account["positions"], account["balance"]) == ([], {}, "1000.000000")
    assert account["live_orders"][0]["ticker"] == TICKER
    assert body["tokens_spent"] == {served.client.key_id: 10.0}
    assert body["request_count"] == 1
    (request,) = body["requests"]
    assert (request["method"], request["status"], request["signature"]) == ("POST", 201, "valid")


async def test_administration_itself_is_never_struck(serve: Serve) -> None:
    served = await serve(faults=FaultPlan([FaultRule("lose_request")]), admin_token="open sesame")
    assert (await served.client.http.get(FAULTS, headers=TOKEN)).status_code == 200
    assert (await served.client.http.get("/sim/v1/clock")).status_code == 200
