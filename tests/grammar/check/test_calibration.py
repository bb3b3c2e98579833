"""HW07xx: what a calibration says against its device, and lines that are never reached. Golden messages are in tests/grammar/errors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoglmc.compiler.calibrate.fit_classes import CLASSES
from autoglmc.grammar import analyse_text
from autoglmc.targets.formula import render

BOX = """hw 1;
target box {
  onnx opset 13..23;
  memory dram { size 6 GiB; bandwidth 50 GB/s; shared npu, cpu; } %s
  device npu : x {
    runtime none; peak fp32 100 GFLOPS; peak fp16 200 GFLOPS; peak int8 400 GOPS; dispatch 1 us; launch 1 us;
    supports fp32, fp16, int8 { Conv, Relu, Add, Reshape; } calibration { holdout interval 18 %%; %s }
  }
  device cpu : y { runtime ort; peak fp32 100 GFLOPS; dispatch 1 us; launch 1 us; supports all; }
  link npu <-> cpu { zero_copy; handoff 1 us; }
}
"""
REST = "rate Relu, Add 1 GE/s;"


def codes(lines: str, memories: str = "") -> list[str]:
    return [one.code for one in analyse_text(BOX % (memories, lines), "box.hw").diagnostics]


@pytest.mark.parametrize(
    ("line", "above"),
    [
        ("rate Conv 400 GFLOPS;", False),
        ("rate Conv 401 GFLOPS;", True),
        ("rate Conv 100 GFLOPS where dtype(X) == fp32;", False),
        ("rate Conv 101 GFLOPS where dtype(X) == fp32;", True),
        ("rate Conv 200 GFLOPS where dtype(X) == fp16 and attr.group > 1;", False),
        ("rate Conv 201 GFLOPS where dtype(X) == fp16 and attr.group > 1;", True),
        ("rate Conv 200 GFLOPS where dtype(X) in { fp32, fp16 };", False),
        ("rate Conv 201 GFLOPS where dtype(X) in { fp32, fp16 };", True),
        ("rate Conv 400 GFLOPS where dtype(X) == uint8;", False),
        ("rate Conv 401 GFLOPS where dtype(X) == uint8;", True),
        ("rate Conv 401 GFLOPS where quantised;", True),
        ("rate Conv 400 GFLOPS where not dtype(X) == fp32;", False),
        ("rate QLinearConv 401 GFLOPS;", True),
    ],
)
def test_a_rate_is_held_against_the_peaks_of_its_dtypes(line: str, above: bool) -> None:
    assert ("HW0701" in codes(f"{line} rate Conv 1 GFLOPS; {REST}")) == above


def test_the_message_says_which_peak_it_would_take() -> None:
    (found,) = analyse_text(BOX % ("", f"rate Conv 195 TFLOPS; {REST}"), "box.hw").diagnostics
    assert found.message == "`Conv` at 195 TFLOPS would be faster than the peak of `npu`, 400 GOPS in int8: that cannot be"
    assert found.help.startswith("if the rate was measured, the peak is at least 195 TFLOPS")


@pytest.mark.parametrize(
    ("line", "memories", "told"),
    [
        ("rate Relu 51 GB/s seen ..500 MB;", "", True),
        ("rate Relu 50 GB/s seen ..500 MB;", "", False),
        ("rate Relu 51 GB/s seen ..5 MB;", "", False),
        ("rate Relu 51 GB/s;", "", False),
        ("rate Relu 51 GB/s seen ..5 MB; weights 20 GB/s beyond 1 MiB;", "", True),
        ("rate Relu 51 GB/s seen ..5 MB; weights 20 GB/s beyond 8 MiB;", "", False),
        ("rate Relu 51 GB/s seen ..5 MB;", "memory tcm { size 1 MiB; bandwidth 200 GB/s; shared npu; }", True),
        ("rate Relu 51 GB/s seen ..5 MB;", "memory tcm { size 8 MiB; bandwidth 200 GB/s; shared npu; }", False),
    ],
)
def test_a_rate_of_bytes_is_held_against_the_memory_that_no_cache_hides(line: str, memories: str, told: bool) -> None:
    assert ("HW0702" in codes(f"{line} rate Conv 1 GFLOPS; rate Add 1 GE/s;", memories)) == told


@pytest.mark.parametrize(
    ("first", "second", "hidden"),
    [
        ("Conv", "Conv", True),
        ("Conv", "Conv where attr.group > 1", True),
        ("Conv where attr.group > 1", "Conv", False),
        ("Conv where attr.group > 1", "Conv where attr.group > 1", True),
        ("Conv where attr.group > 1", "Conv where attr.group > 2", True),
        ("Conv where attr.group > 2", "Conv where attr.group > 1", False),
        ("Conv where attr.group > 1", "Conv where attr.group > 1 and dim(W, 1) == 1", True),
        ("Conv where attr.group > 1 and dim(W, 1) == 1", "Conv where attr.group > 1", False),
        ("Conv where attr.group > 1 and dim(W, 1) <= 4", "Conv where dim(W, 1) == 1 and attr.group == 8", True),
        ("Conv where not const(W)", "Conv where not const(W) and attr.group == 1", True),
        ("Conv where const(W)", "Conv where not const(W)", False),
        ("Conv where all_dims(X) <= 8", "Conv where all_dims(X) <= 4", False),
        ("Conv where dim(X, 1) in 1..9", "Conv where dim(X, 1) in 2..3", False),
        ("Relu", "Conv", False),
    ],
)
def test_a_line_that_is_never_reached(first: str, second: str, hidden: bool) -> None:
    rate = {"Conv": "1 GFLOPS", "Relu": "1 GE/s"}
    lines = [f"rate {line.split()[0]} {rate[line.split()[0]]} {' '.join(line.split()[1:])};" for line in (first, second)]
    assert ("HW0703" in codes(f"{' '.join(lines)} rate Add 1 GE/s;")) == hidden


BOUNDS = st.tuples(st.sampled_from(("attr.group", "dim(W, 1)")), st.sampled_from(("<", "<=", "==", ">=", ">")), st.integers(1, 4))
PARTS = st.lists(BOUNDS, min_size=1, max_size=3)


@given(PARTS, PARTS)
def test_what_is_told_hidden_is_hidden(first: list[tuple[str, str, int]], second: list[tuple[str, str, int]]) -> None:
    """Over all small extents: where the second line holds, the first one does."""
    lines = [" and ".join(f"{name} {sign} {number}" for name, sign, number in parts) for parts in (first, second)]
    if "HW0703" in codes(f"{' '.join(f'rate Conv 1 GFLOPS where {line};' for line in lines)} {REST}"):
        for group in range(8):
            for width in range(8):
                holds = [eval(line.replace("attr.group", str(group)).replace("dim(W, 1)", str(width))) for line in lines]
                assert holds[0] or not holds[1], (group, width)


def test_a_line_that_is_reached_for_one_operator_is_left_alone() -> None:
    assert codes("rate Conv 1 GFLOPS; rate Relu 1 GE/s; rate Add, Relu 2 GE/s;") == []
    assert codes("rate Conv 1 GFLOPS; rate Relu 1 GE/s; rate Add 1 GE/s; rate Add, Relu 2 GE/s;") == ["HW0703"]


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        *(
            (f"rate {name} 1 {unit};", unit == "GE/s")
            for name in ("Conv", "Gemm", "LSTM", "Attention")
            for unit in ("GFLOPS", "GE/s", "GB/s")
        ),
        *((f"rate {name} 1 {unit};", unit == "GFLOPS") for name in ("Gelu", "Softmax", "Add") for unit in ("GFLOPS", "GE/s", "GB/s")),
        *((f"rate {name} 1 {unit};", unit != "GB/s") for name in ("Transpose", "Concat", "Cast") for unit in ("GFLOPS", "GE/s", "GB/s")),
        *((f"rate {name} 1 {unit};", False) for name in ("MaxPool", "com.example::X", "Einsum") for unit in ("GFLOPS", "GE/s", "GB/s")),
        ("rate com.microsoft::FusedMatMul 1 GE/s;", True),
        ("rate Conv, Gelu 1 GFLOPS;", True),
    ],
)
def test_the_unit_of_a_rate_follows_the_work_of_its_operators(line: str, wrong: bool) -> None:
    assert ("HW0705" in codes(line)) == wrong


def test_every_line_that_a_fit_may_write_is_without_error() -> None:
    """In a target of the widest range of opsets, and in one that lacks some of the operators."""
    units = {"operations": "1 GFLOPS", "elements": "1 GE/s", "bytes": "1 GB/s"}
    lines = (
        f"rate {', '.join(one.operators)} {units[one.measure]}{'' if one.where is None else f' where {render(one.where)}'};"
        for one in CLASSES
    )
    result = analyse_text(BOX % ("", "\n".join(lines)), "box.hw")
    assert result.target is not None, [(one.code, one.message) for one in result.diagnostics if one.severity == "error"]
    assert result.target.device("npu").calibration is not None


def test_notes_about_what_is_lacking() -> None:
    assert codes(f"rate Conv 1 GFLOPS; {REST}") == []
    (found,) = analyse_text(BOX % ("", "rate Conv 1 GFLOPS;"), "box.hw").diagnostics
    assert (found.code, found.message) == ("HW0706", "no rate for `Relu`, `Add` of `npu`"), "Reshape costs nothing"
    assert codes(f"rate Conv 1 GFLOPS seen 1..3 MOP; {REST}") == ["HW0707"] and codes(f"rate Conv 1 GFLOPS seen 1..4 MOP; {REST}") == []
    assert codes(f"rate Conv 1 GFLOPS n 4; {REST}") == ["HW0704"] and codes(f"rate Conv 1 GFLOPS n 5; {REST}") == []
    text = (BOX % ("", f"rate Conv 1 GFLOPS; {REST}")).replace("holdout interval 18 %;", "holdout median 5 %;")
    assert [one.code for one in analyse_text(text, "box.hw").diagnostics] == ["HW0708"]
    assert codes("memory base 1 MiB, weights 100 %, working 100 %;") == ["HW0513"], "`holdout` predicts nothing without a rate"


@pytest.mark.parametrize(
    "line",
    ["block Conv rows 8;", "block Relu channels 8;", "block Conv channels 1;", "block ConvTranspose channels 8;", "rate Reshape 1 GB/s;"],
)
def test_a_line_without_effect_is_told(line: str) -> None:
    assert codes(f"rate Conv 1 GFLOPS; {REST} {line}") == ["HW0513"]
    assert codes(f"rate Conv 1 GFLOPS; {REST} block Conv channels 8;") == []
