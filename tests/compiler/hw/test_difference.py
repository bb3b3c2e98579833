"""What differs in meaning between two targets, and nothing else."""

from __future__ import annotations

import dataclasses

import pytest
from hw_layers import BODIES, BOX
from hypothesis import given, settings

from autoglmc.compiler.hw.difference import differences
from autoglmc.grammar import parse_target
from autoglmc.grammar.rule_facts import rule_facts
from autoglmc.targets.model import Target
from autoglmc.targets.stock import stock_names, stock_path


def box(*changes: tuple[str, str]) -> Target:
    text = BOX
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse_target(text, "box.hw", rule_facts())


def found(*changes: tuple[str, str]) -> list[tuple[str, str, str, str | None, str | None]]:
    return [(d.section, d.subject, d.kind, d.old and d.old.text, d.new and d.new.text) for d in differences(box(), box(*changes))]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("dispatch 100 us", "dispatch 50 us", ("device npu", "dispatch", "changed", "100 us", "50 us")),
        ("peak int8 20 TOPS;", "", ("device npu", "peak int8", "removed", "20 TOPS", None)),
        ("max rank 5", "max rank 4", ("device npu", "max_rank", "changed", "5", "4")),
        ("runtime none", "runtime ort", ("device npu", "runtime", "changed", "none", "ort")),
        ("Relu, Tanh, Mul", "Relu, Mul", ("device npu", "operator Tanh", "removed", "fp16", None)),
        ("Relu, Tanh, Mul", "Relu, Exp, Tanh, Mul", ("device npu", "operator Exp", "added", None, "fp16")),
        ("deny { Tanh where rank(input) == 5; }", "", ("device npu", "deny Tanh", "removed", "rank(input) == 5", None)),
        ("Conv -> Relu |", "Conv -> Sub |", ("device npu", "kernel Conv -> Relu | Tanh", "removed", "yes", None)),
        (
            "decompose where native(Clip)",
            "decompose",
            ("device npu", "rewrite HardSwish", "changed", "decompose where native(Clip)", "decompose"),
        ),
        ("budget 2 GiB", "budget 3 GiB", ("memory dram", "budget", "changed", "2 GiB", "3 GiB")),
        ("handoff 30 us", "handoff 60 us", ("link cpu <-> npu", "handoff", "changed", "30 us", "60 us")),
        ("in { fp16, int8 }", "== fp16", ("link cpu <-> npu", "zero_copy_where", "changed", "dtype in {fp16, int8}", "dtype == fp16")),
        ("latency <= 12 ms", "latency <= 9 ms", ("limits", "latency <=", "changed", "12 ms", "9 ms")),
        ("partitions npu <= 4;", "", ("limits", "partitions npu <=", "removed", "4", None)),
        ("default fp16", "default fp32", ("precision", "default", "changed", "fp16", "fp32")),
        ("fp32 Softmax on cpu", "fp32 Softmax", ("precision", "keep fp32 Softmax on cpu", "removed", "yes", None)),
        ("opset 13..21", "opset 13..22", ("target", "opset", "changed", "13..21", "13..22")),
    ],
)
def test_each_kind(old: str, new: str, said: tuple[str, str, str, str | None, str | None]) -> None:
    assert said in found((old, new))


def test_a_device_is_one_difference() -> None:
    gone = (BOX[BOX.index("  device gpu") : BOX.index("  device cpu")], "")
    links = ("link gpu <-> cpu { zero_copy; handoff 10 us; }", "")
    one = differences(box(), box(gone, links, ("npu, gpu, cpu", "npu, cpu")))
    assert [(d.section, d.subject, d.kind) for d in one] == [
        ("memory dram", "shared", "changed"), ("device gpu", "", "removed"), ("link cpu <-> gpu", "", "removed"),
    ]  # fmt: skip


def test_numbers_have_a_ratio_and_a_place() -> None:
    (one,) = differences(box(), box(("dispatch 100 us", "dispatch 0.25 ms @guess")))
    assert one.ratio == pytest.approx(2.5) and one.new is not None and str(one.new.origin) == "box.hw:6"


def test_a_number_that_is_left_out_is_spelt() -> None:
    (one,) = differences(box(), box(("budget 2 GiB @guess; ", "")))
    assert one.old is not None and one.new is not None and (one.old.text, one.new.text) == ("2 GiB", "6 GiB")
    (two,) = differences(box(("row 64 B; ", "")), box())
    assert two.old is not None and (two.subject, two.old.text, two.old.origin) == ("row_align", "1 B", None)


def test_layout_order_and_provenance_make_no_difference() -> None:
    assert not found(
        ("dispatch 100 us; launch 1 us @guess;", 'launch 1000 ns; dispatch 0.1 ms @vendor("us");'),
        ("Relu, Tanh, Mul", "Tanh, Mul, Relu"),
        ("target box", "// a comment\ntarget crate"),
        ('name "Box"', 'name "Crate"'),
        ("link npu <-> cpu", "link cpu <-> npu"),
        ("supports fp16 { Conv", "supports fp16 { Relu; } supports fp16 { Conv"),
    )


@settings(max_examples=15)
@given(BODIES, BODIES)
def test_none_exactly_where_the_digest_is_one(one: str, other: str) -> None:
    targets = [parse_target(f"{BOX} target t extends box {{ {body} }}", "t.hw", rule_facts()) for body in (one, other)]
    same = targets[0].digest == targets[1].digest
    said = differences(targets[0], targets[1])
    assert not (same and said)
    assert bool(said) == bool(differences(targets[1], targets[0]))
    for target in targets:
        assert not differences(target, dataclasses.replace(target, name="other", title="", facts=()))


def test_stock_targets_differ_from_one_another() -> None:
    targets = [parse_target(stock_path(name).read_text("utf-8"), str(stock_path(name)), rule_facts()) for name in stock_names()]
    for target in targets:
        assert [differences(target, other) == () for other in targets].count(True) == 1


def test_a_second_calibration_is_told_line_by_line() -> None:
    """Which rates moved and by how much, operators that moved together in one line; the hold-out and the models number by number."""
    from what_if_machines import MEASURED

    from autoglmc.compiler.hw.show_target import difference_lines

    def lines(*changes: tuple[str, str]) -> list[str]:
        text = MEASURED
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        old, new = (parse_target(one, "board.hw", rule_facts()) for one in (MEASURED, text))
        found = list(difference_lines(differences(old, new)))
        assert not found or found.pop(0) == "calibration of cpu"
        return [line.partition("  [")[0].strip() for line in found]

    assert lines() == []
    again = (
        ("launch   1 us", "launch 1.5 us"),
        ("MatMul 20 GFLOPS", "MatMul 22 GFLOPS"),
        ("1.6 GE/s", "1.2 GE/s"),
        ("interval 18 %", "interval 12 %"),
        ("82 %", "90 %"),
        ("weights 81 %", "weights 90 %"),
        ("Attention 300 %", "Attention 150 %"),
        ("full 3 W", "full 6 W"),
    )
    assert lines(*again) == [
        "~ launch: 1 us -> 1.5 us (x 1.5)",
        "~ rate MatMul: 20 GOPS -> 22 GOPS (x 1.1)",
        "~ rate Relu, Add: 1.6 GE/s -> 1.2 GE/s (x 0.75)",
        "~ holdout within 15 %: 82 % -> 90 % (x 1.1)",
        "~ holdout interval: 18 % -> 12 % (x 0.667)",
        "~ memory weights: 81 % -> 90 % (x 1.11)",
        "~ memory Attention buffers: 300 % -> 150 % (x 0.5)",
        "~ power full: 3 W -> 6 W (x 2)",
    ]
    assert lines(("n 120", "n 130")) == ["~ measured Softmax: seen 0 B..43 MB n 120 -> seen 0 B..43 MB n 130"]
    assert lines(("rate     MatMul 21 GFLOPS where", "rate     MatMul 23 GFLOPS where")) == [], "a line that never applies"
    assert lines(("rate     MatMul, Gemm 9", "rate     Gemm, MatMul 8")) == [
        "~ rate MatMul, Gemm where dim(A, 0) == 1: 9 GOPS -> 8 GOPS (x 0.889)"
    ]
    assert any(line.startswith("- rate Softmax: 3 GB/s") for line in lines(("rate     Softmax 3 GB/s seen ..43000 kB n 120;", "")))
    first = "where dim(A, 0) == 1;\n      rate     MatMul 20"
    assert any(line.startswith("~ order MatMul") for line in lines((first, first.replace("== 1", "== 2"))))
