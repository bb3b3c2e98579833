"""`prefer`: what lines of a target leave to choose from, for any losses and any lines."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoglmc.passes.precision.preferences import _left
from autoglmc.passes.solve.problem import Option
from autoglmc.targets.precision import FORMS, FormName

NAMES: tuple[FormName, ...] = tuple(FORMS)


@given(
    st.lists(st.sampled_from(NAMES), unique=True, min_size=1),
    st.dictionaries(st.sampled_from(NAMES), st.one_of(st.none(), st.floats(0, 1)), max_size=4),
    st.dictionaries(st.sampled_from(NAMES), st.floats(0, 1), min_size=len(NAMES), max_size=len(NAMES)),
    st.booleans(),
)
def test_what_is_left(names: list[FormName], lines: dict[FormName, float | None], losses: dict[FormName, float], strict: bool) -> None:
    losses = {**losses, "fp32": 0.0}
    left = [name for name, _ in _left([(name, Option(1.0)) for name in names], lines, losses, strict)]
    assert set(left) <= set(names)
    fits = [name for name in lines if name in names and (lines[name] is None or losses[name] <= (lines[name] or 0.0) or name == "fp32")]
    for name in left:
        assert name not in lines or name in fits
    if strict and fits:
        assert left == fits[:1]  # the first line that applies, and nothing else
    else:
        assert left == [name for name in names if name not in lines or name in fits]


@pytest.mark.parametrize(
    ("lines", "some", "none"),
    [
        ("", set(), set()),
        ("prefer fp32;", {"fp32"}, {"a8w8", "w8", "w4", "a16w8", "fp16"}),
        (" ".join(f"prefer {name} where loss <= 0.0001 %;" for name in ("a8w8", "w8", "w4")), {"fp32"}, {"a8w8", "w8", "w4"}),
        ("prefer a8w8 MatMul where loss <= 100 %;", {"a8w8"}, {"w8", "w4", "a16w8", "fp16"}),
    ],
)
def test_lines_decide_in_a_whole_choice(lines: str, some: set[str], none: set[str], tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Through the compilation: forms that a line bounds or prefers, and what is said of them."""
    import numpy as np
    import onnx
    from small_models import parse, save

    from autoglmc.compiler.api.compile import compile as compile_api

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made, generator = (
        parse("g (float[1,256] x) => (float[1,256] y) { a = MatMul(x, w)  b = Relu(a)  y = MatMul(b, v) }"),
        np.random.default_rng(0),
    )
    for name in "wv":
        array = (generator.standard_normal((256, 256)) * 0.08).astype(np.float32)
        made.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    target = tmp_path / "t.hw"
    precision = f"device cpu {{ precision {{ {lines} }} }}" if lines else ""
    target.write_text(f'hw 1;\ninclude "x86_cpu.hw";\ntarget t extends x86_cpu {{ {precision} }}\n')
    data = [{"x": row[None]} for row in generator.standard_normal((12, 256)).astype(np.float32)]
    bundle = compile_api(save(made, tmp_path), target, output=tmp_path / "out", calibration_data=data, verify=False)
    found = bundle.manifest.precision
    assert found is not None
    chosen = {unit.chosen for unit in found.units}
    assert some <= chosen and not none & chosen
    gains = [
        (new.seconds - old.seconds, unit.operators)
        for unit in found.units
        if len(unit.forms) > 1
        for old, new in [(unit.forms[0], next(one for one in unit.forms if one.form == unit.chosen))]
    ]
    assert all(a[0] <= b[0] + 1e-12 for a, b in pairwise(gains))  # the largest gains come first
    if "loss <= 0.0001 %;" in lines:
        assert any("and the target prefers it up to 0.0001 %" in unit.because and "t.hw:3:" in unit.because for unit in found.units)
    for unit in found.units:
        assert bool(unit.because) == (unit.chosen == "fp32")
