"""What a plan takes of a small board's SRAM beside Vela's own report, and nets that fit because Vela knows the limit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import half_nets
import onnx
import pytest
import quantised_models
from mobile_nets import quantised_mobile

from autoglmc.compiler.devices.ethos_u.configuration import configuration
from autoglmc.compiler.devices.ethos_u.vela import run_vela
from autoglmc.compiler.devices.find_adapter import absence
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.errors import Infeasible
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.pipeline.run_passes import PassOptions
from autoglmc.compiler.plan.compilers import times
from autoglmc.compiler.plan.plan_model import PlannedModel, Unplanned, plan_model
from autoglmc.targets.stock import stock_path

WORDS = ("vela", "5.2", "config", "u55-256", "system", "Ethos_U55_High_End_Embedded", "memory", "Shared_Sram")
LACK = absence("ethos_u", WORDS)
pytestmark = pytest.mark.skipif(LACK is not None, reason=f"{LACK and LACK.reason}: {LACK and LACK.help}")
KIB = 1024


def board(folder: Path, kib: int) -> Path:
    text, stated = stock_path("ethos_u55_256").read_text(), "budget    512 KiB"
    assert stated in text
    (folder / "board.hw").write_text(text.replace(stated, f"budget    {kib} KiB"))
    return folder / "board.hw"


def whole_by_vela(model: Path, kib: int) -> int:
    """Bytes of SRAM by Vela's own report on the whole network, told of the board's SRAM."""
    from autoglmc.compiler.devices.tflite.emit import write_tflite

    wanted = configuration((*WORDS, "arena", str(kib * KIB)))
    assert wanted is not None
    _, report = run_vela(write_tflite(onnx.shape_inference.infer_shapes(onnx.load(model))), wanted)
    assert not report.on_cpu
    return report.peak_bytes


@pytest.mark.parametrize(("size", "width", "blocks", "kib"), [(96, 16, 6, 64), (128, 16, 6, 128), (160, 16, 6, 256), (224, 16, 8, 512)])
def test_the_planned_peak_is_velas_within_a_tenth(size: int, width: int, blocks: int, kib: int, tmp_path: Path) -> None:
    model = quantised_mobile(tmp_path, size, width, blocks)
    found = plan_model(load_model(model, {}), load_target(board(tmp_path, kib)), 1.0, lambda name: nullcontext())
    assert isinstance(found, PlannedModel), "it fits"
    planned, theirs = found.predicted.held["sram"].total, whole_by_vela(model, kib)
    assert theirs > 0.6 * kib * KIB
    assert abs(planned - theirs) <= 0.1 * theirs


def test_vela_keeps_within_the_board_what_it_would_not_by_itself(tmp_path: Path) -> None:
    model = quantised_mobile(tmp_path, 96, 16, 6)
    wide = configuration(WORDS)
    result = compile_model(model, board(tmp_path, 64), output=tmp_path / "bundle", emulate=True)
    (npu,) = (segment for segment in result.manifest.segments if segment.device == "npu")
    assert npu.blob is not None and wide is not None
    assert npu.runtime.options[-2:] == ("arena", str(64 * KIB))
    alone = run_vela((result.folder / npu.blob / "cpu.tflite").read_bytes(), wide)[1].peak_bytes
    kept = json.loads((result.folder / npu.blob / "report.json").read_text())["peak_bytes"]
    assert kept <= 64 * KIB < alone


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Words of the target's line, of each segment that Vela is asked about."""
    found, ask = [], times.compiler_report

    def counted(adapter: Any, words: Sequence[str], *rest: Any) -> Any:
        found.append(tuple(words))
        return ask(adapter, words, *rest)

    monkeypatch.setattr(times, "compiler_report", counted)
    return found


def test_what_vela_does_not_fit_is_refused(tmp_path: Path, asked: list[tuple[str, ...]]) -> None:
    """The input of this net, in both orders of its axes, is more than the board has. Vela is asked what it makes of the plans that
    are compared, and of the one that is refused within the board, so that the message says by how much."""
    model = quantised_mobile(tmp_path, 160, 8, 4)
    found = plan_model(load_model(model, {}), load_target(board(tmp_path, 64)), 1.0, lambda name: nullcontext())
    assert isinstance(found, Unplanned) and isinstance(found.problem, Infeasible)
    assert "budget sram: predicted 150 KiB, and the target allows <= 64 KiB" in found.problem.message
    assert [("arena" in words) for words in dict.fromkeys(asked)] == [False, True] and sum("arena" in words for words in asked) == 1


def test_a_board_that_is_far_too_small_is_refused_after_few_asks(tmp_path: Path, asked: list[tuple[str, ...]]) -> None:
    """Vela's smallest plan of each segment decides, whatever the budget leaves; the error is about the plan nearest to it."""
    model = quantised_models.quantised_as("channel", half_nets.NETS["resnet"](), tmp_path)
    found = plan_model(load_model(model, {}), load_target(board(tmp_path, 16)), 1.0, lambda name: nullcontext())
    assert isinstance(found, Unplanned) and isinstance(found.problem, Infeasible)
    assert "budget sram: predicted 25.016 KiB, and the target allows <= 16 KiB" in found.problem.message
    assert 0 < len(asked) <= 5 and {words[-2:] for words in asked} == {("arena", str(times.LEAST))}


@pytest.mark.parametrize(("size", "width", "blocks"), [(96, 16, 6), (64, 8, 3)])
def test_vela_takes_least_where_it_is_given_least(size: int, width: int, blocks: int, tmp_path: Path) -> None:
    """By which a board is refused without asking about its own size."""
    from autoglmc.compiler.devices.tflite.emit import write_tflite

    content = write_tflite(onnx.shape_inference.infer_shapes(onnx.load(quantised_mobile(tmp_path, size, width, blocks))))
    peaks = []
    for arena in (times.LEAST, 8 * KIB, 40 * KIB, 72 * KIB, 512 * KIB):
        wanted = configuration((*WORDS, "arena", str(arena)))
        assert wanted is not None
        peaks.append(run_vela(content, wanted)[1].peak_bytes)
    assert peaks[0] == min(peaks) < peaks[-1]


def test_who_wants_any_plan_that_fits_has_vela_asked_about_one(tmp_path: Path, asked: list[tuple[str, ...]]) -> None:
    model, target = quantised_mobile(tmp_path, 96, 16, 6), load_target(board(tmp_path, 512))

    def planned(options: PassOptions) -> PlannedModel:
        made = plan_model(load_model(model, {}), target, 1.0, lambda name: nullcontext(), options)
        assert isinstance(made, PlannedModel)
        return made

    fastest, many = planned(PassOptions()), len(asked)
    asked.clear()
    any_one = planned(PassOptions(any_fitting=True))
    assert len(asked) < many
    assert fastest.predicted.latency <= any_one.predicted.latency
    assert all(one.predicted.held["sram"].total <= 512 * KIB for one in (fastest, any_one))
