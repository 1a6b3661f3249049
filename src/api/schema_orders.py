"""Bodies of orders to be made, changed and canceled, of batches, groups, queue positions, keys and costs.

Source: Kalshi openapi.yaml 3.34. The rules are those of ``schema``: money and counts are strings.
"""

from __future__ import annotations

from msgspec import Struct


class CreateOrderAnswer(Struct):
    """``POST /portfolio/events/orders`` (201)."""

    order_id: str
    fill_count: str
    remaining_count: str
    ts_ms: int
    client_order_id: str = ""


class CancelOrderAnswer(Struct):
    """``DELETE /portfolio/events/orders/{order_id}`` (200)."""

    order_id: str
    reduced_by: str
    ts_ms: int


class CreateOrderBody(Struct, omit_defaults=True):
    """``CreateOrderV2Request``. ``side`` and ``price`` are of the YES book; money and counts are strings."""

    ticker: str
    client_order_id: str
    side: str
    count: str
    price: str
    time_in_force: str
    self_trade_prevention_type: str
    exchange_index: int
    post_only: bool = False
    reduce_only: bool = False
    cancel_order_on_pause: bool = False
    expiration_time: int | None = None
    order_group_id: str | None = None


class ItemErrorBody(Struct):
    """Why one order of a batch failed."""

    code: str = ""
    message: str = ""
    details: str = ""


class CreateOrdersBody(Struct):
    """``BatchCreateOrdersV2Request``."""

    orders: list[CreateOrderBody]


class CreatedItemBody(Struct):
    """One order of a batch: created, or ``error``."""

    order_id: str = ""
    client_order_id: str | None = None
    fill_count: str | None = None
    remaining_count: str | None = None
    ts_ms: int | None = None
    error: ItemErrorBody | None = None


class CreateOrdersAnswer(Struct):
    """``POST /portfolio/events/orders/batched`` (201, also when every order failed)."""

    orders: list[CreatedItemBody]


class CancelItemBody(Struct):
    """One order to cancel: its market and shard too, because an id alone is looked up on shard 0."""

    order_id: str
    market_ticker: str
    exchange_index: int


class CancelOrdersBody(Struct):
    """``BatchCancelOrdersV2Request``."""

    orders: list[CancelItemBody]


class CanceledItemBody(Struct):
    """One order of a batch: canceled, or ``error``."""

    order_id: str
    reduced_by: str
    ts_ms: int | None = None
    error: ItemErrorBody | None = None


class CancelOrdersAnswer(Struct):
    """``DELETE /portfolio/events/orders/batched`` (200, also when every order failed)."""

    orders: list[CanceledItemBody]


class AmendOrderBody(Struct, omit_defaults=True):
    """``AmendOrderV2Request``. ``count`` is what has filled plus what shall rest; 0 removes the expiry."""

    ticker: str
    side: str
    price: str
    count: str
    exchange_index: int | None = None
    client_order_id: str | None = None
    updated_client_order_id: str | None = None
    expiration_time: int | None = None


class AmendOrderAnswer(Struct):
    """``POST /portfolio/events/orders/{order_id}/amend``: a new price may have filled at once."""

    order_id: str
    ts_ms: int
    fill_count: str | None = None
    remaining_count: str | None = None


class DecreaseOrderBody(Struct, omit_defaults=True):
    """``DecreaseOrderV2Request``: exactly one of ``reduce_by`` and ``reduce_to``."""

    market_ticker: str
    exchange_index: int | None = None
    reduce_by: str | None = None
    reduce_to: str | None = None


class DecreaseOrderAnswer(Struct):
    """``POST /portfolio/events/orders/{order_id}/decrease``."""

    order_id: str
    remaining_count: str
    ts_ms: int


class QueuePositionBody(Struct):
    """Contracts that must trade before this order does."""

    order_id: str
    market_ticker: str
    queue_position_fp: str


class QueuePositionsAnswer(Struct):
    """``GET /portfolio/orders/queue_positions``."""

    queue_positions: list[QueuePositionBody]


class QueuePositionAnswer(Struct):
    """``GET /portfolio/orders/{order_id}/queue_position``."""

    queue_position_fp: str


class OrderGroupLimitBody(Struct):
    """``CreateOrderGroupRequest`` and ``UpdateOrderGroupLimitRequest``."""

    contracts_limit_fp: str


class CreateOrderGroupBody(OrderGroupLimitBody):
    """``CreateOrderGroupRequest``: a group lives on one shard."""

    exchange_index: int = 0


class CreateOrderGroupAnswer(Struct):
    """``POST /portfolio/order_groups/create``."""

    order_group_id: str


class OrderGroupBody(Struct):
    """A group as listed."""

    id: str
    is_auto_cancel_enabled: bool
    contracts_limit_fp: str | None = None
    exchange_index: int = 0


class OrderGroupsAnswer(Struct):
    """``GET /portfolio/order_groups``; the list is missing when there are none."""

    order_groups: list[OrderGroupBody] | None = None


class OrderGroupAnswer(Struct):
    """``GET /portfolio/order_groups/{order_group_id}``: the ids of its orders and its limit."""

    is_auto_cancel_enabled: bool
    orders: list[str]
    contracts_limit_fp: str | None = None
    exchange_index: int = 0


class ApiKeyBody(Struct):
    """A key of the account."""

    api_key_id: str
    name: str
    scopes: list[str]
    subaccount: int | None = None


class ApiKeysAnswer(Struct):
    """``GET /api_keys``. The expiry (Unix seconds) is of the account's location attestation."""

    api_keys: list[ApiKeyBody]
    api_key_region_expiration_ts: int | None = None


class EndpointCostBody(Struct):
    """Tokens of one call."""

    method: str
    path: str
    cost: int


class EndpointCostsAnswer(Struct):
    """``GET /account/endpoint_costs``: calls that do not cost ``default_cost``."""

    default_cost: int
    endpoint_costs: list[EndpointCostBody]
