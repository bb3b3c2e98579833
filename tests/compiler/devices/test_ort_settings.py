"""The names of onnxruntime's optimisers: those of the installed one, and what leaving one out does."""

from __future__ import annotations

import random
import re
import subprocess
import sys

import numpy as np
import pytest
from runtime_fault_models import feed, layer_norm, quantised_convolution, quantised_product, relu_clip, right
from small_models import RELU, parse

from autoglmc.compiler.devices.cpu_session import open_session
from autoglmc.compiler.devices.ort_settings import BASIC, DEFAULT, EXTENDED, LAYOUT, LEVELS, OPTIMISERS, OrtSettings

ALWAYS = {"RemoveDuplicateCastTransformer", "CastFloat16Transformer", "FuseFp16InitializerToFp32NodeTransformer", "MemcpyTransformer"}
"""Part of making any graph runnable, at every level."""
RULES = {"Level1_RuleBasedTransformer", "Level2_RuleBasedTransformer"}
"""They apply single rules, which have names of their own."""
LOG = """
import onnxruntime, sys
options = onnxruntime.SessionOptions()
options.log_severity_level = 0
onnxruntime.InferenceSession(bytes.fromhex(sys.argv[1]), options, providers=["CPUExecutionProvider"], disabled_optimizers=sys.argv[2:])
"""


def logged(*off: str) -> list[str]:
    """What onnxruntime says it applied."""
    model = parse(RELU).SerializeToString().hex()
    done = subprocess.run([sys.executable, "-c", LOG, model, *off], capture_output=True, text=True, check=True)
    return re.findall(r"GraphTransformer (\S+) modified", done.stderr + done.stdout)


def test_every_optimiser_of_the_installed_runtime_is_known() -> None:
    found = set(logged())
    assert len(found) > 40
    assert found - ALWAYS - RULES <= set(OPTIMISERS)


def test_every_name_that_the_runtime_knows_can_be_left_out() -> None:
    """EnsureUniqueDQForNodeUnit also runs before the first level, whatever is disabled."""
    assert set(logged(*OPTIMISERS)) - ALWAYS - RULES <= {"EnsureUniqueDQForNodeUnit"}
    assert not RULES & set(logged(*OPTIMISERS))


def test_levels_are_apart() -> None:
    assert len(set(OPTIMISERS)) == len(OPTIMISERS) == len(BASIC) + len(EXTENDED) + len(LAYOUT) <= 100
    assert LEVELS == ("all", "extended", "basic", "off")


def test_a_name_that_the_runtime_does_not_know_does_no_harm() -> None:
    session = open_session(parse(RELU).SerializeToString(), settings=OrtSettings(optimizers_off=("NoSuchFusion",)))
    assert session.run(None, {"x": np.array([[-1, 0, 1, 2]], "f")})[0].tolist() == [[0, 0, 1, 2]]


CULPRITS = [
    (("FuseReluClip",), lambda draw, rng: relu_clip(draw, rng, "int32")),
    (("FuseReluClip",), lambda draw, rng: relu_clip(draw, rng, "int8")),
    (("FuseReluClip",), lambda draw, rng: relu_clip(draw, rng, "float64")),
    (("LayerNormFusionL1", "SimplifiedLayerNormFusion"), lambda draw, rng: layer_norm(draw, rng, 0)),
    (("QDQSelectorActionTransformer",), lambda draw, rng: quantised_product(draw, rng, 10.0)),
    (("QDQSelectorActionTransformer",), lambda draw, rng: quantised_convolution(draw, rng, 1)),
]


@pytest.mark.parametrize(("names", "make"), CULPRITS)
def test_leaving_out_the_culprit_cures(names, make) -> None:  # type: ignore[no-untyped-def]
    model = make(random.Random(1), np.random.default_rng(1))
    expected, values = right(model)["y"], feed(model)

    def off(settings: OrtSettings) -> float:
        try:
            found = open_session(model.SerializeToString(), settings=settings).run(None, values)[0]
        except Exception:
            return np.inf
        return float(np.abs(found.astype(float) - expected).max())

    assert off(DEFAULT) > 0.5
    assert off(OrtSettings(optimizers_off=names)) < 1e-5
