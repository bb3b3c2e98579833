"""A random graph under construction: what a spelling is written with, and what is put around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from run_model import infer

ELEMENT = {"float16": onnx.TensorProto.FLOAT16, "float32": onnx.TensorProto.FLOAT, "float64": onnx.TensorProto.DOUBLE}
DOMAINS = {"com.microsoft": 1}


@dataclass
class Sketch:
    """Nodes, constants and inputs, chosen by `draw`; every node and tensor has a doc string and metadata that must not be lost."""

    draw: Callable[..., Any]
    dtype: str
    """Of every float tensor."""
    opset: int
    static: bool = False
    """Whether no dim may be symbolic."""
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    inputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    types: list[onnx.ValueInfoProto] = field(default_factory=list)
    """Of tensors that shape inference knows nothing about."""
    sizes: dict[str, int] = field(default_factory=dict)
    """Symbolic dims."""
    fragile: set[str] = field(default_factory=set)
    """Tensors that nothing else may read, or the rule must not fire."""
    nameless: set[str] = field(default_factory=set)
    """Tensors that may have other readers, but be no output of the graph."""
    hidden: set[str] = field(default_factory=set)
    """Tensors inside that are no floats."""
    before: set[str] = field(default_factory=set)
    """Tensors that lead to what is spelled, and are no part of it."""

    @property
    def dynamic(self) -> bool:
        return bool(self.sizes)

    def pick(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def flip(self) -> bool:
        return bool(self.draw(st.booleans()))

    def integer(self, low: int, high: int) -> int:
        return int(self.draw(st.integers(low, high)))

    def shape(self, low: int = 0, high: int = 5, least: int = 1, most: int = 3) -> tuple[int, ...]:
        """A shape of low to high axes."""
        return tuple(self.integer(least, most) for _ in range(self.integer(low, high)))

    def within(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """A shape that broadcasts to this one."""
        kept = shape[self.integer(0, len(shape)) :]
        return tuple(extent if self.flip() else 1 for extent in kept)

    def op(self, operator: str, *inputs: str, outputs: int = 0, domain: str = "", **attributes: Any) -> Any:
        """One more node; the name of what it writes, or with `outputs` a list of names."""
        name = f"t{len(self.nodes)}"
        names = [f"{name}_{k}" for k in range(outputs)] or [name]
        node = helper.make_node(operator, list(inputs), names, name=f"n{len(self.nodes)}", domain=domain, **attributes)
        node.doc_string = f"doc of {name}"
        node.metadata_props.add(key="from", value=name)
        self.nodes.append(node)
        return names if outputs else name

    def constant(self, array: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def floats(self, shape: Iterable[int], low: float = -2.0, high: float = 2.0) -> str:
        """A constant of values between low and high."""
        values = np.random.default_rng(self.integer(0, 99)).uniform(low, high, tuple(shape))
        return self.constant(np.asarray(values, self.dtype))

    def number(self, value: float, rank: int = 0) -> str:
        """A constant of one value and up to so many axes."""
        return self.constant(np.full((1,) * self.integer(0, rank), value, self.dtype))

    def input(self, shape: tuple[int, ...], free: Iterable[int] = ()) -> str:
        """A new graph input, or what one or two nodes make of it. Axes in `free` may be symbolic."""
        name = f"x{len(self.inputs)}"
        dims: list[int | str] = list(shape)
        for axis in free:
            if not self.static and self.integer(0, 3) == 0:
                dims[axis] = f"{name}_{axis}"
                self.sizes[f"{name}_{axis}"] = shape[axis]
        self.inputs.append(helper.make_tensor_value_info(name, ELEMENT[self.dtype], dims))
        self.before.add(name)
        for _ in range(self.integer(0, 2)):
            name = self.op("Neg", name) if self.flip() else self.op("Mul", name, self.number(0.75))
            self.before.add(name)
        return name

    def positive(self, tensor: str) -> str:
        """A tensor between 0.5 and not much more than the input's largest magnitude."""
        name = self.op("Add", self.op("Abs", tensor), self.number(0.5))
        self.before.update(node.output[0] for node in self.nodes[-2:])
        return str(name)

    def through(self, tensor: str) -> str:
        """The tensor behind a node that computes nothing."""
        kind = self.pick("Identity", "Cast", "Dropout")
        return str(self.op(kind, tensor, **({"to": ELEMENT[self.dtype]} if kind == "Cast" else {})))

    def once(self, tensor: str) -> str:
        """Marks a tensor that nothing else may read."""
        self.fragile.add(tensor)
        return tensor

    def inner(self, tensor: str) -> str:
        """Marks a tensor that may be no output of the graph."""
        self.nameless.add(tensor)
        return tensor

    def typed(self, tensor: str, shape: tuple[int, ...]) -> str:
        """Says what shape inference cannot know."""
        self.types.append(helper.make_tensor_value_info(tensor, ELEMENT[self.dtype], shape))
        return tensor

    def model(self, outputs: Iterable[str]) -> onnx.ModelProto:
        """A typed model with these outputs, and with everything that a model can carry besides."""
        known = {info.name: info for info in self.types}
        ends = [known.pop(name, None) or helper.make_tensor_value_info(name, ELEMENT[self.dtype], None) for name in outputs]
        graph = helper.make_graph(self.nodes, "sketch", self.inputs, ends, self.constants, doc_string="doc of the graph")
        graph.value_info.extend(known.values())
        domains = [helper.make_opsetid("", self.opset), *(helper.make_opsetid(*item) for item in DOMAINS.items())]
        model = infer(helper.make_model(graph, opset_imports=domains, ir_version=10, producer_name="a sketch", producer_version="7"))
        model.domain, model.model_version, model.doc_string = "test.sketch", 42, "doc of the model"
        model.metadata_props.add(key="author", value="a sketch")
        model.graph.metadata_props.add(key="graph", value="sketch")
        for info in (*model.graph.value_info, *model.graph.output, *model.graph.input):
            info.doc_string = f"doc of {info.name}"
            info.metadata_props.add(key="tensor", value=info.name)
        return model
