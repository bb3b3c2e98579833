"""Vela's tables and warnings as a report, and the words of a `runtime ethos_u` line. Vela is not needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoglmc.compiler.devices.ethos_u.adapter import EthosUAdapter
from autoglmc.compiler.devices.ethos_u.configuration import configuration
from autoglmc.compiler.devices.ethos_u.reports import read_reports, refusal_of
from autoglmc.compiler.errors import BundleError

WORDS = ("vela", "5.2", "config", "u55-256", "system", "Ethos_U55_High_End_Embedded", "memory", "Shared_Sram")
LAYERS = "Original Operator,NNG Operator,Target,Op Cycles,Name\nConv2D,Conv2D,NPU,900,c\nAdd,Add,{add},100,a\n"
SUMMARY = "core_clock,feature_map_storage_area,sram_memory_used,off_chip_flash_memory_used,cycles_total\n500000000.0,SRAM,13.5,1.2,1000\n"
WHY = "Operation has tensor with unsupported DataType Float32 (b)"
WARNING = f"Warning (supported operators) operator: ADD, ofm: 'a'\nReason: {WHY}\nmore\n"


def written(folder: Path, add: str, summary: str | None = SUMMARY) -> Path:
    (folder / "x_per-layer.csv").write_text(LAYERS.format(add=add))
    if summary is not None:
        (folder / "x_summary_System.csv").write_text(summary)
    return folder


def test_what_runs_on_the_npu_alone_is_taken(tmp_path: Path) -> None:
    report = read_reports(written(tmp_path, "NPU"), "")
    assert (report.cycles, report.seconds, report.peak_bytes, report.npu_operators) == (1000, 2e-6, 13824, 2)
    assert refusal_of(report) == ""


def test_an_operator_on_the_cpu_is_a_refusal_with_velas_reason(tmp_path: Path) -> None:
    why = refusal_of(read_reports(written(tmp_path, "CPU"), WARNING))
    assert why == f"Vela leaves 1 of 2 operators to the CPU: ADD (a): {WHY}"


@pytest.mark.parametrize("summary", [None, "core_clock\n5\n", SUMMARY.replace("13.5", "many")])
def test_other_reports_are_refused(tmp_path: Path, summary: str | None) -> None:
    with pytest.raises(ValueError, match=r"Vela's reports are not those of version 5\.2"):
        read_reports(written(tmp_path, "NPU", summary), "")


def test_the_line_of_a_target_becomes_velas_arguments() -> None:
    found = configuration(WORDS)
    assert found is not None and found.core == "Ethos-U55"
    assert found.arguments()[2:] == [
        "--accelerator-config", "ethos-u55-256", "--system-config", "Ethos_U55_High_End_Embedded", "--memory-mode", "Shared_Sram",
    ]  # fmt: skip
    assert configuration(WORDS[:4]) is None


def test_a_missing_or_other_vela_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata as metadata

    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    lack = EthosUAdapter(WORDS).cannot_compile()
    assert lack is not None and "not installed" in lack.reason and "ethos-u-vela" in lack.help
    monkeypatch.setattr(metadata, "version", lambda name: "4.0.1")
    lack = EthosUAdapter(WORDS).cannot_compile()
    assert lack is not None and lack.reason == "Vela 4.0.1 is installed, and the target is written for 5.2"


@pytest.mark.parametrize("arena", ["abc", "0", "-5", "1e9", "9" * 40, ""])
def test_an_arena_of_an_edited_manifest_is_no_configuration(arena: str) -> None:
    words = (*WORDS, "arena", arena)
    assert configuration(words) is None and configuration((*WORDS, "arena", "65536")) is not None
    with pytest.raises(BundleError, match="no configuration of Vela"):
        EthosUAdapter(words).compile(Path("s.onnx"), Path("s.vela"))
