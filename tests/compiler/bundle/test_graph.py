"""Bundles as networkx graphs, and networkx as the judge of bundles."""

from __future__ import annotations

import math
import tempfile
from functools import partial
from pathlib import Path
from random import Random

import onnx
import pytest
from bundle_shape import check_shape
from hypothesis import given, settings
from hypothesis import strategies as st
from models import SHAPES, model_path
from random_graphs import draw_assignment, models, targets

import autoglmc
from autoglmc.passes.place import objectives
from autoglmc.targets.model import Target

REAL = [
    ("bert_tiny", "a16"), ("bert_tiny", "x86_cpu"), ("glm_tiny", "snapdragon_8gen3"), ("glm_tiny", "workstation"),
    ("lightnet", "tensor_g2"), ("magika_v3_3", "tensor_g2"), ("ppocr2_cls", "ethos_u55_256"), ("ppocr4_rec", "a16"),
    ("silero_vad_16k_op15", "workstation"), ("onnx_seeded_shufflenet", "snapdragon_8gen2"),
]  # fmt: skip
CLOSE = 1e-12


@pytest.mark.parametrize(("name", "target"), REAL)
def test_real_bundles(name: str, target: str, tmp_path: Path) -> None:
    result = autoglmc.compile_model(model_path(name), target, shapes=SHAPES[name], output=tmp_path / "b", verify=False)
    bundle = result.bundle
    check_shape(result.manifest, bundle.graph(), bundle.graph("segments"))
    check_shape(result.manifest, result.graph(), result.graph("segments"))
    check_seconds(result)
    check_sizes(result)


def check_seconds(result: autoglmc.CompileResult) -> None:
    """Operators and one dispatch make a segment; segments and handoffs make the prediction of the plan."""
    graph, predicted = result.graph(), result.predicted.latency
    dispatch = {device.name: device.dispatch for device in result.work.target.devices}
    for index, facts in graph.graph["segments"].items():
        own = [data["seconds"] for _, data in graph.nodes(data=True) if data.get("segment") == index]
        assert sum(own) + dispatch[facts["device"]] == pytest.approx(facts["seconds"], abs=CLOSE)
    segments = result.graph("segments")
    assert sum(data["seconds"] for _, data in segments.nodes(data=True)) == pytest.approx(predicted, rel=1e-9)
    assert graph.graph["seconds"] == segments.graph["seconds"] == pytest.approx(predicted, rel=1e-9)
    assert all(data["rule"] for _, data in graph.nodes(data=True) if data["kind"] == "operator")


def check_sizes(result: autoglmc.CompileResult) -> None:
    """The bytes of a tensor at a border are those of its elements, as its slot declares them."""
    bits = {"fp32": 32, "fp16": 16, "int64": 64, "int32": 32, "int8": 8, "uint8": 8, "bool": 8}
    slots = {slot.tensor: math.prod(slot.shape) * bits[slot.dtype] // 8 for slot in result.manifest.arena.slots}
    for graph in (result.bundle.graph("segments"), result.graph("segments")):
        edges = [(facts["tensors"], facts["bytes"]) for _, _, facts in graph.edges(data=True)]
        known = [(names, size) for names, size in edges if all(name in slots for name in names)]
        assert known and all(size == sum(slots[name] for name in names) for names, size in known)


def test_attributes_are_the_documented_ones(tmp_path: Path) -> None:
    result = autoglmc.compile_model(model_path("lightnet"), "tensor_g2", shapes={"batch": 1}, output=tmp_path / "b", verify=False)
    common = {"kind", "seconds"}
    value, handoff = {"tensor", "dtype", "shape"}, {"tensor", "producer", "consumer", "mode", "via", "bytes"}
    operator = {"name", "operator", "domain", "segment", "device", "dtype"}
    segment = {"index", "device", "runtime", "dtype", "operators", "kernels", "bytes", "joules"}
    wanted = {"input": value, "output": value, "handoff": handoff, "segment": segment}
    for graph, own in ((result.bundle.graph(), "kernel"), (result.graph(), "rule"), (result.graph("segments"), "")):
        for node, facts in graph.nodes(data=True):
            assert set(facts) == common | ({**wanted, "operator": operator | {own}}[facts["kind"]]), node
        assert all(set(facts) == {"tensors", "bytes"} for _, _, facts in graph.edges(data=True))
        assert set(graph.graph) == {"target", "level", "seconds", "segments"} and graph.graph["target"] == "tensor_g2"
    text = autoglmc.Bundle.graph.__doc__ or ""
    assert all(f"`{name}`" in text for name in {*common, *value, *handoff, *operator, *segment, "kernel", "tensors", "target", "level"})
    assert {facts["mode"] for _, facts in result.graph().nodes(data=True) if facts["kind"] == "handoff"} == {"zero_copy"}


def test_bodies_are_read(tmp_path: Path) -> None:
    """silero's If reads the tensors around it from its branches."""
    name = "silero_vad_16k_op15"
    result = autoglmc.compile_model(model_path(name), "x86_cpu", shapes=SHAPES[name], output=tmp_path / "b", verify=False)
    for graph in (result.graph(), result.bundle.graph()):
        assert all(graph.in_degree(node) for node, kind in graph.nodes(data="kind") if kind == "output")


@settings(max_examples=15)
@given(models(), targets())
def test_random_bundles(model: onnx.ModelProto, target: Target) -> None:
    with tempfile.TemporaryDirectory() as folder:
        result = autoglmc.compile_model(model, target, output=Path(folder) / "b", verify=False)
        check_shape(result.manifest, result.bundle.graph(), result.bundle.graph("segments"))
        check_shape(result.manifest, result.graph(), result.graph("segments"))
        check_seconds(result)


@settings(max_examples=15)
@given(models(), targets(), st.randoms(use_true_random=False))
def test_bundles_of_random_placements(model: onnx.ModelProto, target: Target, random: Random) -> None:
    """Not only the plans a solver likes: segments are many and tangled."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(objectives, "solve", partial(draw_assignment, random))
        result = autoglmc.compile_model(model, target, output=Path(folder) / "b", verify=False)
        check_shape(result.manifest, result.bundle.graph(), result.bundle.graph("segments"))
        check_shape(result.manifest, result.graph(), result.graph("segments"))
