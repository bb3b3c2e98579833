"""Limits that the fastest plan breaks: another plan is taken where one keeps them, else the relaxation named is true."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from small_models import parse, save

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.result import CompileResult
from autoglmc.compiler.errors import Infeasible

SIZE = 256
TARGET = """hw 1;
target phone {
  onnx opset 13..21;
  memory dram { size 8 GiB; %(dram)s bandwidth 50 GB/s; page 4 KiB; shared npu, cpu; }
  device npu : x {
    runtime none; peak fp32 1 TFLOPS; dispatch 1 us; launch 1 us; power active %(npu_watts)s W, idle 0 W;
    supports fp32 { MatMul, Relu; }
  }
  device cpu : y { runtime ort; peak fp32 10 GFLOPS; dispatch 1 us; launch 1 us; power active 1 W, idle 0 W; supports all; }
  link npu <-> cpu { via shared; zero_copy; handoff 1 us; }
  limits { %(limits)s }
}
"""


def target(folder: Path, dram: str = "", limits: str = "", npu_watts: float = 5) -> Path:
    path = folder / "phone.hw"
    path.write_text(TARGET % {"dram": dram, "limits": limits, "npu_watts": npu_watts})
    return path


def model(folder: Path) -> Path:
    """Products that pay on the NPU, around an operator that only the CPU has; one weight is used twice."""
    text = f"""g (float[64,{SIZE}] x) => (float[64,{SIZE}] y) {{
        a = MatMul(x, w) b = Erf(a) c = MatMul(b, w) d = Erf(c) y = MatMul(d, v)
    }}"""
    made: onnx.ModelProto = parse(text)
    rng = np.random.default_rng(0)
    for name in "wv":
        made.graph.initializer.append(numpy_helper.from_array(rng.standard_normal((SIZE, SIZE)).astype(np.float32) / 16, name))
    return save(made, folder)


def compiled(folder: Path, **options: str | float) -> CompileResult:
    return compile_model(model(folder), target(folder, **options), output=folder / "out", emulate=True)  # type: ignore[arg-type]


def devices(result: CompileResult) -> list[str]:
    return [segment.device for segment in result.manifest.segments]


def test_without_limits_the_fastest_plan_is_taken(tmp_path: Path) -> None:
    assert devices(compiled(tmp_path)) == ["npu", "cpu", "npu", "cpu", "npu"]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ("power avg <= 1.001 W;", {"cpu"}),
        ("partitions npu <= 1;", {"npu", "cpu"}),
        ("partitions npu < 2;", {"npu", "cpu"}),
    ],
)
def test_another_plan_is_taken_where_the_fastest_breaks_a_limit(limits: str, expected: set[str], tmp_path: Path) -> None:
    result = compiled(tmp_path, limits=limits)
    assert set(devices(result)) == expected and devices(result).count("npu") <= 1
    assert all(record.margin is None or record.margin >= 0 for record in result.manifest.limits)
    told = [note for note in result.notes if note.startswith("the limits of the target rule out a plan of ")]
    assert len(told) == 1 and limits.split("<")[0].strip() in told[0]
    assert not isinstance(result.verification, str) and result.verification.verified


@pytest.mark.parametrize(
    ("option", "start"),
    [
        ("dram", "budget 1 KiB;"),
        ("dram", "budget 520 KiB;"),  # what the two weights take, stored once each, and not a byte more
        ("limits", "memory peak <= 100 KiB;"),
        ("limits", "latency <= 1 us;"),
        ("limits", "fps >= 1000000;"),
        ("limits", "power avg <= 10 mW;"),
        ("limits", "power peak <= 10 mW;"),
        ("limits", "energy <= 1 nJ;"),
        ("limits", "package size <= 1 KiB;"),
        ("limits", "partitions cpu <= 0;"),
    ],
)
def test_the_relaxation_named_is_enough_and_not_too_much(option: str, start: str, tmp_path: Path) -> None:
    with pytest.raises(Infeasible) as failure:
        compiled(tmp_path, **{option: start})
    assert not (tmp_path / "out").exists()
    (named,) = re.findall(r"`([^`]*)`", failure.value.help)
    statement = named[named.index("{") + 1 : named.index("}")].strip() if "{" in named else f"{named};"
    result = compiled(tmp_path, **{option: statement})
    kind = statement.split()[0]
    record = next(record for record in result.manifest.limits if record.kind == kind)
    assert record.value is not None
    if kind == "fps":
        assert record.value * 0.998 <= record.limit <= record.value == pytest.approx(failure.value.demand)
        return
    assert record.value <= record.limit <= record.value * 1.002
    same = 1e-2 if kind == "package" else 1e-6  # a bundle holds the text of its limits, and of the search for it
    assert failure.value.demand == pytest.approx(record.value, rel=same)
