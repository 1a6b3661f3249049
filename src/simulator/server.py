"""The wire server: Kalshi's REST API and WebSocket on a local address, over one ``Exchange``.

Signatures are checked against the real wall clock; everything the exchange says about time is the
world's clock, which may run at any speed or stand still.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from src.core.units import Nanos
from src.simulator.answers import API, KEY_ID, WS_PATH, json_answer
from src.simulator.auth import KEY_HEADER, Authenticator, NotAuthenticated
from src.simulator.driver import WorldDriver
from src.simulator.exchange import Exchange
from src.simulator.keys import ApiKey
from src.simulator.ratelimit import RateBudget, RateLimits, charge_of
from src.simulator.refusals import OrderRefused
from src.simulator.rest_account import AccountApi
from src.simulator.rest_batches import BatchesApi
from src.simulator.rest_candles import CandlesApi
from src.simulator.rest_dormant import DormantApi
from src.simulator.rest_exchange import ExchangeApi
from src.simulator.rest_fees import FeesApi
from src.simulator.rest_groups import GroupsApi
from src.simulator.rest_orders import OrdersApi
from src.simulator.rest_public import PublicApi
from src.simulator.rest_trades import TradesApi
from src.simulator.rest_transfers import TransfersApi
from src.simulator.sim_api import SimulatorApi
from src.simulator.views import AccountViews
from src.simulator.weather import WeatherHub
from src.simulator.wire_errors import ApiError, nested, refused, too_many_requests
from src.simulator.world import World
from src.simulator.ws import BUFFERED_FRAMES, TradingSockets
from src.simulator.ws_connection import plain_connection

if TYPE_CHECKING:
    from src.simulator.faults_injector import FaultInjector

_SHUTDOWN_SECONDS = 1.0
# What only a key may ask for (the OpenAPI document's ``security``), after ``/trade-api/v2``.
_PRIVATE = (
    "/portfolio",
    "/api_keys",
    "/account/limits",
    "/account/api_usage_level",
    "/communications",
    "/historical/fills",
    "/historical/orders",
    "/historical/positions",
)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """``monotonic`` (seconds) drives the rate limits, ``wall_clock`` (ns) the check of signatures.

    ``faults`` gets between the exchange and its clients: around every request, at every trading frame.
    """

    wall_clock: Callable[[], Nanos]
    monotonic: Callable[[], float]
    limits: RateLimits = field(default_factory=RateLimits)
    ping_interval: float = 10.0
    buffered_frames: int = BUFFERED_FRAMES
    faults: FaultInjector | None = None


class SimulatorServer:
    """Serves one exchange. Keys are added with ``add_key``; each must have an account of its id."""

    def __init__(
        self,
        exchange: Exchange,
        world: World,
        weather: WeatherHub,
        driver: WorldDriver,
        options: ServerOptions,
    ) -> None:
        self._options = options
        faults = options.faults
        self._auth = Authenticator(faults.wall_clock if faults else options.wall_clock)
        self._budgets: dict[str, RateBudget] = {}
        self._catch_up = driver.catch_up
        self._sim = SimulatorApi(world, driver.clock, weather)
        self.sockets = TradingSockets(
            exchange,
            driver.catch_up,
            monotonic=options.monotonic,
            ping_interval=options.ping_interval,
            buffered_frames=options.buffered_frames,
            connect=faults.sockets.connect if faults else plain_connection,
        )
        outermost = [faults.middleware] if faults else []
        self._app = web.Application(middlewares=[*outermost, self._middleware])
        views = AccountViews(exchange)
        for part in (
            ExchangeApi(exchange, views),
            TradesApi(exchange),
            CandlesApi(exchange),
            FeesApi(exchange),
            PublicApi(exchange),
            AccountApi(exchange, views, options.limits),
            BatchesApi(exchange),
            OrdersApi(exchange),
            GroupsApi(exchange),
            TransfersApi(exchange),
            DormantApi(exchange),
            self._sim,
        ):
            self._app.add_routes(part.routes())
        self._app.add_routes([web.get(WS_PATH, self.sockets.handle)])
        if faults is not None:
            faults.join(self._auth, self._budgets)
            self._app.add_routes(faults.routes())
        self._runner: web.AppRunner | None = None
        self.host = ""
        self.port = 0

    @property
    def frames_sent(self) -> int:
        """Frames handed to all WebSocket connections so far, trading and weather."""
        return self.sockets.frames_sent + self._sim.frames_sent

    @property
    def tokens_spent(self) -> dict[str, float]:
        """Rate-limit tokens charged so far, by key id."""
        return {key_id: budget.spent for key_id, budget in self._budgets.items()}

    @property
    def routes(self) -> list[tuple[str, str]]:
        """(method, path) of every HTTP route, parameters in braces."""
        found = {
            (route.method, route.resource.canonical)
            for route in self._app.router.routes()
            if route.resource is not None and route.method != "HEAD"
        }
        return sorted(found)

    def add_key(self, key: ApiKey) -> None:
        """Accept requests signed with this key."""
        self._auth.add(key)
        self._budgets[key.key_id] = RateBudget(self._options.limits, self._options.monotonic)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; ``port`` 0 takes a free one, which ``self.port`` then tells. Raises ``OSError``."""
        runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        self._runner = runner
        await web.TCPSite(runner, host, port).start()
        self.host, self.port = host, runner.addresses[0][1]

    async def stop(self) -> None:
        """Close all connections and stop listening."""
        await self.sockets.close()
        await self._sim.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            self._catch_up()
            await self._admit(request)
            return await handler(request)
        except NotAuthenticated as error:
            return json_answer(error.body, 401)
        except ApiError as error:
            return json_answer(error.body, error.status)
        except OrderRefused as reason:
            return json_answer(refused(reason).body, reason.status)
        except web.HTTPClientError as error:
            code = "not_found" if error.status == 404 else "bad_request"
            return json_answer(nested(error.status, code).body, error.status)

    async def _admit(self, request: web.Request) -> None:
        """Authenticate what needs it, or claims it, and charge it to its key's rate limits."""
        path = request.raw_path.partition("?")[0]
        needs_key = path == WS_PATH or path.removeprefix(API).startswith(_PRIVATE)
        if not needs_key and KEY_HEADER not in request.headers:
            return
        key_id = self._auth.key_id(request.method, path, request.headers)
        request[KEY_ID] = key_id
        if path == WS_PATH:
            return
        body = await request.read()
        charge = charge_of(request.method, path.removeprefix(API), request.query, body)
        if not self._budgets[key_id].admits(charge):
            raise too_many_requests()
