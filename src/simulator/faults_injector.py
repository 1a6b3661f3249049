"""A fault plan joined to one simulated exchange and its wire server."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web

from src.core.units import Nanos
from src.simulator.admin import AdminApi
from src.simulator.auth import KEY_HEADER, Authenticator, NotAuthenticated
from src.simulator.exchange import Exchange
from src.simulator.faults import FaultPlan
from src.simulator.faults_http import Handler, RequestFaults
from src.simulator.faults_observations import Observations
from src.simulator.faults_orders import OrderFaults
from src.simulator.faults_world import WorldFaults
from src.simulator.faults_ws import FaultySockets
from src.simulator.ratelimit import RateBudget


class FaultInjector:
    """What a server and a service need of a plan.

    ``now`` is world time; ``wall_clock`` (ns) and ``monotonic`` (s) are real. ``admin_token`` opens the
    endpoints of ``admin.py``; without one there are none.
    """

    def __init__(
        self,
        plan: FaultPlan,
        exchange: Exchange,
        *,
        now: Callable[[], Nanos],
        wall_clock: Callable[[], Nanos],
        monotonic: Callable[[], float],
        admin_token: str | None = None,
    ) -> None:
        self.plan = plan
        self._wall_clock = wall_clock
        self._auth = Authenticator(self.wall_clock)
        self._budgets: Mapping[str, RateBudget] = {}
        self.observations = Observations(exchange, self._tokens_spent)
        self.sockets = FaultySockets(plan, monotonic)
        orders = OrderFaults(exchange)
        self._requests = RequestFaults(
            plan,
            orders,
            self.sockets,
            self.observations,
            now=now,
            wall_clock=self.wall_clock,
            signer=self._signer,
            created_ts=_creation_in(exchange),
        )
        self._admin = AdminApi(plan, self.observations, admin_token) if admin_token else None
        plan.bind(exchange.now, now, WorldFaults(exchange, plan, orders))

    def join(self, auth: Authenticator, budgets: Mapping[str, RateBudget]) -> None:
        """Meet the server: whom it knows, and what they spend."""
        self._auth, self._budgets = auth, budgets

    def routes(self) -> list[web.RouteDef]:
        """The administration's routes, if there are any."""
        return self._admin.routes() if self._admin else []

    def wall_clock(self) -> Nanos:
        """The exchange's wall clock, off by what the plan says."""
        return self._wall_clock() + self.plan.clock_offset()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Goes around everything else the server does with a request."""
        return await self._requests.handle(request, handler)

    def _signer(self, request: web.Request) -> tuple[str, str]:
        if KEY_HEADER not in request.headers:
            return "none", ""
        try:
            path = request.raw_path.partition("?")[0]
            return "valid", self._auth.key_id(request.method, path, request.headers)
        except NotAuthenticated:
            return "invalid", ""

    def _tokens_spent(self) -> Mapping[str, float]:
        return {key_id: budget.spent for key_id, budget in self._budgets.items()}


def _creation_in(exchange: Exchange) -> Callable[[str, str], Nanos | None]:
    def created_ts(key_id: str, order_id: str) -> Nanos | None:
        account = exchange.accounts.get(key_id)
        order = account.orders.get(order_id) if account else None
        return order.created_ts if order else None

    return created_ts
