"""What depends on no input is folded, or computed where it is read: it is never handed from one device to another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from constant_models import ROWS, SIDE, make_model
from run_model import run

from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.load.load_model import LoadedModel, load_model
from autoglmc.compiler.load.source import MemoryModel
from autoglmc.compiler.plan.plan_model import PlannedModel, plan_model

TARGETS = ("a16", "tensor_g2", "snapdragon_8gen2", "ethos_u55_256")
SEEDS = range(24)


@contextmanager
def stage(name: str) -> Iterator[None]:
    yield


def load(seed: int) -> LoadedModel:
    return load_model(MemoryModel(make_model(seed), f"seed {seed}"))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_folded_model_computes_the_same(seed: int) -> None:
    loaded, source = load(seed), make_model(seed)
    fed = {"x": np.random.default_rng(seed).standard_normal((ROWS, SIDE)).astype(np.float32)}
    np.testing.assert_array_equal(run(loaded.proto, fed)[0], run(source, fed)[0])
    assert loaded.proto.ByteSize() < source.ByteSize() + (8 << 20)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("seed", SEEDS[::3])
def test_no_constant_crosses_a_border(seed: int, target: str) -> None:
    loaded = load(seed)
    planned = plan_model(loaded, load_target(target), 0.1, stage)
    if not isinstance(planned, PlannedModel):
        pytest.skip(f"no plan: {planned.problem.message}")
    varying = set(planned.compiled.graph_inputs)
    alone = []
    for segment in planned.compiled.segments:
        assert varying.issuperset(segment.inputs), "a border carries what depends on no input"
        for node in segment.graph.nodes:
            if varying.isdisjoint(node.reads):
                alone.append(node.kind)
            else:
                varying.update(node.writes)
    assert varying.issuperset(handoff.tensor for handoff in planned.compiled.handoffs)
    computed = [kind for kind in alone if kind != "DequantizeLinear"]
    assert not computed or any("computed on every run" in note for note in loaded.notes), computed
