"""What is known of the tensors of one graph."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from .types import merge

if TYPE_CHECKING:
    import onnx

Types = dict[str, "onnx.TypeProto"]
Values = dict[str, np.ndarray]


@dataclass(slots=True)
class Known:
    """What is known of the tensors of one graph and of those that it can read from outside."""

    types: Types
    values: Values
    refined: set[str] = field(default_factory=set)
    """Tensors whose type, or whose value, onnx's inference did not have."""

    def inside(self, names: Iterable[str]) -> Known:
        """A copy for a body, which reads these from outside."""
        seen = [name for name in names if name in self.types]
        values = {name: self.values[name] for name in seen if name in self.values}
        return Known({name: self.types[name] for name in seen}, values, self.refined.intersection(seen))

    def forget(self, name: str) -> None:
        """The name means something else from here on."""
        self.types.pop(name, None)
        self.values.pop(name, None)
        self.refined.discard(name)

    def learn(self, name: str, kind: onnx.TypeProto) -> bool:
        """Completes what is known of a type; whether that is more than before."""
        merged = merge(self.types.get(name), kind)
        if merged is None:
            return False
        self.types[name] = merged
        self.refined.add(name)
        return True
