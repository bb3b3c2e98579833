"""Mistakes in how values flow: masks, heads, positions, order, indices, branches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from onnx import TensorProto

from .edit import FLOATS, Chain, Edit, Place, attribute
from .kind import Kind, Site, plain


def _masks(view: Edit) -> Iterator[str]:
    for value in view.model.graph.input:
        if "mask" in value.name.lower() or "length" in value.name.lower() or value.type.tensor_type.elem_type == TensorProto.BOOL:
            yield value.name


def _mask_ignored(view: Edit) -> Iterator[Site]:
    """Everything is as if the mask were all ones."""
    for name in _masks(view):

        def ones(c: Chain, a: str, b: str) -> None:
            c.op("Cast", c.op("ConstantOfShape", c.op("Shape", a), value=_one()), out=b, to=c.dtype)

        yield Site(name, plain(lambda edit, name=name, ones=ones: edit.on_input(name, ones)))


def _one() -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.ones(1, np.float32))


def _mask_shifted(view: Edit) -> Iterator[Site]:
    for name in _masks(view):
        shape = view.shape(name)
        if shape and shape[-1] > 1:
            yield Site(name, plain(lambda edit, name=name: edit.on_input(name, _rolled)))


def _rolled(c: Chain, a: str, b: str) -> None:
    """By one along the last axis. A bool goes through int32."""
    wide = c.op("Cast", a, to=TensorProto.INT32) if c.dtype == TensorProto.BOOL else a
    head, tail = c.op("Slice", wide, c.ints(0), c.ints(-1), c.ints(-1)), c.op("Slice", wide, c.ints(-1), c.ints(1 << 40), c.ints(-1))
    if wide == a:
        c.op("Concat", tail, head, out=b, axis=-1)
    else:
        c.op("Cast", c.op("Concat", tail, head, axis=-1), out=b, to=TensorProto.BOOL)


def _unmasked_layer(view: Edit) -> Iterator[Site]:
    """The Add or Where before one Softmax is left out."""
    for place, node in view.places("Add", "Where"):
        if not any(reader.op_type == "Softmax" for reader in view.readers(node.output[0])):
            continue
        scores = next((name for name in node.input if _product(view, name)), None)
        if scores is not None:

            def make(edit: Edit, s: float, place: Place = place, scores: str = scores) -> None:
                edit.replace(place, lambda c, a, b: c.op("Identity", scores, out=b))

            yield Site(node.output[0], make)


def _product(view: Edit, name: str, depth: int = 3) -> bool:
    node = view.maker(name)
    if node is None or depth == 0:
        return False
    return node.op_type == "MatMul" or (node.op_type in ("Mul", "Div") and any(_product(view, n, depth - 1) for n in node.input))


COMPARISONS = {"LessOrEqual": "Less", "GreaterOrEqual": "Greater", "Less": "LessOrEqual", "Greater": "GreaterOrEqual"}


def _never(view: Edit) -> Iterator[Site]:
    """A comparison that is always true: a causal mask that is dropped."""
    for place, node in view.places(*COMPARISONS):

        def make(edit: Edit, s: float, place: Place = place) -> None:
            edit.after(place, 0, lambda c, a, b: c.op("Or", a, c.op("Not", a), out=b))

        yield Site(node.output[0], make)


def _off_by_one(view: Edit) -> Iterator[Site]:
    for place, node in view.places(*COMPARISONS):
        yield Site(
            node.output[0], plain(lambda edit, place=place: setattr(edit.node(place), "op_type", COMPARISONS[edit.node(place).op_type]))
        )


def _triangle(view: Edit) -> Iterator[Site]:
    for place, node in view.places("Trilu"):
        k = view.operand(node, 1)
        value = np.asarray((0 if k is None else int(k)) + 1, np.int64)
        yield Site(node.output[0], plain(lambda edit, place=place, value=value: edit.give(place, 1, value)))


def _sign(view: Edit) -> Iterator[Site]:
    for place, node in view.places("Neg"):
        yield Site(node.output[0], plain(lambda edit, place=place: setattr(edit.node(place), "op_type", "Identity")))


def _positions(view: Edit) -> Iterator[Site]:
    """Positions that begin at one."""

    def more(c: Chain, a: str, b: str) -> None:
        c.op("Add", a, c.const(1), out=b)

    for value in view.model.graph.input:
        if "position" in value.name.lower():
            yield Site(value.name, plain(lambda edit, name=value.name: edit.on_input(name, more)))
    for place, node in view.places("Range"):
        yield Site(node.output[0], plain(lambda edit, place=place: edit.after(place, 0, more)))


def _heads(view: Edit) -> Iterator[Site]:
    """Key or value heads in another order before they are repeated for the heads of the queries."""
    for place, node in view.places("Expand", "Tile"):
        shape = view.shape(node.input[0])
        if shape is None or len(shape) != 5 or view.operand(node, 0) is not None:
            continue
        axis = next((k for k in (1, 2) if shape[k] > 1 and 1 in shape[1:4]), None)
        if axis is not None:
            order = [*range(1, shape[axis]), 0]

            def make(edit: Edit, s: float, place: Place = place, axis: int = axis, order: Any = order) -> None:
                edit.before(place, 0, lambda c, a, b: c.op("Gather", a, c.ints(*order), out=b, axis=axis))

            yield Site(node.output[0], make)


def _permutation(view: Edit) -> Iterator[Site]:
    """Two equal dims in the other order."""
    for place, node in view.places("Transpose"):
        shape, perm = view.shape(node.output[0]), attribute(node, "perm")
        if shape is None or perm is None:
            continue
        pairs = [(i, j) for i in range(len(shape)) for j in range(i) if shape[i] == shape[j] > 1]
        for i, j in pairs[:1]:
            other = list(perm)
            other[i], other[j] = other[j], other[i]
            yield Site(node.output[0], plain(lambda edit, place=place, other=other: edit.set(place, "perm", other)))


def _residual(k: int) -> Any:
    def find(view: Edit) -> Iterator[Site]:
        for place, node in view.places("Add", "Sum"):
            shapes = [view.shape(name) for name in node.input]
            floats = view.types.get(node.output[0], 0) in FLOATS
            if (
                floats
                and len(shapes) == 2
                and shapes[0] == shapes[1]
                and shapes[0]
                and not any(view.constant(n) is not None for n in node.input)
            ):

                def make(edit: Edit, s: float, place: Place = place, kept: str = node.input[k]) -> None:
                    edit.replace(place, lambda c, a, b: c.op("Identity", kept, out=b))

                yield Site(node.output[0], make)

    return find


def _swapped(*operators: str) -> Any:
    """The last two operands in the other order."""

    def find(view: Edit) -> Iterator[Site]:
        for place, node in view.places(*operators):
            if len(node.input) < 2 or view.types.get(node.output[0], TensorProto.FLOAT) not in FLOATS:
                continue

            def make(edit: Edit, s: float, place: Place = place) -> None:
                names = edit.node(place).input
                names[-1], names[-2] = names[-2], names[-1]

            yield Site(node.output[0], make)

    return find


def _split(view: Edit) -> Iterator[Site]:
    for place, node in view.places("Split"):
        shapes = {view.shape(name) for name in node.output}
        if len(node.output) > 1 and len(shapes) == 1 and None not in shapes:

            def make(edit: Edit, s: float, place: Place = place) -> None:
                names = edit.node(place).output
                names[0], names[1] = names[1], names[0]

            yield Site(node.output[0], make)


def _gather(view: Edit) -> Iterator[Site]:
    for place, node in view.places("Gather"):
        index, shape = view.operand(node, 1), view.shape(node.input[0])
        if index is None or shape is None or view.types.get(node.output[0], 0) not in FLOATS:
            continue
        axis = attribute(node, "axis", 0)
        other = (index + 1) % shape[axis]
        if not np.array_equal(other, index):
            yield Site(node.output[0], plain(lambda edit, place=place, other=other: edit.give(place, 1, other.astype(np.int64))))


def _slice(view: Edit) -> Iterator[Site]:
    """A window of the same size one further, or one before."""
    for place, node in view.places("Slice"):
        starts, ends, shape = view.operand(node, 1), view.operand(node, 2), view.shape(node.input[0])
        result = view.shape(node.output[0])
        if starts is None or ends is None or shape is None or result is None or view.types.get(node.output[0], 0) not in FLOATS:
            continue
        axes = view.operand(node, 3)
        axis = int(axes.reshape(-1)[0]) if axes is not None else 0
        size, whole, start = result[axis], shape[axis], int(starts.reshape(-1)[0]) % max(shape[axis], 1)
        move = 1 if start + size < whole else -1
        if starts.size != 1 or size == whole or (view.operand(node, 4) is not None and int(view.operand(node, 4)[0]) != 1):
            continue
        first = np.array([start + move], np.int64)

        def make(edit: Edit, s: float, place: Place = place, first: Any = first, size: int = size) -> None:
            edit.give(place, 1, first)
            edit.give(place, 2, first + size)

        yield Site(node.output[0], make)


def _branches(view: Edit) -> Iterator[Site]:
    for place, node in view.places("If"):

        def make(edit: Edit, s: float, place: Place = place) -> None:
            for one in edit.node(place).attribute:
                one.name = {"then_branch": "else_branch", "else_branch": "then_branch"}.get(one.name, one.name)

        yield Site(node.output[0], make)


def _narrowed(view: Edit) -> Iterator[Site]:
    """One tensor that goes through fp16."""
    for place, node in view.places("MatMul", "Conv", "Add", "Mul", "Gemm"):
        if view.types.get(node.output[0], 0) == TensorProto.FLOAT and view.constant(node.output[0]) is None:

            def make(edit: Edit, s: float, place: Place = place) -> None:
                edit.after(place, 0, lambda c, a, b: c.op("Cast", c.op("Cast", a, to=TensorProto.FLOAT16), out=b, to=c.dtype))

            yield Site(node.output[0], make)


FLOW = (
    Kind("mask ignored", _mask_ignored),
    Kind("mask shifted by one", _mask_shifted),
    Kind("mask ignored in one layer", _unmasked_layer),
    Kind("causal mask dropped", _never),
    Kind("causal mask off by one", lambda view: iter([*_off_by_one(view), *_triangle(view)])),
    Kind("rotary sign", _sign),
    Kind("positions from one", _positions),
    Kind("wrong head", _heads),
    Kind("transposed dims", _permutation),
    Kind("residual dropped", _residual(1)),
    Kind("only the residual", _residual(0)),
    Kind("operands swapped", _swapped("Sub", "Div")),
    Kind("Where the other way", _swapped("Where")),
    Kind("concatenated in another order", _swapped("Concat")),
    Kind("parts of a split swapped", _split),
    Kind("index off by one", _gather),
    Kind("slice off by one", _slice),
    Kind("branches swapped", _branches),
    Kind("one tensor in fp16", _narrowed),
)
