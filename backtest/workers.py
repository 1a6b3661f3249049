"""Where runs are worked off: on processes of this machine, or on a Dask cluster by its address.

A job is a function of a module and a picklable argument; where it runs changes nothing about its result.
Machines of a cluster need this project's code and the same data under the same paths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

from src.core.errors import ConfigError

Job = TypeVar("Job")
Done = TypeVar("Done")
# How many processes here, or the address of a cluster's scheduler.
Workers: TypeAlias = int | str

_CONNECT_SECONDS = 10


def parse_workers(text: str) -> Workers:
    """``4`` or ``tcp://host:8786``. Raises ``ConfigError``."""
    if "://" in text:
        return text
    if not text.isdigit() or int(text) < 1:
        raise ConfigError(
            f"--workers: {text!r} is neither a number of processes from 1 nor the address of a Dask "
            "scheduler, e.g. tcp://10.0.0.5:8786"
        )
    return int(text)


def on_cluster(
    function: Callable[[Job], Done], jobs: Sequence[Job], address: str
) -> Iterator[tuple[int, Done]]:
    """Run ``function`` on every job; yields (number of the job, result) as they end.

    Closing the iterator early gives up what is still running. Raises ``ConfigError`` for a cluster that
    cannot be reached, and what ``function`` raised.
    """
    client = _connect(address)
    try:
        from distributed import as_completed as as_ended

        # Not pure: equal jobs are run as often as they are given, and no earlier answer is taken for them.
        futures = client.map(function, jobs, pure=False)
        numbers = {future.key: number for number, future in enumerate(futures)}
        for future in as_ended(futures, loop=client.loop):  # type: ignore[no-untyped-call]
            yield numbers[future.key], future.result()
    finally:
        # Futures that nobody holds any more are given up by the cluster.
        client.close()


def _connect(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise ConfigError(
            f"--workers: {address} needs Dask, which is not installed; install the extra `cluster` "
            "(pip install dask distributed), or give a number of processes"
        ) from error
    try:
        return Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigError(
            f"--workers: no Dask scheduler answers at {address} ({error}); start one with `dask scheduler` "
            "and workers with `dask worker ADDRESS`"
        ) from error
