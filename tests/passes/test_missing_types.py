"""Every rule on what it matches, with types and shapes of tensors forgotten: inference does not reach everywhere. A rule may decline; it
never raises, and what it leaves is a valid graph."""

from __future__ import annotations

import random

import onnx
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


@pytest.mark.parametrize("name", [rule.name for rule in every_rule()])
def test_a_rule_without_types_declines_or_writes_a_valid_graph(name: str) -> None:
    @settings(max_examples=12)
    @given(trials(SPELLINGS[name]), st.integers(0, 2**30), st.sampled_from([0.2, 0.6, 1.0]))
    def check(at: Trial, seed: int, share: float) -> None:
        graph = Graph(forget(at.model, random.Random(seed), share))
        apply(graph, [named(name)])
        assert not broken_invariants(graph)

    check()
