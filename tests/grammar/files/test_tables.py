"""Operator tables: what a device that inherits one comes to, layer by layer."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoglmc.grammar import analyse_text, parse_target
from autoglmc.targets.formula import render
from autoglmc.targets.model import Device, Target

BOX = """
target box {
  onnx opset 13..21;
  memory dram { size 1 GiB; bandwidth 10 GB/s; shared npu, cpu; }
  device npu : any { runtime none; peak fp16 1 TFLOPS; peak fp32 1 TFLOPS; peak int8 1 TOPS; dispatch 5 us; launch 1 us; %s }
  device cpu : any { runtime ort; peak fp32 1 TFLOPS; dispatch 5 us; launch 1 us; supports all; }
  link npu <-> cpu { zero_copy; handoff 5 us; }
}
"""
PHONE = """
table phone {
  max rank 4;
  static_shapes yes;
  supports fp16 { Conv where const(W); Relu, Tanh, Mul, Add, Sub; }
  supports int8 { MaxPool; }
  deny { Tanh where rank(input) == 3; }
  kernel { Conv -> Relu; }
  rewrite Gelu -> native where native(Gelu);
}
"""


def box(own: str, *more: str, tables: str = PHONE) -> Target:
    return parse_target(f"hw 1;{tables}{BOX % own}{''.join(more)}", "box.hw")


def listed(device: Device) -> dict[str, list[str]]:
    return {", ".join(block.dtypes): [rule.operator for rule in block.rules] for block in device.supports}


def test_a_device_gets_all_of_a_table() -> None:
    npu = box("inherit phone;").device("npu")
    assert listed(npu) == {"fp16": ["Conv", "Relu", "Tanh", "Mul", "Add", "Sub"], "int8": ["MaxPool"]}
    assert (npu.max_rank, npu.static_shapes) == (4, True)
    assert [rule.operator for rule in npu.denies] == ["Tanh"]
    assert len(npu.kernels) == 1 and [line.rule for line in npu.rewrites] == ["native"]


def test_it_equals_the_same_lines_written_out() -> None:
    written = box(PHONE[PHONE.index("{") + 1 : PHONE.rindex("}")], tables="")
    assert box("inherit phone;").digest == written.digest


@pytest.mark.parametrize("own", ["inherit phone; {}", "{} inherit phone;"])
def test_a_devices_own_statements_lie_above_its_table(own: str) -> None:
    npu = box(own.replace("{}", "max rank 5; supports fp16 { Exp; } deny Relu; rewrite Gelu -> relu_tanh tol 5e-4;")).device("npu")
    assert npu.max_rank == 5
    assert [rule.operator for rule in npu.denies] == ["Tanh", "Relu"]
    assert [line.rule for line in npu.rewrites] == ["relu_tanh", "native"]
    assert {rule.operator for block in npu.supports for rule in block.rules} > {"Exp", "Conv", "MaxPool"}


def test_a_supports_block_takes_the_operators_of_its_kind() -> None:
    npu = box("supports fp32 { inherit phone; Exp; } supports int8 { inherit phone; }").device("npu")
    assert listed(npu) == {"fp32": ["Conv", "Relu", "Tanh", "Mul", "Add", "Sub", "Exp"], "int8": ["MaxPool"]}
    assert npu.max_rank is None and npu.denies == () and npu.kernels == ()


def test_tables_of_tables() -> None:
    newer = PHONE + "table newer { inherit phone; max rank 5; supports fp16 { Gelu; } }"
    npu = box("inherit newer;", tables=newer).device("npu")
    assert npu.max_rank == 5 and "Gelu" in listed(npu)["fp16"] + [r.operator for b in npu.supports for r in b.rules]
    assert {"Conv", "Gelu"} <= {rule.operator for block in npu.supports for rule in block.rules}


def test_two_tables_the_later_one_on_top() -> None:
    both = PHONE + "table wide { max rank 6; supports fp32 { Erf; } }"
    assert box("inherit phone; inherit wide;", tables=both).device("npu").max_rank == 6
    assert box("inherit wide; inherit phone;", tables=both).device("npu").max_rank == 4


def test_a_child_may_delete_what_came_from_a_table() -> None:
    npu = box("inherit phone;", "delete &box.npu.supports Mul; delete &box.npu.deny Tanh;").device("npu")
    assert listed(npu)["fp16"] == ["Conv", "Relu", "Tanh", "Add", "Sub"] and npu.denies == ()


@pytest.mark.parametrize("amend", ["amend &phone { max rank 3; deny Sub; } ", ""])
def test_amending_a_table_reaches_the_devices_that_inherit_it(amend: str) -> None:
    npu = box("inherit phone;", amend + "amend &box.npu { dispatch 9 us; }").device("npu")
    assert npu.dispatch == pytest.approx(9e-6)
    assert npu.max_rank == (3 if amend else 4)
    assert [rule.operator for rule in npu.denies] == ["Tanh", "Sub"][: 2 if amend else 1]


def test_an_amend_may_bring_a_table() -> None:
    npu = box("supports fp16 { Exp; }", "amend &box.npu { inherit phone; }").device("npu")
    assert npu.max_rank == 4 and {"Exp", "Conv"} <= {rule.operator for block in npu.supports for rule in block.rules}


def test_a_table_knows_no_opset_range() -> None:
    """RMSNormalization was added in opset 23, `antialias` of Resize with 18; the box takes 13..21."""
    line = "supports fp16 { RMSNormalization; Resize where all(attr.antialias) == 0; Upsample; }"
    (block,) = box("inherit t;", tables=f"table t {{ {line} }}").device("npu").supports
    assert [rule.operator for rule in block.rules] == ["RMSNormalization", "Resize", "Upsample"]
    codes = [found.code for found in analyse_text(f"hw 1;{BOX % line}", "box.hw").diagnostics]
    assert codes == ["HW0404", "HW0404"]


def test_conditions_and_places_are_those_of_the_table(tmp_path: Path) -> None:
    (tmp_path / "phone.hw").write_text("hw 1;" + PHONE, "utf-8")
    target = parse_target(f'hw 1; include "phone.hw";{BOX % "inherit phone;"}', str(tmp_path / "box.hw"))
    conv = target.device("npu").supports[0].rules[0]
    assert conv.where is not None and render(conv.where) == "const(W)"
    assert str(conv.origin) == "phone.hw:5"


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../std/qnn_htp.hw", "std/../../pyproject.toml", "std", "a" * 5000, "nul\0.hw", "C:/x.hw", "~/x.hw", ""]
)
def test_an_include_that_leads_elsewhere_is_one_error(path: str, tmp_path: Path) -> None:
    found = analyse_text(f'hw 1; include "{path}"; target t {{ }}', str(tmp_path / "t.hw")).diagnostics
    assert [item.code for item in found if item.span.start < 40] == ["HW0008"]
