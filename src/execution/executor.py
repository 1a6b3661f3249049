"""Turns the engine's actions into calls, and their outcomes back into events. The only async file here.

For an order: commit the intent's row, send once, hand the outcome to the inbox. No row, no order. A send
that began is never cancelled half-way: it is shielded, and its outcome is always reported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from src.core.actions import AmendOrder, CancelOrder, RequestReport, RequestSnapshot
from src.core.errors import FatalError, IntentTakenError, StoreUnavailableError, VenueError, WireError
from src.core.events import Event, OrderRejected, ReportFailed
from src.core.ports import ApprovedOrder, Clock, OrderGateway, Store

OnSent = Callable[[ApprovedOrder], None]
# From the start of an order's commit to its sending. A process that was frozen in between may have been
# replaced, and its successor judges an order absent once the reconciliation's grace (10 s) is over.
MAX_COMMIT_TO_SEND_S = 5.0


class Executor:
    """One call per action, each in its own task; ``idle`` says when none is under way."""

    def __init__(
        self,
        gateway: OrderGateway,
        store: Store,
        clock: Clock,
        deliver: Callable[[Event], None],
        on_sent: OnSent,
        on_failure: Callable[[BaseException], None],
        resync: Callable[[Sequence[str], str], Awaitable[None]],
        withdrawn: Callable[[ApprovedOrder], str],
        monotonic: Callable[[], float],
    ) -> None:
        self._gateway = gateway
        self._store = store
        self._clock = clock
        self._deliver = deliver
        self._on_sent = on_sent
        self._on_failure = on_failure
        self._resync = resync
        self._withdrawn = withdrawn
        self._monotonic = monotonic
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def in_flight(self) -> int:
        """Calls whose outcome has not been delivered yet."""
        return len(self._tasks)

    @property
    def calls(self) -> tuple[asyncio.Task[None], ...]:
        """The calls under way."""
        return tuple(self._tasks)

    def submit(self, approved: ApprovedOrder) -> None:
        """Start sending an approved order."""
        self._spawn(self._submit(approved), f"submit {approved.intent.client_order_id}")

    def cancel(self, order: CancelOrder) -> None:
        """Start cancelling an order."""
        self._spawn(self._cancel(order), f"cancel {order.client_order_id}")

    def amend(self, order: AmendOrder) -> None:
        """Start changing a resting order."""
        self._spawn(self._amend(order), f"amend {order.client_order_id}")

    def report(self, request: RequestReport) -> None:
        """Start reading the venue's records."""
        self._spawn(self._report(request), f"report ({request.reason})")

    def resync(self, request: RequestSnapshot) -> None:
        """Start asking the feed for fresh books."""
        self._spawn(self._resync(request.tickers, "book does not fit its changes"), "resync")

    async def drain(self) -> None:
        """Wait until every call under way has delivered its outcome."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    async def _submit(self, approved: ApprovedOrder) -> None:
        began = self._monotonic()
        try:
            await self._store.put_intent(approved)
        except Exception as error:  # whatever the failure, the order provably never left
            reason = f"intent not stored: {type(error).__name__}"
            self._deliver(
                OrderRejected(approved.intent.client_order_id, "not_stored", reason, self._clock.now())
            )
            if isinstance(error, StoreUnavailableError | IntentTakenError):
                # How long the store may be away is for its writer to say. What another instance sent is in
                # the venue's records, and the next attempt has an id of its own.
                return
            raise
        # The commit may have taken long, and a halt does not wait for it.
        if reason := self._too_late(began) or self._withdrawn(approved):
            self._deliver(
                OrderRejected(approved.intent.client_order_id, "withdrawn", reason, self._clock.now())
            )
            return
        self._on_sent(approved)
        self._deliver(await self._gateway.submit(approved))

    def _too_late(self, began: float) -> str:
        took = self._monotonic() - began
        if took <= MAX_COMMIT_TO_SEND_S:
            return ""
        return f"{took:.1f} s went by since its commit began; another instance may have judged it by now"

    async def _cancel(self, order: CancelOrder) -> None:
        self._deliver(await self._gateway.cancel(order))

    async def _amend(self, order: AmendOrder) -> None:
        self._deliver(await self._gateway.amend(order))

    async def _report(self, request: RequestReport) -> None:
        try:
            outcome: Event = await self._gateway.report(request.since)
        except (VenueError, WireError) as error:
            # Records that cannot be read in full, malformed ones included, leave the exposure unknown:
            # entries stop once the last good report is too old, exits and cancels go on.
            outcome = ReportFailed(str(error), self._clock.now(), fatal=isinstance(error, FatalError))
        self._deliver(outcome)

    def _spawn(self, call: Awaitable[None], name: str) -> None:
        task = asyncio.ensure_future(call)
        task.set_name(name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_failure(error)
