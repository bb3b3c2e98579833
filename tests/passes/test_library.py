"""Recovery and simplification on real models: what is found, how fast, and that the outputs stay."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from counted import at_most
from models import NAMES, model_path
from run_model import emitted, feeds, run
from typed_models import load

from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.library import RECOVER, SIMPLIFY
from autoglmc.passes.rule.apply import apply

LAYER, RMS, GELU, TANH = "recover_layernorm", "recover_rmsnorm", "recover_gelu", "recover_gelu_tanh"
SWISH, HARD = "recover_swish", "recover_hardswish"
FOUND: Mapping[str, Mapping[str, int]] = {
    "bert_tiny": {LAYER: 7, GELU: 3},
    "glm_tiny": {RMS: 7, SWISH: 3},
    "lightnet": {LAYER: 1, GELU: 4, HARD: 1, "fold_batchnorm": 5},
    "magika_v3_3": {LAYER: 2, TANH: 2},
    "onnx_seeded_resnet50": {"fold_batchnorm": 53, "global_averagepool": 1},
    "onnx_seeded_shufflenet": {"fold_batchnorm": 49, "global_averagepool": 1},
    "ppocr2_cls": {HARD: 18, "fold_batchnorm": 35},
    "ppocr4_det": {HARD: 24, "fold_batchnorm": 3, "fold_channelwise": 58},
    "ppocr4_rec": {LAYER: 5, SWISH: 7, HARD: 28, "fold_batchnorm": 6, "fold_channelwise": 56},
    "silero_vad_16k_op15": {},
}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_recovered_is_what_the_file_holds(name: str) -> None:
    """Counted in the original file, not by the rules: every normalisation has a Sqrt, every Gelu an Erf or Tanh (the Sqrt of
    silero_vad is the magnitude of a spectrum)."""
    kinds = Counter(node.op_type for node in onnx.load(model_path(name)).graph.node)
    found = FOUND[name]
    assert found.get(LAYER, 0) + found.get(RMS, 0) == kinds["Sqrt"] - (name == "silero_vad_16k_op15")
    assert found.get(GELU, 0) + found.get(TANH, 0) == kinds["Erf"] + kinds["Tanh"]


CALLS_PER_NODE = 5_000
"""Of functions, to recover and simplify a real model: some 200 as measured; beyond this something is quadratic."""


@pytest.mark.parametrize("name", NAMES)
def test_real_models_are_recovered(name: str) -> None:
    before = load(name)
    graph = Graph(onnx.ModelProto.FromString(before.SerializeToString()))
    size = len(graph.nodes)
    with at_most(CALLS_PER_NODE * size):
        decisions = [*apply(graph, RECOVER), *apply(graph, SIMPLIFY)]
    taken = Counter(d.rule for d in decisions if d.taken and not d.rule.startswith("remove_"))
    assert taken == dict(FOUND[name])
    assert len(graph.nodes) <= size
    fed = inputs(before)
    old, new = run(before, fed), run(emitted(graph), fed)
    moved = run(before, {key: nudged(array) for key, array in fed.items()})
    for ours, theirs, noisy in zip(new, old, moved, strict=True):
        rounding = np.abs(theirs - noisy).max()
        assert np.abs(ours - theirs).max() <= max(1e-4 * float(theirs.std()), 4 * rounding, 1e-6)


def inputs(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Smooth pictures, bytes, and small token numbers and masks."""
    result = {}
    for name, array in feeds(model, 5, 1.0).items():
        if array.dtype == np.int32:
            result[name] = np.random.default_rng(5).integers(0, 256, array.shape, np.int32)
        elif array.dtype.kind == "i":
            result[name] = np.abs(array) % 2 if array.ndim else np.array(16000)
        else:
            result[name] = np.tanh(np.cumsum(np.cumsum(array, -1), -2) / 30).astype(array.dtype) if array.ndim == 4 else array
    return result


def nudged(array: np.ndarray) -> np.ndarray:
    """The input, off by rounding: what the output then moves is the model's own sensitivity."""
    if array.dtype.kind == "i":
        return array
    return np.asarray(array * (1 + 1.2e-7 * np.random.default_rng(9).standard_normal(array.shape)), array.dtype)


@pytest.mark.parametrize("folder", ["recover", "simplify", "substitute", "decompose", "tune"])
def test_rules_leave_builders_and_replacements_to_the_framework(folder: str) -> None:
    """A rule's build is given a Builder and returns the names of results."""
    files = (Path(__file__).parents[2] / "passes" / folder).glob("*.py")
    assert not [file.name for file in files if re.search(r"\b(Builder\(|Builder\.at|Replacement)\b", file.read_text(encoding="utf-8"))]
