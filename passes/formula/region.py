"""What lies behind a node: the tensors and functions that a formula ending there could be made of.

Everything here is bounded: no more than MAX_NODES nodes are looked at, however deep or wide the graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ...targets.dtypes import FLOATS
from ..graph.graph import Graph
from ..graph.node import Node
from .grids import Grids

MAX_NODES = 48
MAX_CHAIN = 8
MAX_UNIFORM = 1 << 16
"""Constants up to this many elements are looked at for being one value throughout."""
THROUGH = frozenset({"Identity", "Cast", "Dropout"})
RESHAPING = frozenset({"Reshape", "Expand", "Unsqueeze"})
SMOOTH = frozenset({"Erf", "Exp", "Log", "Sigmoid", "Softplus", "Tanh"})
OTHERS = frozenset("Abs Acos Acosh Asin Asinh Atan Atanh Ceil Cos Cosh Floor HardSwish Mish Round Sign Sin Sinh Softsign Tan".split())
"""No built-in formula holds these; a target's own may."""
FUNCTIONS = SMOOTH | OTHERS
CLIPS = frozenset({"Clip", "Relu", "HardSigmoid", "Max", "Min"})
ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div", "Neg", "Sum", "Pow", "Sqrt", "Reciprocal"})
REDUCTIONS = frozenset({"ReduceL2", "ReduceMean", "ReduceSum", "ReduceSumSquare"})
CALLS = FUNCTIONS | CLIPS | REDUCTIONS
ANY: frozenset[frozenset[str]] = frozenset({FUNCTIONS | {"Clip", "Mean", "Root"}})
"""One formula that could have every function."""
READ = ARITHMETIC | FUNCTIONS | CLIPS | REDUCTIONS | RESHAPING | THROUGH
FUNCTION_OF = {
    **{name: name for name in FUNCTIONS},
    **{name: "Clip" for name in CLIPS},
    **{name: "Mean" for name in REDUCTIONS},
    **{name: "Root" for name in ("Sqrt", "Pow", "Reciprocal", "Div")},
}  # fmt: skip


BIT: Mapping[str, int] = {name: 1 << k for k, name in enumerate(sorted(FUNCTIONS | {"Clip", "Mean"}))}


def mask(functions: Iterable[str]) -> int:
    """A set of functions as bits, without "Root"."""
    return sum(BIT.get(name, 0) for name in functions)


@dataclass(frozen=True, slots=True)
class Step:
    """What a node adds to a region."""

    behind: tuple[tuple[str, Node | None], ...]
    """The operands that are not constant, without what only passes them through, and who writes them."""
    function: str | None
    mask: int
    """The bit of a function that every formula with this node in it has; a root can turn out to be none."""
    call: bool
    clips: bool


class Reader:
    """Remembers, for one graph, which constants are one number; safe across edits since names are never reused."""

    def __init__(
        self,
        graph: Graph,
        others: bool = True,
        calls: int = MAX_NODES,
        functions: frozenset[frozenset[str]] = ANY,
        grids: Grids | None = None,
    ) -> None:
        """`others`: whether a formula may read tensors besides x; without, regions end where no x can lie further back. `calls`: how many
        calls stand one in another in the deepest formula that is looked for; nothing is read beyond that. `functions`: what each of them
        holds; what has others is part of none. `grids`: given where formulas are read as if nothing in them was quantised."""
        self.graph, self.others, self.calls, self.functions, self.grids = graph, others, calls, functions, grids
        self._numbers: dict[str, float | None] = {}
        self._parts: dict[frozenset[str], bool] = {}
        self._steps: dict[Node, Step | None] = {}
        self._open: dict[Node, Step | None] = {}
        self._wholes = tuple(map(mask, functions))
        self._held: dict[int, bool] = {}

    def part_of_one(self, functions: frozenset[str]) -> bool:
        """Whether some formula that is looked for has all these functions."""
        if functions not in self._parts:
            self._parts[functions] = any(functions <= whole for whole in self.functions)
        return self._parts[functions]

    def may_hold(self, functions: int, calls: int) -> bool:
        """Whether a tensor with these functions (bits), and so many calls one in another, on the ways to it can be part of a formula of one
        x; true where formulas may read other tensors too."""
        if functions not in self._held:
            self._held[functions] = self.others or any(not functions & ~whole for whole in self._wholes)
        return self._held[functions] and (calls <= self.calls or self.others)

    def resolve(self, tensor: str) -> str:
        """The tensor behind Identity, a Cast to the dtype it has, and inference Dropout; and behind what is quantised and dequantised."""
        for _ in range(MAX_NODES):
            node = self.graph.producer(tensor)
            if self.grids is not None and (source := self.grids.source(tensor)):
                tensor = source
                continue
            if node is None or node.operator not in THROUGH or not self._passes(node):
                break
            tensor = node.inputs[0]
        return tensor

    def number(self, tensor: str) -> float | None:
        """The value of a constant that is one finite number throughout, else None. `tensor` must be resolved."""
        if tensor not in self._numbers:
            self._numbers[tensor] = self._number(tensor)
        return self._numbers[tensor]

    def is_constant(self, tensor: str) -> bool:
        """Whether it is a weight, or what one dequantises to."""
        return tensor in self.graph.constants or (self.grids is not None and self.grids.weight(tensor) is not None)

    def step(self, node: Node) -> Step | None:
        """What the node adds to a region; None where regions end."""
        if node not in self._open:
            step = self.formula_step(node)
            self._open[node] = None if step is not None and self._ends(node, step) else step
        return self._open[node]

    def forget(self) -> None:
        """The graph was edited: how often tensors are read may have changed, and so where regions end. What lies behind a node is taken
        to be the same."""
        self._open.clear()

    def formula_step(self, node: Node) -> Step | None:
        """What the node adds to a formula; None if no formula contains its operator."""
        if node not in self._steps:
            self._steps[node] = self._step(node)
        return self._steps[node]

    def _ends(self, node: Node, step: Step) -> bool:
        behind = step.behind
        return len(behind) > 1 and behind[0][0] != behind[1][0] and not self.others and self._apart(node)

    def _step(self, node: Node) -> Step | None:
        if node.operator not in READ or node.domain:
            return None
        behind = []
        for tensor in operands(node):
            producer = self.graph.producer(tensor)
            if producer is not None and (producer.operator in THROUGH or self.grids is not None):
                tensor = self.resolve(tensor)
                producer = self.graph.producer(tensor)
            if (producer is not None or tensor not in self.graph.constants) and (self.grids is None or not self.is_constant(tensor)):
                behind.append((tensor, producer))
        function = FUNCTION_OF.get(node.operator)
        return Step(tuple(behind), function, BIT.get(function or "", 0), node.operator in CALLS, node.operator in CLIPS)

    def _apart(self, node: Node) -> bool:
        """Whether one operand comes, by operators that nothing else reads, from what no formula contains: a sum or product of it with
        another tensor is no formula of one x, which would have to lie behind both."""
        graph = self.graph
        for tensor in operands(node):
            for _ in range(MAX_CHAIN):
                if self.is_constant(tensor) or graph.uses(tensor) > 1:
                    break
                if self.grids is not None and (source := self.grids.source(tensor)):
                    if self.grids.shared(tensor):
                        break
                    tensor = source
                producer = graph.producer(tensor)
                if producer is None or producer.operator not in READ or producer.domain:
                    return True
                inner = [name for name in operands(producer) if not self.is_constant(name)]
                if len(inner) != 1:
                    break
                tensor = inner[0]
        return False

    def _passes(self, node: Node) -> bool:
        if node.domain:
            return False
        if node.operator == "Cast":
            return self.graph.tensor(node.inputs[0]).dtype == self.graph.tensor(node.outputs[0]).dtype != "unknown"
        return node.operator == "Identity" or not_training(self.graph, node)

    def _number(self, tensor: str) -> float | None:
        if self.grids is not None and (stored := self.grids.weight(tensor)) is not None:
            return stored if np.isfinite(stored) else None
        view = self.graph.tensor(tensor)
        if not view.const or view.dtype not in FLOATS or not view.elements or view.elements > MAX_UNIFORM:
            return None
        array = self.graph.value(tensor)
        if array is None:
            return None
        first = array.reshape(-1)[0]
        if array.size > 1 and not (array.reshape(-1)[-1] == first and bool(np.all(array == first))):
            return None
        return None if np.isnan(first) else float(first)


def operands(node: Node) -> Iterable[str]:
    """The inputs that carry data rather than shapes, axes or bounds."""
    if node.operator in ARITHMETIC or node.operator in ("Max", "Min"):
        return node.inputs
    return node.inputs[:1]


def not_training(graph: Graph, node: Node) -> bool:
    """Whether a Dropout passes its input through: no training_mode input, or one that is constantly false."""
    if node.operator != "Dropout":
        return False
    if any(graph.uses(name) for name in node.writes[1:]):
        return False
    if len(node.inputs) < 3 or not node.inputs[2]:
        return True
    value = graph.value(node.inputs[2])
    return value is not None and not bool(value.reshape(-1)[0])
