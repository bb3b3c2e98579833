"""A compilation that nothing was asked of says that weights were in few bits before, and what --precision would make of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from grids import on_grids
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from small_models import parse

from autoglmc.compiler import cli
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.load.source import source_of
from autoglmc.compiler.precision.request import request_of
from autoglmc.compiler.precision.weights.levels_hint import hint_on_levels
from autoglmc.compiler.quantities import size

ROWS = 128


def chain(levels: list[str], seed: int = 0) -> onnx.ModelProto:
    """Products one after the other, of weights on such levels: "4", "8", or "" of none."""
    draw = np.random.default_rng(seed)
    lines = "".join(f"t{k} = MatMul(x{k}, w{k}) x{k + 1} = Tanh(t{k}) " for k in range(len(levels)))
    model = parse(f"g (float[2,{ROWS}] x0) => (float[2,{ROWS}] x{len(levels)}) {{ {lines} }}", opset=21, ir=10)
    for k, kind in enumerate(levels):
        values = draw.standard_normal((ROWS, ROWS))
        if kind:
            values = on_grids(draw, ROWS, ROWS, 32, "offsets", 16) if kind == "4" else on_grids(draw, ROWS, ROWS, 32, "zero points", 64)
        model.graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), f"w{k}"))
    return onnx.shape_inference.infer_shapes(model)


def hints(model: onnx.ModelProto, target: str = "x86_cpu") -> tuple[str, ...]:
    return hint_on_levels(load_model(source_of(model)), load_target(target))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["4", "8", ""]), min_size=1, max_size=6), st.integers(0, 99))
def test_it_counts_what_lies_on_levels(levels: list[str], seed: int) -> None:
    found, (four, eight) = hints(chain(levels, seed)), (levels.count("4"), levels.count("8"))
    if not four and not eight:
        assert not found
        return
    (hint,) = found
    kept = four or eight
    which = f"{kept} of {len(levels)}" if kept < len(levels) else f"all {kept}"
    assert f"the weights of {which} product" in hint
    assert f"--precision {'int4' if four else 'int8'} keeps" in hint
    rounded = eight - (levels[-1] == "8")  # the head is in 8 bits anyway
    assert ("which --precision int8 keeps" in hint) == bool(four and rounded), "the last one is the head"


def test_it_is_on_the_screen_and_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(chain(["4", "4"]), tmp_path / "m.onnx")
    words = [str(tmp_path / "m.onnx"), "--target", "x86_cpu", "-o", str(tmp_path / "b")]
    assert cli.run(words) == 0
    hint = "the weights of all 2 products seem to have been in 4 bits before"
    assert hint in " ".join(capsys.readouterr().out.split())
    assert cli.run([*words, "--json"]) == 0
    assert sum(hint in note for note in json.loads(capsys.readouterr().out)["notes"]) == 1
    assert cli.run([*words, "--json", "--precision", "fp32"]) == 0
    assert not any("in 4 bits before" in note for note in json.loads(capsys.readouterr().out)["notes"])


def test_what_it_promises_is_kept(tmp_path: Path) -> None:
    model = chain(["4", "4", "4"])
    made = compile_model(model, "x86_cpu", output=tmp_path / "b", precision=request_of("int4", None))
    assert any("the weights of all 3 products were in 4 bits before" in note for note in made.notes)
    assert made.manifest.precision is not None
    (hint,) = hints(model)
    before, after = made.manifest.precision.weight_bytes
    assert f"about {size(after)} of weights instead of {size(before)}" in hint


def test_a_quantised_model_and_small_weights_have_none() -> None:
    model = chain(["4"])
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(numpy_helper.to_array(model.graph.initializer[0])[:, :16].copy(), "w0"))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 16
    del model.graph.value_info[:]
    assert not hints(onnx.shape_inference.infer_shapes(model))
