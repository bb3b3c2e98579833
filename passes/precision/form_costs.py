"""What units cost in each form, and what changing a tensor's form costs: read off copies of the graph that are written in one form each.

A copy is what `quantise` makes of the graph, and devices are asked about it as about any model: so an option costs what the placement will
charge once the choice is carried out.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ...targets.calibrated_cost import kernel_time
from ...targets.dtypes import ELEMENT
from ...targets.model import Device, Target
from ...targets.operator_view import OperatorView, TensorView
from ...targets.precision import FormName
from ...targets.support import Yes, supports
from ..place.placed import DeviceAnswers
from ..place.unit_time import unit_time
from .gathered_rows import GATHERED

INTO, OUT = "QuantizeLinear", "DequantizeLinear"
AROUND = frozenset({INTO, OUT})
"""What `quantise` puts around an operator in integers, besides changes of form, which have a price of their own."""
GRID = 21
"""The opset in whose terms quantisers are asked about: 16 and 4 bits are there."""


@dataclass(frozen=True)
class WrittenCopy:
    """The graph in one form, and what devices say about it."""

    asked: DeviceAnswers

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {node.name: k for k, node in enumerate(self.asked.nodes) if node.kind not in AROUND}

    def members(self, names: Iterable[str]) -> list[int]:
        """Numbers of the operators of these names, and of what was put around each alone: the DequantizeLinears in front of it and the
        QuantizeLinear behind. Casts to fp16 and back are changes of form, which count between two of them; the model's own are operators
        like any other."""
        asked, graph = self.asked, self.asked.graph
        parts = (name + suffix for name in names for suffix in ("", *GATHERED))
        found = dict.fromkeys(self._numbers[part] for part in parts if part in self._numbers)
        for number in list(found):
            node = asked.nodes[number]
            before = (graph.producer(name) for name in node.reads)
            behind = (user for name in node.writes for user in graph.users(name) if user.kind == INTO)
            found |= dict.fromkeys(asked.number[id(other)] for other in (*before, *behind) if other is not None and other.kind in AROUND)
        for number in list(found):
            found |= dict.fromkeys(self._changes_between(found, number))
        return sorted(found)

    def _changes_between(self, members: Container[int], reader: int) -> list[int]:
        """The changes of form between operators of one unit, of which a device has some in the form and others not."""
        asked, found = self.asked, []
        for name in asked.nodes[reader].reads:
            chain, node = [], asked.graph.producer(name)
            while node is not None and asked.number[id(node)] not in members and (node.kind == "Cast" or node.kind in AROUND):
                chain.append(asked.number[id(node)])
                node = asked.graph.producer(node.inputs[0])
            found += chain if node is not None and asked.number[id(node)] in members else []
        return found

    def seconds(self, numbers: Sequence[int], column: int) -> float | None:
        """None where the device refuses one."""
        found = unit_time(self.asked, numbers, column)
        return None if found is None else found.seconds

    def weight_bytes(self, numbers: Iterable[int]) -> int:
        """Of the constants that they read, each once."""
        graph = self.asked.graph
        read = {name for k in numbers for name in self.asked.nodes[k].reads if graph.tensor(name).const and name in graph.constants}
        return sum(graph.tensor(name).bytes or 0 for name in read)


Copies = Mapping[FormName, Sequence[WrittenCopy]]
"""By form and device, the graph as far as possible in the form as that device takes it."""


def change_seconds(target: Target, device: Device, tensor: TensorView, before: str, after: str) -> float | None:
    """Seconds that a device takes to bring a tensor of floats from one dtype into another, by way of fp32; None where it cannot."""
    if before == after:
        return 0.0
    total = 0.0
    for operator, source, result in _steps(tensor, before, after):
        view = _view(operator, source, result)
        answer = supports(device, view, target.precision)
        if not isinstance(answer, Yes):
            return None
        total += kernel_time(target, device, [view], answer.compute_dtype).seconds + device.kernel_launch
    return total


def _steps(tensor: TensorView, before: str, after: str) -> list[tuple[str, TensorView, TensorView]]:
    def held(dtype: str) -> TensorView:
        return replace(tensor, dtype=dtype)

    found = []
    if before != "fp32":
        found.append(("Cast" if before == "fp16" else OUT, held(before), held("fp32")))
    if after != "fp32":
        found.append(("Cast" if after == "fp16" else INTO, held("fp32"), held(after)))
    return found


def _view(operator: str, source: TensorView, result: TensorView) -> OperatorView:
    scale = TensorView("scale", "fp32", (), True)
    grid = {INTO: ("x", "y_scale", "y_zero_point"), OUT: ("x", "x_scale", "x_zero_point")}.get(operator)
    inputs = (
        {"input": source} if grid is None else {grid[0]: source, grid[1]: scale, grid[2]: replace(scale, dtype=_integer(source, result))}
    )
    outputs = {"output" if grid is None else "y": result}
    attributes = {"saturate": 1} if operator == INTO else {"to": ELEMENT[result.dtype]} if operator == "Cast" else {}
    return OperatorView("", "", operator, GRID, attributes, inputs, outputs, has_body=False, functions=frozenset())


def _integer(source: TensorView, result: TensorView) -> str:
    return result.dtype if source.dtype == "fp32" else source.dtype
