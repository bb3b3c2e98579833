"""Steps whose attention writes no cache: new rows go out, and the session puts them behind the others. For devices without an operator that
extends caches, and for heads that onnxruntime's one does not take."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import onnx
import pytest
from growing_cache import check_tokens
from small_decoders import SPECS, decoder
from small_decoders import Decoder as Spec

from autoglmc.compiler.bundle.entries import entry_view
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
from autoglmc.compiler.driver.entries.faster_way import faster_way
from autoglmc.compiler.driver.entries.result import EntriesResult
from autoglmc.compiler.driver.result import CompileResult
from autoglmc.compiler.errors import Infeasible, UserError
from autoglmc.compiler.load.source import MemoryModel, source_of
from autoglmc.compiler.run.in_place import results_over_inputs
from autoglmc.compiler.state.fixed_models import fixed_models
from autoglmc.compiler.state.request import StateRequest
from autoglmc.compiler.state.ways import APPENDED, EXTENDED, Ways

LENGTH = 64
WHOLE = "com.microsoft::GroupQueryAttention"
WRITTEN_OUT = f"{WHOLE}; Attention; RotaryEmbedding"
"""What the CPU of a target does not run, where attention is to be one operator, or several."""
AS_ONE = ("grouped heads", "sliding window")
SIDE_BY_SIDE = """
hw 1;

include "snapdragon_8gen3.hw";

amend &snapdragon_8gen3.npu { dispatch 150 us @guess; launch 0.1 us @guess; }
amend &snapdragon_8gen3.link.npu.cpu { handoff 0.5 us @guess; }
amend &snapdragon_8gen3.cpu { peak fp32 20 GFLOPS @guess; }
"""
"""Many tokens are faster on the NPU, one is on the CPU."""


def target_without(operators: str, folder: Path) -> Path:
    path = folder / "cpu.hw"
    path.write_text(f'hw 1;\n\ninclude "x86_cpu.hw";\n\namend &x86_cpu.cpu {{ deny {{ {operators}; }} }}\n')
    return path


def compiled(model: onnx.ModelProto, target: str | Path, folder: Path, prefill: int = 8, *, emulate: bool = False) -> EntriesResult:
    entries = {"prefill": Asked(shapes={}, tokens=prefill), "decode": Asked(shapes={}, tokens=1)}
    state = StateRequest((("past.*", "present.*"),), LENGTH)
    return compile_entries(model, target, entries, state=state, output=folder / "bundle", emulate=emulate)


def rows_out(result: EntriesResult) -> dict[str, set[int]]:
    """By entry, how many rows of a cache go out."""
    presents = {state.present for state in result.manifest.states}
    each = {name: result.results[name].manifest.model.outputs for name in result.results}
    return {name: {(value.shape or ())[2] for value in outputs if value.name in presents} for name, outputs in each.items()}


@pytest.mark.parametrize(("spec", "without"), [*((spec, WRITTEN_OUT) for spec in SPECS), *((spec, WHOLE) for spec in AS_ONE)])
def test_tokens_equal_those_of_a_growing_cache(spec: str, without: str, tmp_path: Path) -> None:
    result = compiled(decoder(SPECS[spec]), target_without(without, tmp_path), tmp_path)
    assert result.verified, result.verification
    assert rows_out(result) == {"prefill": {8}, "decode": {1}}
    assert all(state.copied == 0 for state in result.manifest.states)
    check_tokens(result.bundle.session(), decoder(SPECS[spec]), SPECS[spec].vocabulary)


@pytest.mark.parametrize("width", [4, 12])
def test_heads_that_no_operator_extends_are_appended(width: int, tmp_path: Path) -> None:
    spec = Spec(width=width)
    result = compiled(decoder(spec), "x86_cpu", tmp_path)
    assert result.verified and rows_out(result) == {"prefill": {8}, "decode": {1}}
    check_tokens(result.bundle.session(), decoder(spec), spec.vocabulary)


def test_new_rows_that_lie_over_an_input_are_tried_apart_like_other_results(tmp_path: Path) -> None:
    """The first run computes each such result elsewhere first: one that were left out would be where the input of the second run is."""
    result = compiled(decoder(Spec(layers=2, groups=4, embeds=True)), target_without(WRITTEN_OUT, tmp_path), tmp_path)
    view = entry_view(result.manifest, "prefill")
    slots, presents = view.arena.slots, {state.present for state in view.states}
    over = {slot.tensor for slot in slots if slot.in_place is not None and slot.tensor in presents}
    assert over and over <= {name for segment in view.segments for name in results_over_inputs(view, segment)}


def test_entries_of_both_ways_share_caches(tmp_path: Path) -> None:
    (tmp_path / "board.hw").write_text(SIDE_BY_SIDE)
    spec = Spec(layers=2, heads=8, groups=4, width=16)
    result = compiled(decoder(spec), tmp_path / "board.hw", tmp_path, 32, emulate=True)
    assert result.verified, result.verification
    assert rows_out(result) == {"prefill": {32}, "decode": {LENGTH}}, "the NPU computes rows, the CPU's attention writes them itself"
    check_tokens(result.bundle.session(emulate=True), decoder(spec), spec.vocabulary)


def test_attention_written_out_stays_so_for_a_cpu(tmp_path: Path) -> None:
    """As one operator it would add the mask to scores of keys that nothing has replaced."""
    request = StateRequest((("past.*", "present.*"),), LENGTH)
    ways = Ways(names=(APPENDED,))
    steps = fixed_models(source_of(decoder(Spec())), request, LENGTH, {"step": 4}, {}, lambda name: nullcontext(), ways).steps
    result = compile_model(steps["step"].written[APPENDED], "x86_cpu", output=tmp_path / "bundle", verify=False)
    kinds = {node.op_type for path in (result.folder / "segments").glob("*.onnx") for node in onnx.load(path).graph.node}
    assert "Softmax" in kinds and not kinds & {"Attention", "GroupQueryAttention", "MultiHeadAttention"}


class Shortage(UserError):
    """The machine's, not the model's."""


@pytest.mark.parametrize("problem", [Infeasible("memory dram", 2, 1, ()), Shortage("no room left")], ids=["a limit", "the machine"])
def test_a_way_that_does_not_compile_is_told(problem: UserError, tmp_path: Path) -> None:
    request = StateRequest((("past.*", "present.*"),), LENGTH)
    ways = Ways(names=(EXTENDED, APPENDED))
    steps = fixed_models(source_of(decoder(Spec())), request, LENGTH, {"step": 1}, {}, lambda name: nullcontext(), ways).steps

    def compiled(model: MemoryModel, output: Path) -> CompileResult:
        if output.name.endswith(APPENDED):
            raise problem
        return compile_model(model, "x86_cpu", output=output, verify=False)

    if isinstance(problem, Shortage):
        with pytest.raises(Shortage):
            faster_way(steps["step"], compiled, tmp_path / "step")
        return
    notes = faster_way(steps["step"], compiled, tmp_path / "step").notes
    assert f"entry step: another way to write its attention does not compile: {problem.message}" in notes
