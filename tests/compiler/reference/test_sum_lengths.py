"""How many terms a result adds up: what an operator makes of ones, where nothing of it lies beside its operand."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from autoglmc.compiler.reference.evaluate import Evaluator
from autoglmc.compiler.reference.held import Held
from autoglmc.compiler.reference.program import program_of
from autoglmc.compiler.reference.sum_lengths import terms_of

FEW = settings(max_examples=60, deadline=None, derandomize=True)
SMALL = st.integers(1, 3)
PAIR = st.tuples(SMALL, SMALL)


def counted(operator: str, shapes: list[tuple[int, ...]], constants: list[Any] = [], **attributes: Any) -> tuple[int, float]:  # noqa: B006
    """What is said, and the largest result of ones."""
    names = [f"x{k}" for k in range(len(shapes))]
    node = helper.make_node(operator, [*names, *(f"c{k}" for k in range(len(constants)))], ["y"], **attributes)
    weights = [helper.make_tensor(f"c{k}", TensorProto.INT64, [len(values)], values) for k, values in enumerate(constants)]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in zip(names, shapes, strict=True)]
    graph = helper.make_graph([node], "g", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], weights)
    program = program_of(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8))
    ones = {name: np.ones(shape, np.float32) for name, shape in zip(names, shapes, strict=True)}
    operands = [Held(value, "float32") for value in (*ones.values(), *(np.array(values) for values in constants))]
    found = Evaluator(program).run(ones).values["y"]
    return terms_of(program.steps[0], operands), float(found.max())


@FEW
@given(SMALL, SMALL, st.integers(1, 2), PAIR, PAIR, PAIR)
def test_convolutions(each: int, out: int, group: int, kernel: Any, strides: Any, dilations: Any) -> None:
    shapes = [(1, each * group, 9, 9), (out * group, each, *kernel)]
    said, found = counted("Conv", shapes, group=group, strides=strides, dilations=dilations)
    assert said == found


@FEW
@given(SMALL, SMALL, st.integers(1, 2), st.tuples(st.integers(1, 6), SMALL), PAIR, PAIR)
def test_transposed_convolutions(each: int, out: int, group: int, kernel: Any, strides: Any, dilations: Any) -> None:
    shapes = [(1, each * group, 9, 9), (each * group, out, *kernel)]
    said, found = counted("ConvTranspose", shapes, group=group, strides=strides, dilations=dilations)
    assert said == found


@FEW
@given(SMALL, st.integers(1, 40), SMALL, st.booleans(), st.booleans())
def test_products(rows: int, inner: int, columns: int, first: bool, second: bool) -> None:
    shapes = [(inner, rows) if first else (rows, inner), (columns, inner) if second else (inner, columns)]
    said, found = counted("Gemm", shapes, transA=int(first), transB=int(second))
    assert said == found == inner
    assert counted("MatMul", [(2, rows, inner), (inner, columns)]) == (inner, inner)


@FEW
@given(st.lists(SMALL, min_size=1, max_size=4), st.data(), st.sampled_from(["ReduceSum", "ReduceL1", "ReduceSumSquare"]))
def test_reductions(shape: list[int], data: st.DataObject, kind: str) -> None:
    axes = data.draw(st.lists(st.integers(-len(shape), len(shape) - 1), unique_by=lambda axis: axis % len(shape)))
    said, found = counted(kind, [tuple(shape)], [axes] if axes else [])
    assert said == found
