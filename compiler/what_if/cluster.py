"""Rows made by the workers of a Dask cluster, on machines where autoglmc is installed and the files lie under the same names."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ..errors import UsageError, UserError, first_line
from ..extras import need
from .row import Row
from .task import Task, make_row

ADDRESS = re.compile(r"((tcp|tls|ws|wss)://)?(\[[0-9a-fA-F:]+\]|[\w.-]+):(?P<port>\d{1,5})")
SECONDS = 10
"""In which a scheduler answers, and then has a worker."""


class Unreachable(UserError):
    """There is no cluster at the address, or nobody works in it."""

    kind = "cluster"


class Cluster:
    """The workers that the scheduler at an address has, until the `with` block ends."""

    def __init__(self, address: str) -> None:
        """Raises MissingExtra without Dask, UsageError for what is no address, Unreachable where no scheduler with a worker answers."""
        self._dask = need("distributed", "--cluster")
        found = ADDRESS.fullmatch(address)
        if found is None or not 0 < int(found["port"]) < 1 << 16:
            help = "for example --cluster tcp://HOST:8786"
            raise UsageError(f"'{address}' is no address of a Dask scheduler", help=help)
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what it says of its own ends is no message of ours
        try:
            self._client = self._dask.Client(address, timeout=SECONDS)
        except (OSError, TimeoutError, ValueError) as problem:
            help = "start one with `dask scheduler`, and give its address: --cluster tcp://HOST:8786"
            raise Unreachable(f"no Dask scheduler answers at {address}: {first_line(problem)}", help=help) from None
        try:
            self._client.wait_for_workers(1, timeout=SECONDS)
        except TimeoutError:
            self._client.close(timeout=1)
            help = "start one with `dask worker ADDRESS`, where autoglmc is installed and the models lie under the same names"
            raise Unreachable(f"the Dask cluster at {address} has no worker", help=help) from None

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *failure: object) -> None:
        self._client.close(timeout=1)

    def __call__(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Row]]:
        """As `sweep.Make` says."""
        futures = {self._client.submit(make_row, task, pure=False): number for number, task in enumerate(tasks)}
        try:
            for future in self._dask.as_completed(futures):
                number = futures[future]
                yield number, _row(future, tasks[number])
        finally:
            self._client.cancel([future for future in futures if not future.done()])


def _row(future: Any, task: Task) -> Row:
    if future.status == "finished":
        row = future.result()
        assert isinstance(row, Row)
        return row
    if future.status == "error":
        problem = future.exception()
        return replace(task.row, error=f"a worker of the cluster failed: {type(problem).__name__}: {first_line(problem)}")
    return replace(task.row, error="the cluster lost it")
