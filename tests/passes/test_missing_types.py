"""Every rule on what it matches, with types and shapes of tensors forgotten, since inference does not reach everywhere, or wrong, since
files are damaged: dtypes that are not so, constants of another size. A rule may decline; it never raises, and what it leaves is a valid
graph."""

from __future__ import annotations

import random

import numpy as np
import onnx
import onnx.numpy_helper
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spellings.table import SPELLINGS
from spellings.trial import Trial, trials

from autoglmc.compiler.watch.pass_judge import broken_invariants
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.library import every_rule, named
from autoglmc.passes.rule.apply import apply


def forget(model: onnx.ModelProto, dice: random.Random, share: float) -> onnx.ModelProto:
    """A copy in which some tensors have no type, or a type without a shape."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    kept = []
    for value in copy.graph.value_info:
        if dice.random() < share:
            if dice.random() < 0.5:
                continue
            value.type.tensor_type.ClearField("shape")
        kept.append(onnx.ValueInfoProto.FromString(value.SerializeToString()))
    del copy.graph.value_info[:]
    copy.graph.value_info.extend(kept)
    for value in (*copy.graph.input, *copy.graph.output):
        if dice.random() < share:
            value.ClearField("type") if dice.random() < 0.5 else value.type.tensor_type.ClearField("shape")
    return copy


def lie(model: onnx.ModelProto, dice: random.Random) -> onnx.ModelProto:
    """A copy in which one tensor is declared to be of another dtype or shape, or one constant has another size."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    values = [*copy.graph.value_info, *copy.graph.input, *copy.graph.output]
    kind = dice.choice(values).type.tensor_type
    tensors = [*copy.graph.initializer, *(a.t for node in copy.graph.node for a in node.attribute if a.HasField("t"))]
    match dice.randrange(3 if tensors else 2):
        case 0:
            kind.elem_type = dice.choice((1, 6, 7, 8, 9, 10, 11, 14, 16))
        case 1:
            kind.shape.dim.add().dim_value = dice.choice((0, 1, 3))
        case _:
            tensor = dice.choice(tensors)
            value, name = onnx.numpy_helper.to_array(tensor), tensor.name
            shape = dice.choice(((), (0,), (1,), (3,), (*value.shape, 2), value.shape[:-1], value.shape[::-1]))
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.resize(value, shape).astype(value.dtype), name))
    return copy


@pytest.mark.parametrize("name", [rule.name for rule in every_rule()])
def test_a_rule_told_what_is_not_so_declines_or_writes_a_valid_graph(name: str) -> None:
    @settings(max_examples=30)
    @given(trials(SPELLINGS[name]), st.integers(0, 2**30))
    def check(at: Trial, seed: int) -> None:
        graph = Graph(lie(at.model, random.Random(seed)))
        apply(graph, [named(name)])
        assert not broken_invariants(graph)

    check()


@pytest.mark.parametrize("name", [rule.name for rule in every_rule()])
def test_a_rule_without_types_declines_or_writes_a_valid_graph(name: str) -> None:
    @settings(max_examples=12)
    @given(trials(SPELLINGS[name]), st.integers(0, 2**30), st.sampled_from([0.2, 0.6, 1.0]))
    def check(at: Trial, seed: int, share: float) -> None:
        graph = Graph(forget(at.model, random.Random(seed), share))
        apply(graph, [named(name)])
        assert not broken_invariants(graph)

    check()
