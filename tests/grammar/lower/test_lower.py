"""What a file means: the values of a target, layers of files, facts and digest."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from replace_number import replace_number

from autoglmc.grammar import HwError, analyse_text, load_target, parse_target
from autoglmc.grammar import render as render_message
from autoglmc.passes.library import facts
from autoglmc.targets.formula import render
from autoglmc.targets.model import Target
from autoglmc.targets.operator_view import OperatorView, TensorView
from autoglmc.targets.operators import version_at
from autoglmc.targets.stock import stock_names, stock_path
from autoglmc.targets.support import Yes, supports

TEXT = """hw 1;
target box {
  name "Box"; onnx opset 13..21; confidence low;
  memory dram { size 6 GiB; budget 1.5 GiB @guess; bandwidth 50 GB/s @src("a page"); page 16 KiB; shared npu, cpu; }
  device npu : tpu {
    runtime coreml mlprogram ios >= 17;
    peak fp16 10 TOPS @guess; peak int8 20 TOPS;
    sustained 60 %; dispatch 100 us @proxy("M1"); launch 1 us @guess;
    align row 64 B; max rank 5; max dim N 65536, W 16384; static_shapes yes;
    power active 2 W @guess, idle 0.1 W;
    supports fp16 { Conv where const(W) and all_dims(X) <= 16384; Relu, Tanh, Mul, Add, Sub; }
    supports int64 { inherit npu2; Gather; }
    deny { Tanh where rank(input) == 5; }
    kernel { Conv -> Relu | Tanh; Mul -> Add?; }
    rewrite Gelu -> native where native(Gelu);
    rewrite Gelu -> relu_tanh tol 5e-4 keep fp32 Mul, Add;
  }
  device npu2 : tpu { peak int64 1 GOPS; peak fp16 1 TOPS; dispatch 1 us; launch 1 us; supports int64 { Slice; } supports fp16 { Exp; } }
  device cpu : arm { runtime ort; peak fp32 100 GFLOPS; dispatch 5 us; launch 1 us; supports all; }
  link npu <-> cpu {
    via iosurface; zero_copy where dtype in { fp16, int8 } and last_dim_is_row else copy 20 GB/s @guess;
    row 64 B; align 16 KiB; length multiple 4 KiB; handoff 30 us;
  }
  link npu2 <-> cpu { via shared; zero_copy; handoff 1 us; }
  precision { default fp16; compute fp16 for fp32; keep fp32 Softmax, Exp on cpu; }
  limits { latency <= 12 ms; memory peak <= 250 MiB; power avg <= 2.5 W; accuracy cosine >= 0.999; error abs <= 1e-2; partitions npu <= 4; }
}
""".replace("shared npu, cpu;", "shared npu, npu2, cpu;")


@pytest.fixture(scope="module")
def box() -> Target:
    return parse_target(TEXT, "box.hw")


def test_numbers_are_si(box: Target) -> None:
    npu, memory = box.device("npu"), box.memories[0]
    assert (memory.size, memory.budget, memory.bandwidth, memory.page) == (6 << 30, 3 << 29, 5e10, 16384)
    assert (npu.dispatch, npu.launch) == pytest.approx((1e-4, 1e-6))
    assert [(peak.dtype, peak.rate) for peak in npu.peaks] == [("fp16", 1e13), ("int8", 2e13)]
    assert npu.sustained == pytest.approx(0.6)
    assert (npu.row_align, npu.max_rank, npu.max_dims, npu.static_shapes) == (64, 5, (("N", 65536), ("W", 16384)), True)
    assert (npu.active_power, npu.idle_power) == (2.0, 0.1)
    assert (npu.kind, npu.runtime.adapter, npu.runtime.words) == ("tpu", "coreml", ("mlprogram", "ios", ">=", "17"))


def test_tables(box: Target) -> None:
    npu = box.device("npu")
    rules = {rule.operator: rule for block in npu.supports for rule in block.rules}
    assert list(rules) == ["Conv", "Relu", "Tanh", "Mul", "Add", "Sub", "Slice", "Gather"]  # Slice is inherited, Exp is not: a float block
    where = rules["Conv"].where
    assert where is not None and render(where) == "const(W) and all_dims(X) <= 16384"
    assert str(rules["Conv"].origin) == "box.hw:11"
    assert [(s.operators, s.optional) for s in npu.kernels[0].stages] == [(("Conv",), False), (("Relu", "Tanh"), False)]
    assert npu.kernels[1].stages[1].optional
    assert [(line.rule, line.tolerance, line.keep) for line in npu.rewrites] == [
        ("native", None, ()),
        ("relu_tanh", 5e-4, (("fp32", "Mul"), ("fp32", "Add"))),
    ]
    assert box.host.name == "cpu" and box.device("cpu").supports[0].everything


def test_link_precision_limits(box: Target) -> None:
    link = box.links[0]
    assert (link.source, link.destination, link.both, link.via) == ("npu", "cpu", True, "iosurface")
    assert (link.copy_bandwidth, link.row_align, link.align, link.length_multiple) == (2e10, 64, 16384, 4096)
    assert link.zero_copy_where is not None and render(link.zero_copy_where) == "dtype in {fp16, int8} and last_dim_is_row"
    assert box.precision.compute == (("fp16", "fp32"),)
    assert box.precision.keep == (("fp32", "Softmax", "cpu"), ("fp32", "Exp", "cpu"))
    assert [(limit.kind, limit.subject, limit.comparison, limit.value) for limit in box.limits] == [
        ("latency", "", "<=", pytest.approx(0.012)),
        ("memory", "peak", "<=", 250 << 20),
        ("power", "avg", "<=", 2.5),
        ("accuracy", "cosine", ">=", 0.999),
        ("error", "abs", "<=", 0.01),
        ("partitions", "npu", "<=", 4),
    ]
    assert (box.name, box.title, box.opset, box.confidence) == ("box", "Box", (13, 21), "low")


def test_facts_carry_provenance(box: Target) -> None:
    facts = {fact.path: fact for fact in box.facts}
    dispatch = facts["device.npu.dispatch"]
    assert (dispatch.value, dispatch.text, dispatch.provenance, dispatch.note) == (pytest.approx(1e-4), "100 us", "proxy", "M1")
    assert facts["device.npu.active_power"].provenance == "guess"
    assert facts["device.npu.idle_power"].provenance == "stated"
    assert facts["memory.dram.bandwidth"].note == "a page"
    assert facts["link.npu-cpu.copy_bandwidth"].provenance == "guess"
    assert facts["device.npu.peak.int8"].value == 2e13


def test_every_fact_can_be_replaced(box: Target) -> None:
    for fact in box.facts:
        assert replace_number(box, fact.path, fact.value * 2) != box, fact.path
        assert replace_number(box, fact.path, fact.value) == box, fact.path


def test_digest_is_of_the_meaning(box: Target) -> None:
    reworded = TEXT.replace("100 us", "0.1 ms").replace(' @proxy("M1")', "").replace("Relu, Tanh,", "Tanh, Relu,")
    other = parse_target("// a comment\n" + reworded, "y.hw")
    assert other.digest == box.digest
    assert parse_target(TEXT.replace("100 us", "101 us"), "box.hw").digest != box.digest
    assert parse_target(TEXT.replace("all_dims(X) <= 16384", "all_dims(X) <= 16383"), "box.hw").digest != box.digest


def test_extends_the_child_wins(tmp_path: Path) -> None:
    (tmp_path / "box.hw").write_text(TEXT)
    (tmp_path / "mine.hw").write_text(
        """hw 1; include "box.hw";
        target mine extends box {
          name "Mine";
          device npu { dispatch 120 us; deny { Tanh; } rewrite Gelu -> tanh tol 1e-3; supports fp16 { Exp; } }
          limits { latency <= 20 ms; }
        }"""
    )
    mine = load_target(tmp_path / "mine.hw")
    npu = mine.device("npu")
    assert (mine.name, mine.title, npu.kind) == ("mine", "Mine", "tpu")
    assert (npu.dispatch, npu.launch) == pytest.approx((1.2e-4, 1e-6))
    assert [rule.operator for rule in npu.denies] == ["Tanh", "Tanh"]
    assert [line.rule for line in npu.rewrites] == ["tanh", "native", "relu_tanh"]
    assert "Exp" in {rule.operator for block in npu.supports for rule in block.rules}
    assert [limit.value for limit in mine.limits][:2] == [pytest.approx(0.02), 250 << 20]
    assert npu.supports[0].rules[0].origin.file.endswith("box.hw")


def test_amend_and_delete(tmp_path: Path) -> None:
    (tmp_path / "box.hw").write_text(TEXT)
    (tmp_path / "mine.hw").write_text(
        """hw 1; include "box.hw";
        amend &box.npu { dispatch 120 us; }
        amend &box.link.npu.cpu { handoff 5 us; }
        delete &box.npu.supports Relu, Conv;
        delete &box.npu.rewrite Gelu;
        delete &box.limits.latency;
        delete &box.limits.power;
        delete &box.npu.power;"""
    )
    box = load_target(tmp_path / "mine.hw")
    npu = box.device("npu")
    assert npu.dispatch == pytest.approx(1.2e-4) and npu.active_power is None and not npu.rewrites
    assert [rule.operator for rule in npu.supports[0].rules] == ["Tanh", "Mul", "Add", "Sub"]
    assert box.links[0].handoff == pytest.approx(5e-6)
    assert "latency" not in {limit.kind for limit in box.limits}


def test_includes_cycle_over_two_files(tmp_path: Path) -> None:
    (tmp_path / "a.hw").write_text('hw 1; include "b.hw"; target t extends u {}')
    (tmp_path / "b.hw").write_text('hw 1; include "a.hw"; target u {}')
    with pytest.raises(HwError) as caught:
        load_target(tmp_path / "a.hw")
    assert "HW0205" in {d.code for d in caught.value.diagnostics}


def test_rules_become_data() -> None:
    text = TEXT + "rule half(x) { match Gelu(x); let a = 0.5 * x; emit a * (1 + Tanh(x)); error abs 0.1 over real; }\n"
    rule = parse_target(text, "box.hw").rules[0]
    assert (rule.name, rule.parameters, rule.error) == ("half", ("x",), 0.1)
    assert [render(formula) for formula in rule.emit] == ["a * (1 + Tanh(x))"]
    assert [(name, render(value)) for name, value in rule.let] == [("a", "0.5 * x")]


def test_whatever_is_written_gives_a_target_or_an_error() -> None:
    """Words of the stock targets swapped, dropped and repeated at random: no exception, and no refusal without an error."""
    dice = random.Random(11)
    texts = [stock_path(name).read_text("utf-8") for name in stock_names()]
    words = sorted(set(re.findall(r"[A-Za-z_]+|[0-9.]+|[^\sA-Za-z0-9_]+", "".join(texts))))
    refused = 0
    for _ in range(60):
        text = dice.choice(texts)
        start, end = dice.choice([match.span() for match in re.finditer(r"[A-Za-z_]+|[0-9.]+|[^\sA-Za-z0-9_]", text)])
        text = text[:start] + dice.choice(("", dice.choice(words), dice.choice(words) + " " + text[start:end])) + text[end:]
        result = analyse_text(text, "x.hw", facts())
        assert (result.target is None) == any(diagnostic.severity == "error" for diagnostic in result.diagnostics)
        assert all(render_message(diagnostic) for diagnostic in result.diagnostics)
        refused += result.target is None
    assert refused > 10


def test_all_of_one_dtype() -> None:
    """`supports fp32 { all; }`: every operator of ONNX on fp32, none on integers."""
    text = """hw 1;
    target t {
      onnx opset 13..21;
      memory dram { size 1 GiB; bandwidth 50 GB/s; shared npu, cpu; }
      device npu : x { runtime none; peak fp32 1 TOPS; dispatch 1 us; launch 1 us; supports fp32 { all; } deny { Softmax; } }
      device cpu : x { runtime ort; peak fp32 100 GFLOPS; dispatch 1 us; launch 1 us; supports all; }
      link npu <-> cpu { zero_copy; handoff 1 us; }
    }"""
    target = parse_target(text, "t.hw")
    npu = target.device("npu")

    def answer(operator: str, dtype: str) -> bool:
        x, y = (TensorView(name, dtype, (1, 4), False) for name in "xy")
        version = version_at(operator, 18)
        assert version is not None
        view = OperatorView("n", "", operator, 18, {}, {version.inputs[0].name: x}, {version.outputs[0].name: y})
        return isinstance(supports(npu, view, target.precision), Yes)

    assert all(answer(operator, "fp32") for operator in ("Relu", "Gelu", "Sin", "MatMul", "Reshape") if version_at(operator, 18))
    assert not any(answer(operator, dtype) for operator in ("Relu", "Sin") for dtype in ("int32", "int8"))
    assert not answer("Softmax", "fp32")
