"""Weights of several entries with calibration data: fitted to it, in as few bits as the accuracy allows, by the bundle's own run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_decoders import Decoder as Spec
from small_decoders import decoder

from autoglmc.compiler.driver.entries import entries_ahead, shared_precision
from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
from autoglmc.compiler.driver.entries.result import EntriesResult
from autoglmc.compiler.errors import Infeasible, UsageError
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.load.source import MemoryModel
from autoglmc.compiler.precision.asked_accuracy import asked_accuracy
from autoglmc.compiler.precision.request import request_of
from autoglmc.compiler.precision.weight_rounding import block_rounding
from autoglmc.compiler.precision.weights import fit_weights as fitting
from autoglmc.compiler.run.decoder.decoder import Decoder
from autoglmc.compiler.state.request import StateRequest
from autoglmc.compiler.state.whole_texts import whole_texts
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.precision.block_rounding import compensated
from autoglmc.passes.precision.weight_forms import in_blocks_of_4
from autoglmc.passes.precision.weights import Weight

SPEC = Spec(layers=2, width=16, vocabulary=256)
STATE = StateRequest((("past.*", "present.*"),), 64)
STEPS = {"prefill": Asked(shapes={}, tokens=8), "decode": Asked(shapes={}, tokens=1)}


def texts(count: int = 16, tokens: int = 32) -> list[dict[str, Any]]:
    draw = np.random.default_rng(0)
    return [{"input_ids": draw.integers(0, SPEC.vocabulary, (1, tokens))} for _ in range(count)]


def compiled(folder: Path, precision: str, limit: str = "", method: str | None = "gptq", verify: bool = True) -> EntriesResult:
    request, accuracy = request_of(precision, texts(), weights_method=method), asked_accuracy([limit] if limit else [])
    words: dict[str, Any] = {"state": STATE, "precision": request, "accuracy": accuracy, "verify": verify}
    return compile_entries(decoder(SPEC), "x86_cpu", STEPS, output=folder, **words)


def test_fitted_weights_are_nearer(tmp_path: Path) -> None:
    cosines = {}
    for method in ("rtn", "gptq"):
        made = compiled(tmp_path / method, "int4", method=method)
        assert made.verified and made.manifest.precision is not None and len(made.manifest.precision.forms["w4"]) == 4 * SPEC.layers
        (record,) = made.manifest.precision.accuracy
        assert record.output == "logits" and record.held_out and record.samples == (4 if method == "gptq" else 16)
        cosines[method] = record.cosine
    assert 1 - cosines["gptq"] < 0.95 * (1 - cosines["rtn"]), cosines  # random weights, random tokens: little to be learnt


def test_of_the_bundle_one_entry_is_open_beside_the_float_model_and_that_is_told_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forecasts: list[Any] = []
    opened: list[list[str]] = []
    decoders: list[Decoder] = []
    measure = shared_precision.accuracy_of

    class Noted(Decoder):
        def __init__(self, *words: Any, **options: Any) -> None:
            super().__init__(*words, **options)
            decoders.append(self)

    def measured(*words: Any) -> Any:
        found = measure(*words)
        opened.append(list(decoders[-1].sessions))
        return found

    monkeypatch.setattr(shared_precision, "Decoder", Noted)
    monkeypatch.setattr(shared_precision, "accuracy_of", measured)
    monkeypatch.setattr(entries_ahead, "check_memory", lambda ahead, *, verify: forecasts.extend(ahead(0, False)))
    made = compiled(tmp_path, "int4").manifest.precision
    assert opened == [["prefill"]] and made is not None
    assert max(one.terms.get("weights packed for kernels", 0) for one in forecasts) > made.weight_bytes[0]


def test_more_accuracy_takes_more_bits(tmp_path: Path) -> None:
    loose, tight = (compiled(tmp_path / limit[-2:], "auto", limit).manifest.precision for limit in ("cosine >= 0.9", "cosine >= 0.999"))
    assert loose is not None and tight is not None
    assert loose.accuracy[0].cosine >= 0.9 and tight.accuracy[0].cosine >= 0.999
    assert loose.weight_bytes[1] < tight.weight_bytes[1] < tight.weight_bytes[0]
    assert {unit.chosen for unit in tight.units} >= {"w8"} and all(len(unit.forms) > 1 for unit in tight.units)


def test_shuffled_scales_are_not_accurate_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: what is written is measured, whatever it was chosen by."""

    def shuffled(*words: Any) -> Weight:
        made = compensated(*words)
        scale = np.random.default_rng(0).permutation(made.scale.reshape(-1)).reshape(made.scale.shape)
        return Weight(made.stored, scale, made.axis, made.block, made.dtype)

    assert compiled(tmp_path / "right", "int4", "cosine >= 0.98").manifest.precision is not None
    monkeypatch.setattr(fitting, "compensated", shuffled)
    with pytest.raises(Infeasible, match=r"and 0\.98 is asked for"):
        compiled(tmp_path / "wrong", "int4", "cosine >= 0.98")
    assert not (tmp_path / "wrong").exists()


def test_groups_make_what_all_at_once_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_model(MemoryModel(decoder(SPEC), "decoder"))
    made = whole_texts(loaded.proto, STATE, {}, "decoder")
    graph, samples = Graph(loaded.proto), [made.completed(text) for text in texts(6)]
    forms = in_blocks_of_4(graph, load_target("x86_cpu"))
    monkeypatch.setattr(fitting, "GROUP_BYTES", 1)
    groups = fitting.fit_weights(graph, forms, samples)
    whole = block_rounding(graph, load_target("x86_cpu"), samples)
    assert whole is not None and set(groups.finer) == set(forms)
    for node in graph.nodes:
        if node.writes and node.writes[0] in forms:
            words: tuple[Any, ...] = (node.inputs[0], node.inputs[1], graph.value(node.inputs[1]), 0, 32, "int4", None)
            different = groups.rounding.weight(*words).stored != whole.weight(*words).stored
            assert different.mean() < 0.01  # sums in fp32 and in float64 round a few to other steps
            assert 0 < groups.finer[node.writes[0]] < 0.5


def test_sizes_of_caches_that_the_caller_gives(tmp_path: Path) -> None:
    """As onnxruntime-genai's exports have them: what a head is wide is named."""
    model = decoder(SPEC)
    for value in (*model.graph.input, *model.graph.output):
        if value.name.startswith(("past.", "present.")):
            value.type.tensor_type.shape.dim[3].dim_param = "head"
    request = request_of("int4", texts(4))
    made = compile_entries(model, "x86_cpu", STEPS, state=STATE, shapes={"head": SPEC.width}, precision=request, output=tmp_path / "b")
    assert made.verified and made.manifest.precision is not None and made.manifest.precision.accuracy[0].cosine > 0.9


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ({"input_ids": np.zeros((1, 0), np.int64)}, "tokens"),
        ({"input_ids": np.zeros((1, 4), np.int64), "past.0.k": np.zeros((1, 2, 0, 16), np.float32)}, "past.0.k"),
        ({}, "no array for the input 'input_ids'"),
    ],
)
def test_samples_that_do_not_fit(sample: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        compile_entries(decoder(SPEC), "x86_cpu", STEPS, state=STATE, precision=request_of("int4", [sample]), output=tmp_path / "b")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"precision": request_of("int4", None)}, "needs calibration data"),
        ({"precision": request_of("int4", texts(4)), "verify": False}, "--no-verify"),
        ({}, "samples of --calibration-data"),
    ],
)
def test_what_accuracy_needs(words: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        compile_entries(
            decoder(SPEC), "x86_cpu", STEPS, state=STATE, accuracy=asked_accuracy(["cosine >= 0.9"]), output=tmp_path / "b", **words
        )
