"""Einsum of one or two operands in primitives, for devices that lack it.

    Einsum(x, y)  ->  Transpose(Reshape(MatMul(Reshape(Transpose(x)), Reshape(Transpose(y)))))

The product of matrices sums over the letters that both operands have and the result has not; letters that all three have are batches. A
letter that only one operand has, and the result has not, is summed over first. Where nothing is summed over it is a Mul. Covered: equations
without an ellipsis and without a letter twice in one operand, sizes being equal.
"""

from __future__ import annotations

from math import prod

from ..formula.trace import extents
from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import COMPUTED, Builder
from ..rule.rewrite import Bindings, Contract, Rewrite


def match(graph: Graph, node: Node) -> Bindings | None:
    """The letters of operands and result, and the sizes of all letters in the order of `letters`."""
    equation = node.attribute("equation")
    shapes = [extents(graph, name) for name in node.inputs]
    if not isinstance(equation, str) or len(shapes) > 2 or graph.tensor(node.inputs[0]).dtype not in COMPUTED:
        return None
    parts, sizes = _parts(equation.replace(" ", "")), dict[str, int]()
    if parts is None or len(parts) != len(shapes) + 1:
        return None
    for letters, shape in zip(parts, shapes, strict=False):
        if shape is None or len(letters) != len(shape) or len(set(letters)) != len(letters):
            return None
        if any(sizes.setdefault(letter, size) != size for letter, size in zip(letters, shape, strict=True)):
            return None
    result = parts[-1]
    if len(set(result)) != len(result) or not set(result) <= set(sizes) or len({graph.tensor(name).dtype for name in node.inputs}) > 1:
        return None
    letters = "".join(sizes)
    return Bindings(node, {"equation": ",".join(parts), "letters": letters, "sizes": tuple(sizes.values())})


def _parts(equation: str) -> list[str] | None:
    """Of the operands and the result, which without an arrow has the letters that occur once, in order; None where there are others."""
    operands, arrow, result = equation.partition("->")
    every = operands.replace(",", "")
    if not all(letter.isalpha() for letter in every + result):
        return None
    return [*operands.split(","), result if arrow else "".join(sorted(letter for letter in set(every) if every.count(letter) == 1))]


def build(b: Builder, found: Bindings) -> str:
    *operands, result = found["equation"].split(",")
    sizes = dict(zip(found["letters"], found.integers("sizes"), strict=True))
    inputs = list(found.root.inputs)
    if len(operands) == 1:
        made, letters = _summed(b, inputs[0], operands[0], result)
        return _turned(b, made, letters, result) if letters != result else made
    (x, of_x), (y, of_y) = (_summed(b, inputs[k], operands[k], operands[1 - k] + result) for k in range(2))
    batch = [letter for letter in of_x if letter in of_y and letter in result]
    inner = [letter for letter in of_x if letter in of_y and letter not in result]
    rows, columns = ([letter for letter in own if letter not in other] for own, other in ((of_x, of_y), (of_y, of_x)))

    def shaped(tensor: str, letters: str, groups: list[list[str]]) -> str:
        """In the order of the groups, each group behind the batch being one axis."""
        wanted = [*batch, *(letter for group in groups for letter in group)]
        tensor = _turned(b, tensor, letters, "".join(wanted))
        shape = [*(sizes[letter] for letter in batch), *(prod(sizes[letter] for letter in group) for group in groups)]
        return tensor if len(shape) == len(wanted) and all(len(group) == 1 for group in groups) else b.reshape(tensor, shape)

    if inner:
        made = b.op("MatMul", shaped(x, of_x, [rows, inner]), shaped(y, of_y, [inner, columns]))
    else:
        made = b.mul(shaped(x, of_x, [rows, []]), shaped(y, of_y, [[], columns]))
    letters = "".join((*batch, *rows, *columns))
    if len(rows) != 1 or len(columns) != 1:
        made = b.reshape(made, [sizes[letter] for letter in letters])
    return _turned(b, made, letters, result)


def _summed(b: Builder, tensor: str, letters: str, kept: str) -> tuple[str, str]:
    """Over the letters that nothing else has."""
    gone = tuple(axis for axis, letter in enumerate(letters) if letter not in kept)
    if not gone:
        return tensor, letters
    return b.with_axes("ReduceSum", tensor, gone, keepdims=0), "".join(letter for letter in letters if letter in kept)


def _turned(b: Builder, tensor: str, letters: str, wanted: str) -> str:
    return tensor if letters == wanted else b.op("Transpose", tensor, perm=tuple(letters.index(letter) for letter in wanted))


EINSUM_MATMUL = Rewrite(
    name="einsum_matmul",
    summary="Einsum(x, y) -> Transpose(Reshape(MatMul(Reshape(Transpose(x)), Reshape(Transpose(y)))))",
    operators=("Einsum",),
    emits=("MatMul", "Mul", "ReduceSum", "Reshape", "Transpose"),
    contract=Contract("reassociates"),
    match=match,
    build=build,
)
