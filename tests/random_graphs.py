"""Random models of operators that phones meet, and random machines to place them on."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import onnx
from hypothesis import strategies as st
from make_target import make_cpu, make_device, make_link, make_target
from onnx import TensorProto, helper, numpy_helper

from autoglmc.passes.solve.price import price
from autoglmc.passes.solve.problem import Problem
from autoglmc.passes.solve.solve import Solution
from autoglmc.targets.model import Target

UNARY = ("Relu", "Tanh", "Sigmoid", "Neg", "Abs", "Identity", "HardSigmoid", "HardSwish", "Softplus", "Erf")
BINARY = ("Add", "Sub", "Mul", "Max")
WORDS = ("Relu", "Tanh", "Sigmoid", "Neg", "Abs", "Add", "Sub", "Mul", "Div", "Sqrt", "Pow", "Erf", "MatMul", "Gemm", "Conv", "Softmax")
WORDS += ("ReduceMean", "Reshape", "Transpose", "Concat", "Clip", "HardSigmoid", "Gelu", "LayerNormalization", "Max", "Reciprocal")


class Builder:
    """A graph under construction; every value is [batch, seq, width] or [batch, channels, h, w] floats."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.shapes: dict[str, tuple[int, ...]] = {}

    def weight(self, *shape: int, scale: float = 1.0) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array((self.random.standard_normal(shape) * scale).astype(np.float32), name))
        return name

    def number(self, value: float) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.array(value, np.float32), name))
        return name

    def ints(self, *values: int) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def add(self, operator: str, inputs: list[str], shape: tuple[int, ...], **attributes: object) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=f"{operator}_{len(self.nodes)}", **attributes))
        self.shapes[name] = shape
        return name


def _gelu(b: Builder, x: str) -> str:
    shape = b.shapes[x]
    inner = b.add("Erf", [b.add("Div", [x, b.number(2**0.5)], shape)], shape)
    half = b.add("Mul", [x, b.number(0.5)], shape)
    return b.add("Mul", [half, b.add("Add", [inner, b.number(1.0)], shape)], shape)


def _layernorm(b: Builder, x: str) -> str:
    shape = b.shapes[x]
    short = (*shape[:-1], 1)
    centred = b.add("Sub", [x, b.add("ReduceMean", [x, b.ints(-1)], short, keepdims=1)], shape)
    square = b.add("Mul", [centred, centred], shape)
    variance = b.add("Add", [b.add("ReduceMean", [square, b.ints(-1)], short, keepdims=1), b.number(1e-3)], short)
    scaled = b.add("Div", [centred, b.add("Sqrt", [variance], short)], shape)
    return b.add("Add", [b.add("Mul", [scaled, b.weight(shape[-1])], shape), b.weight(shape[-1])], shape)


def _matmul(b: Builder, x: str) -> str:
    width = b.shapes[x][-1]
    return b.add("MatMul", [x, b.weight(width, width, scale=width**-0.5)], b.shapes[x])


def _conv(b: Builder, x: str) -> str:
    shape = b.shapes[x]
    if len(shape) != 4:
        return _matmul(b, x)
    weight = b.weight(shape[1], shape[1], 3, 3, scale=(9 * shape[1]) ** -0.5)
    return b.add("Conv", [x, weight, b.weight(shape[1])], shape, pads=[1, 1, 1, 1])


def _transpose(b: Builder, x: str) -> str:
    shape = b.shapes[x]
    order = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
    return b.add("Transpose", [x], tuple(shape[k] for k in order), perm=order)


def _reshape(b: Builder, x: str) -> str:
    shape = b.shapes[x]
    merged = (shape[0], int(np.prod(shape[1:-1])), shape[-1])
    return b.add("Reshape", [x, b.ints(*merged)], merged)


def _softmax(b: Builder, x: str) -> str:
    return b.add("Softmax", [x], b.shapes[x], axis=-1)


STEPS: tuple[Callable[[Builder, str], str], ...] = (_gelu, _layernorm, _matmul, _conv, _transpose, _reshape, _softmax)


@st.composite
def models(draw: st.DrawFn, most: int = 12) -> onnx.ModelProto:
    """One or two inputs, a few outputs, shared intermediates."""
    b = Builder(draw(st.integers(0, 2**31)))
    shape = draw(st.sampled_from([(1, 4, 6), (2, 3, 8), (1, 3, 6, 8)]))
    inputs = [f"x{k}" for k in range(draw(st.integers(1, 2)))]
    b.shapes.update(dict.fromkeys(inputs, shape))
    values = list(inputs)
    for _ in range(draw(st.integers(1, most))):
        x = draw(st.sampled_from(values[-4:]))
        kind = draw(st.integers(0, 2))
        if kind == 0:
            values.append(draw(st.sampled_from(STEPS))(b, x))
        elif kind == 1:
            values.append(b.add(draw(st.sampled_from(UNARY)), [x], b.shapes[x]))
        else:
            y = draw(st.sampled_from([v for v in values if b.shapes[v] == b.shapes[x]]))
            values.append(b.add(draw(st.sampled_from(BINARY)), [x, y], b.shapes[x]))
    read = {name for node in b.nodes for name in node.input}
    outputs = [name for name in values if name not in read and name not in inputs]
    extra = draw(st.sampled_from([v for v in values if v not in inputs]))
    outputs = list(dict.fromkeys([*outputs, extra]))
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, b.shapes[name]) for name in (*inputs, *outputs)]
    used = [k for k, name in enumerate(inputs) if name in read]
    graph = helper.make_graph(b.nodes, "random", [infos[k] for k in used], infos[len(inputs) :], b.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    return model


@st.composite
def targets(draw: st.DrawFn) -> Target:
    """A host that runs everything, one or two devices with random tables, costs that make many kinds of plan the best one."""
    devices = []
    for name in ("npu", "gpu")[: draw(st.integers(1, 2))]:
        words = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=len(WORDS), unique=True))
        rewrites = [("Gelu", draw(st.sampled_from(["relu_tanh", "tanh", "sigmoid"])), 3e-2)] if draw(st.booleans()) else []
        device = make_device(
            name,
            words,
            dtypes=("fp32",),
            adapter="none",
            peak=1e12,
            dispatch=draw(st.sampled_from([1e-8, 1e-6, 2e-5])),
            launch=1e-8,
            max_rank=draw(st.sampled_from([None, 3, 4])),
            kernels=[["Conv|MatMul", "Add?", "Relu|Tanh"], ["Add", "Relu"]] if draw(st.booleans()) else [],
            rewrites=rewrites,
        )
        devices.append(device)
    cpu = make_cpu(peak=draw(st.sampled_from([1e6, 1e8, 1e10])), launch=draw(st.sampled_from([1e-8, 2e-6])))
    links = [_link(draw, device.name, "cpu") for device in devices]
    if len(devices) == 2 and draw(st.booleans()):
        links.append(_link(draw, "npu", "gpu"))
    return make_target([*devices, cpu], links)


def _link(draw: st.DrawFn, a: str, b: str):  # type: ignore[no-untyped-def]
    row, align = draw(st.sampled_from([(1, 1), (64, 64), (32, 4096)]))
    return make_link(a, b, zero_copy=draw(st.booleans()), handoff=draw(st.sampled_from([0.0, 1e-6])), row_align=row, align=align)


def draw_assignment(random: Random, problem: Problem, starts: object, seconds: float) -> Solution | None:
    """A random assignment; links that are missing make some impossible, then the one on the host."""
    drawn = [random.choice(unit.devices) for unit in problem.units]
    for assignment in (drawn, [problem.host] * len(problem.units)):
        found = price(problem, assignment)
        if found is not None:
            return Solution(tuple(assignment), found, 0.0, False)
    return None
