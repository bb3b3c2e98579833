"""The walk back from a node: what the formulas that end there could be made of, and of which tensors they could be.

Everything here is bounded: no more than MAX_NODES nodes are walked, however deep or wide the graph.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..graph.node import Node
from .region import CLIPS, MAX_NODES, Reader, Step


@dataclass(slots=True)
class Region:
    """What lies behind a node, as far as formulas can look. A formula of x has every way from the node back to x in it: the functions on
    these ways, and as many calls one in another. So a tensor with ways that no formula has is not walked behind, unless formulas
    may read other tensors too. (Terms that cancel are the exception, and not looked for.)"""

    functions: set[str] = field(default_factory=set)
    reads: dict[str, int] = field(default_factory=dict)
    """Non-constant tensors in breadth-first order, with the number of times the region reads them."""
    chain: list[str] = field(default_factory=list)
    """Tensors on the way back from the node while each operator has one operand that is not constant."""
    masks: dict[str, int] = field(default_factory=lambda: {"": 0})
    """By tensor, the functions on all ways to it, as bits of region.BIT."""
    calls: dict[str, int] = field(default_factory=dict)
    """By tensor, the calls on the way to it that has most. A Clip in a Clip counts as one, since it can be one."""
    _inner: dict[str, int] = field(default_factory=lambda: {"": 0})
    """The same, where what writes the tensor is the next call: a Clip that a Clip reads was counted already."""
    _steps: dict[str, Step] = field(default_factory=dict)

    def _spread(self, start: str) -> None:
        """Counts the ways that go on from a tensor; those of a tensor that was walked already, and is met on another way, again."""
        stack, masks, calls, inner = [start], self.masks, self.calls, self._inner
        while stack:
            name = stack.pop()
            step = self._steps[name]
            mask, depth = masks[name] | step.mask, inner[name] + step.call
            for tensor, producer in step.behind:
                further = depth - 1 if step.clips and producer is not None and producer.operator in CLIPS else depth
                if tensor not in masks:
                    masks[tensor], calls[tensor], inner[tensor] = mask, depth, further
                elif mask & ~masks[tensor] or depth > calls[tensor] or further > inner[tensor]:
                    masks[tensor] |= mask
                    calls[tensor], inner[tensor] = max(calls[tensor], depth), max(inner[tensor], further)
                    if tensor in self._steps:
                        stack.append(tensor)


def region(reader: Reader, node: Node) -> Region:
    """The nodes behind `node`, breadth first, through operators that formulas can contain."""
    found = Region()
    reads, queue = found.reads, [("", node)]
    for name, current in queue:
        step = reader.step(current)
        if step is None or not reader.may_hold(found.masks[name], found._inner[name]):
            continue
        found._steps[name] = step
        if step.function is not None:
            found.functions.add(step.function)
        if len(step.behind) == 1 and len(queue) == len(found.chain) + 1:
            found.chain.append(step.behind[0][0])
        for tensor, producer in step.behind:
            before = reads.get(tensor, 0)
            reads[tensor] = before + 1
            if not before and producer is not None and len(queue) < MAX_NODES:
                queue.append((tensor, producer))
        found._spread(name)
    return found
