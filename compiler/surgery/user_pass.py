"""A pass that a user wrote: a Python function on a gs.Graph, where in the pipeline it runs, and what it promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...passes.rule.rewrite import Contract
from ..errors import UsageError, did_you_mean
from .contract import parse_contract

POINTS = ("load", "recover", "simplify", "fuse-formulas", "recover-whole")
"""Where a user's pass may run: after the model is loaded, or after a pass that leaves one graph of which nothing is placed yet."""
DEFAULT_POINT = "simplify"
STAGES = ("read-target", "graph", "plan", "describe", "emit", "emit and verify")
"""What progress shows besides passes."""


@dataclass(frozen=True)
class UserPass:
    """`function` takes a gs.Graph, and edits it in place or returns another one. What it may change of what the model computes it
    declares as an attribute: `function.contract = "exact"`, `"reassociates"` or `"bounded=1e-3"`. `point`: runs after the pass of
    that name ("load": before the first), several at one point in the order they are given.

    Raises UsageError for a point that is none and for a function without a contract."""

    function: Callable[[Any], Any]
    """Takes a gs.Graph; returns one, or None where it edited the one given."""
    point: str = DEFAULT_POINT
    """load, recover, simplify, fuse-formulas or recover-whole."""
    contract: Contract = field(init=False)
    """What the function declares."""

    def __post_init__(self) -> None:
        check_point(self.point)
        object.__setattr__(self, "contract", parse_contract(getattr(self.function, "contract", None), self._function_name, self.where))

    @property
    def name(self) -> str:
        """`surgery.py:drop_scale`: of the function's file and the function."""
        return f"{Path(self.file).name}:{self._function_name}" if self.file else self._function_name

    @property
    def file(self) -> str:
        """Where the function is written; "" if Python does not know."""
        code = getattr(self.function, "__code__", None)
        return "" if code is None else str(code.co_filename)

    @property
    def where(self) -> str:
        """file:line of the function."""
        return f"{self.file}:{self.function.__code__.co_firstlineno}" if self.file else self._function_name

    @property
    def _function_name(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)


def check_point(point: str) -> None:
    """Raises UsageError for a point at which no user's pass can run."""
    if point in POINTS:
        return
    from ..pipeline.table import PIPELINE

    points = f"the points: {', '.join(POINTS)}"
    if point in {*STAGES, *(row.name for row in PIPELINE)}:
        raise UsageError(f"a pass of yours cannot run at '{point}': it runs on the whole graph, before operators are placed", help=points)
    close = did_you_mean(point, POINTS)
    raise UsageError(f"there is no point '{point}' in the pipeline", help=f"{close} {points}" if close.startswith("did") else points)
