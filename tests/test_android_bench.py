"""tools/android_bench.py: what onnxruntime_perf_test prints becomes a record that `compare --measured` reads. No phone is asked here."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from types import ModuleType

import pytest
from doc_pages import ROOT
from small_models import RELU, parse

from autoglmc.compiler import cli
from autoglmc.compiler.bench.record import read_record
from autoglmc.compiler.compare.rows import read_measured
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.errors import UsageError
from autoglmc.compiler.run.bundle import Bundle

PRINTED = """Setting intra_op_num_threads to 1
Session creation time cost: 0.25 s
First inference time cost: 12 ms
Total inference time cost: 0.4 s
Total inference requests: 40
Average inference time cost total: 10.000000 ms
Total inference run time: 0.41 s
Number of inferences per second: 97.5
Avg CPU usage: 11 %
Peak working set size: 35299328 bytes
Min Latency: 0.008 s
Max Latency: 0.016 s
P50 Latency: 0.0095 s
P90 Latency: 0.014 s
P95 Latency: 0.015 s
P99 Latency: 0.016 s
P999 Latency: 0.016 s
"""
PHONE = "Example Phone 1"


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("android_bench", ROOT / "tools" / "android_bench.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("android") / "relu"
    return compile_model(parse(RELU), "x86_cpu", output=folder, verify=False).bundle


def test_what_is_printed_becomes_a_record(bundle: Bundle, tmp_path: Path) -> None:
    output, record = tmp_path / "printed.txt", tmp_path / "phone.json"
    output.write_text(PRINTED, encoding="utf-8")
    assert tool().main([str(bundle.folder), "--output", str(output), "--phone", PHONE, "--record", str(record)]) == 0
    found = read_record(record.read_bytes())
    times = (found.seconds.best, found.seconds.p50, found.seconds.p90, found.seconds.p99, found.seconds.mean)
    assert times == (0.008, 0.0095, 0.014, 0.016, 0.01) and found.repeat == 40
    assert (found.cold_start.load, found.cold_start.first_run) == (0.25, 0.012)
    (measured,) = read_measured([record])[found.model, "x86_cpu"]
    assert (measured.latency, measured.processor) == (0.0095, PHONE)
    page = tmp_path / "page.html"
    assert cli.run(["report", str(bundle.folder), "--record", str(record), "-o", str(page), "--quiet"]) == 0
    assert PHONE in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("start", ["Session", "First", "P50", "Min", "Average", "Total inference requests"])
def test_a_missing_number_is_no_zero(start: str, bundle: Bundle) -> None:
    rest = "\n".join(line for line in PRINTED.split("\n") if not line.startswith(start))
    with pytest.raises(UsageError, match="did not print"):
        tool().record_of(bundle, rest, PHONE, "cpu")


def test_what_is_no_measurement_of_the_target_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="which -e qnn is not"):
        tool().record_of(bundle, PRINTED, PHONE, "qnn")
    model = ROOT / "tests" / "models" / "lightnet.onnx"
    several = compile_model(model, "tensor_g2", shapes={"batch": 1}, output=tmp_path / "several", verify=False).bundle
    with pytest.raises(UsageError, match="7 segments"):
        tool().record_of(several, PRINTED, PHONE, "cpu")


def test_a_phone_is_asked_through_adb(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for adb, which writes down what it is asked and prints what the tool would."""
    (tmp_path / "printed").write_text(PRINTED, encoding="utf-8")
    adb = tmp_path / "adb"
    answers = f'case "$*" in *perf_test\\ -e*) cat {tmp_path}/printed;; *getprop*) echo Part;; esac'
    adb.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n{answers}\n')
    adb.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "perf").write_bytes(b"binary")
    record = tmp_path / "phone.json"
    assert tool().main([str(bundle.folder), "--perf-test", str(tmp_path / "perf"), "--record", str(record), "--serial", "A1"]) == 0
    asked = (tmp_path / "asked").read_text(encoding="utf-8").splitlines()
    assert all(line.startswith("-s A1 ") for line in asked)
    pushed = {Path(line.split(" ")[3]).name for line in asked if " push " in line}
    assert pushed == {"onnxruntime_perf_test", *(Path(path).name for path in bundle.manifest.files)}
    assert asked[-1].endswith(f"-e cpu -m times -r 100 -s -I {Path(bundle.manifest.segments[0].file).name}")
    assert json.loads(record.read_text(encoding="utf-8"))["environment"]["processor"] == "Part Part Part"


def test_a_provider_may_leave_nothing_to_the_cpu() -> None:
    line = tool().command_of("0.onnx", "qnn", ["backend_path=libQnnHtp.so", "soc_model=57"], 10)
    assert "'session.disable_cpu_ep_fallback|1'" in line and "'backend_path|libQnnHtp.so soc_model|57'" in line
