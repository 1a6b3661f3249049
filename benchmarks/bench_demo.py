"""The demo's cause-to-order latency and peak memory, beside bare signed order calls in the same run.

``main.py demo`` runs in a process of its own, in a folder of its own, on the embedded PostgreSQL with fsync
on. Its latency is from an event's arrival in the inbox to the moment its order's row is committed and the
order leaves. Reference: httpx alone sends signed orders to the same kind of simulated exchange, each from
the signature to the answer. Memory is compared with this process, which holds just that exchange and httpx.

    python -m benchmarks.bench_demo [--days 1] [--seed 7] [--orders 300]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from benchmarks.machine import machine, percentile
from src.api.signing import Signer, load_private_key
from src.core.market import MarketStatus
from src.core.units import HOUR, MILLISECOND
from src.runtime.report import peak_rss_mb
from src.simulator.generated import GeneratedWorld
from src.simulator.service import SimulatorService

ROOT = Path(__file__).resolve().parents[1]
_ORDERS = "/trade-api/v2/portfolio/events/orders"
_WARM_UP = 20


async def bare_orders(orders: int, seed: int, folder: Path) -> list[float]:
    """Milliseconds of each of ``orders`` signed order calls, one after the other."""
    world = GeneratedWorld(seed, 1)
    service = SimulatorService(world, folder / "key.pem", seed=seed)
    await service.start()
    try:
        service.driver.step_until(world.start + 6 * HOUR)
        ticker = next(
            ticker
            for ticker, state in service.exchange.markets.items()
            if state.market.status is MarketStatus.ACTIVE
        )
        key = load_private_key(str(service.private_key_path))
        signer = Signer(service.key_id, key, lambda: time.time_ns() // MILLISECOND)
        async with httpx.AsyncClient(base_url=service.base_url, trust_env=False) as http:
            return [await _order(http, signer, ticker, number) for number in range(_WARM_UP + orders)][
                _WARM_UP:
            ]
    finally:
        await service.stop()


async def _order(http: httpx.AsyncClient, signer: Signer, ticker: str, number: int) -> float:
    body = {
        "ticker": ticker,
        "client_order_id": f"bench-{number}",
        "side": "bid",
        "count": "1.00",
        "price": "0.0100",
        "time_in_force": "immediate_or_cancel",
        "self_trade_prevention_type": "taker_at_cross",
    }
    begin = time.perf_counter_ns()
    answer = await http.post(_ORDERS, json=body, headers=signer.headers("POST", _ORDERS))
    took = time.perf_counter_ns() - begin
    answer.raise_for_status()
    return took / MILLISECOND


def demo_report(days: int, seed: int, folder: Path) -> dict[str, Any]:
    """The report of a demo that ran as fast as the machine allows. Raises when it did not end well."""
    command = [sys.executable, str(ROOT / "main.py"), "demo", "--config", str(ROOT / "config/config.yaml")]
    options = ["--days", str(days), "--seed", str(seed), "--seconds", "0", "--report", "report.json"]
    subprocess.run([*command, *options], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return report


def main() -> int:
    """Print the demo's figures, the reference's, and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--orders", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root, the database server is another user
        before = asyncio.run(bare_orders(options.orders, options.seed, folder))
        bare_mb = peak_rss_mb()
        report = demo_report(options.days, options.seed, folder)
        # Again afterwards: half the samples from each side of the demo even out a machine that warms up.
        bare = before + asyncio.run(bare_orders(options.orders, options.seed, folder))
    print(f"{machine()}; {report['orders_sent']} demo orders, {len(bare):,} bare order calls")
    for label, share in (("p50", 0.50), ("p99", 0.99)):
        ours, reference = report["latency_ms"][label], percentile(bare, share)
        print(
            f"cause to order, {label}: {ours:8.2f} ms   httpx signed order call (reference): "
            f"{reference:8.2f} ms   ratio {ours / reference:.2f}"
        )
    print(
        f"peak memory: demo {report['peak_rss_mb']:.0f} MB, simulated exchange with httpx alone (reference) "
        f"{bare_mb:.0f} MB, ratio {report['peak_rss_mb'] / bare_mb:.2f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
