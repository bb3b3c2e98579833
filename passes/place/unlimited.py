"""The plan that the limits of a target rule out."""

from __future__ import annotations

from dataclasses import dataclass

from ..solve.price import Excess
from ..solve.solve import Solution


@dataclass(frozen=True, slots=True)
class Unlimited:
    """The best plan without limits, and the limits it breaks."""

    solution: Solution
    breaks: tuple[Excess, ...]
