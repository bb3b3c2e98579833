"""What it brings to remove sets of channels: shares of the model's predicted seconds and of its weights, if nothing else is removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...passes.prune.groups import weight_axes
from ...passes.prune.spread import Spread


@dataclass(frozen=True)
class Savings:
    """Of the model that was walked over."""

    spread: Spread
    seconds: Mapping[str, float]
    """By the first tensor that an operator writes, what it takes as it is placed; {} where no plan is known."""

    def share(self, gone: np.ndarray) -> float:
        """Half of it the share of seconds, half that of the weights' bytes; of an operator, the part of its weights that goes."""
        kept = dict.fromkeys(self._weights, 1.0)
        for name, _, roots in self._axes:
            kept[name] *= 1.0 - float(np.isin(roots, gone).mean())
        size = sum(self._weights[name] * (1 - left) for name, left in kept.items())
        time = sum(self._times[name] * (1 - left) for name, left in kept.items())
        return (size / self._all_bytes + time / self._all_seconds) / 2

    @cached_property
    def _axes(self) -> list[tuple[str, int, np.ndarray]]:
        return list(weight_axes(self.spread))

    @cached_property
    def _weights(self) -> dict[str, int]:
        return {name: self.spread.graph.tensor(name).bytes or 0 for name, _, _ in self._axes}

    @cached_property
    def _times(self) -> dict[str, float]:
        graph = self.spread.graph
        return {name: sum(self.seconds.get(user.outputs[0], 0.0) for user in graph.users(name)) for name in self._weights}

    @cached_property
    def _all_bytes(self) -> int:
        return sum(self.spread.graph.tensor(name).bytes or 0 for name in self.spread.graph.constants) or 1

    @cached_property
    def _all_seconds(self) -> float:
        return sum(self.seconds.values()) or 1.0
