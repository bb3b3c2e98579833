"""What a runtime is asked about: an operator with all that it is never given without.

A device computes a quantised operator between its DequantizeLinears and its QuantizeLinear, and none of them alone: Hexagon's compiler
refuses a lone DequantizeLinear and takes DequantizeLinear, Relu, QuantizeLinear. Operators on constants belong to whoever reads what they
make: a graph without inputs is nothing that a runtime would be given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from .slice_model import captured

if TYPE_CHECKING:
    import onnx

INTO, OUT = "QuantizeLinear", "DequantizeLinear"


class Units:
    """The units of a segment's main graph. Nodes are compared by identity."""

    def __init__(self, nodes: Sequence[onnx.NodeProto], weights: Collection[str]) -> None:
        self._nodes = list(nodes)
        self._made = {name: node for node in nodes for name in node.output if name}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        self._constant = set(weights)
        for node in nodes:
            for name in _reads(node):
                self._readers.setdefault(name, []).append(node)
            if node.input and all(name in self._constant for name in _reads(node)):
                self._constant.update(node.output)

    def computing(self) -> list[onnx.NodeProto]:
        """The operators that units are named after: those that do more than to make a constant or to go from floats to integers or
        back. All of them where there is no such operator."""
        found = [node for node in self._nodes if node.op_type not in (INTO, OUT) and not self._is_constant(node)]
        return found or self._nodes

    def whole(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """The operator, the DequantizeLinears and constants that it reads, and the QuantizeLinears that read it."""
        after = [reader for name in node.output for reader in self._readers.get(name, ()) if reader.op_type == INTO]
        return self._ordered([node, *after, *self._before((node, *after))])

    def around(self, part: Sequence[onnx.NodeProto]) -> list[onnx.NodeProto]:
        """The part with the units next to it: those that write what it reads, and those that read what it writes."""
        ends = [self._made[name] for node in part for name in _reads(node) if name in self._made and name not in self._constant]
        starts = [reader for node in part for name in node.output for reader in self._readers.get(name, ())]
        near = [*self._nearest(ends, back=True), *self._nearest(starts, back=False)]
        return self._ordered([*part, *(member for node in near for member in self.whole(node))])

    def first(self, count: int) -> list[onnx.NodeProto]:
        """The units of the first so many computing operators."""
        return self._ordered(member for node in self.computing()[:count] for member in self.whole(node))

    def _nearest(self, nodes: Iterable[onnx.NodeProto], *, back: bool) -> list[onnx.NodeProto]:
        """Each node, or in the place of a QuantizeLinear or DequantizeLinear what computes behind it."""
        found, queue, seen = [], list(nodes), set[int]()
        for node in queue:
            if id(node) in seen:
                continue
            seen.add(id(node))
            if node.op_type not in (INTO, OUT):
                found.append(node)
            elif back:
                queue += [self._made[name] for name in node.input[:1] if name in self._made]
            else:
                queue += self._readers.get(node.output[0], [])
        return found

    def _before(self, nodes: Iterable[onnx.NodeProto]) -> list[onnx.NodeProto]:
        found: list[onnx.NodeProto] = []
        queue = list(nodes)
        for node in queue:
            for name in _reads(node):
                maker = self._made.get(name)
                if maker is not None and (maker.op_type == OUT or name in self._constant):
                    found.append(maker)
                    queue.append(maker)
        return found

    def _is_constant(self, node: onnx.NodeProto) -> bool:
        return all(name in self._constant for name in node.output if name)

    def _ordered(self, chosen: Iterable[onnx.NodeProto]) -> list[onnx.NodeProto]:
        wanted = {id(node) for node in chosen}
        return [node for node in self._nodes if id(node) in wanted]


def _reads(node: onnx.NodeProto) -> list[str]:
    return [name for name in (*node.input, *captured(node)) if name]
