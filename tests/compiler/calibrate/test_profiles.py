"""Profiles from devices that are not here: read, converted, joined to a bundle, or refused with the reason and the line."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoglmc.compiler import cli
from autoglmc.compiler.calibrate.profiles.of_bundle import import_profiles
from autoglmc.compiler.calibrate.profiles.other_tools import profile_of
from autoglmc.compiler.calibrate.profiles.read_all import parse_latency, read_all
from autoglmc.compiler.calibrate.profiles.rows import (
    COLUMNS,
    LATENCY,
    LONGEST_CELL,
    ProfileError,
    ProfileFile,
    Row,
    parse_profile,
    profile_text,
    text_of,
)
from autoglmc.compiler.calibrate.records import MeasuredSegment
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.errors import UserError
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.run.bundle import Bundle

LIGHTNET = Path(__file__).parents[2] / "models" / "lightnet.onnx"
TARGET = load_target("x86_cpu")
DEVICE = TARGET.device("cpu")
EACH = 20e-6
"""Seconds of every operator in the profiles that these tests write."""


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("profiled") / "lightnet.x86_cpu"
    return compile_model(LIGHTNET, "x86_cpu", shapes={"batch": 1}, output=folder, verify=False).bundle


def operators(bundle: Bundle) -> list[onnx.NodeProto]:
    path = bundle.folder / bundle.manifest.segments[0].file
    return list(onnx.load_model(path, load_external_data=False).graph.node)


def row(operator: str, seconds: float, kind: str = "Conv", line: int = 1) -> Row:
    return Row(
        line=line, model="lightnet", segment="0", operator=operator, kind=kind, inputs="", outputs="", attributes="", dtype="fp32", calls=1,
        seconds_p10=seconds, seconds_median=seconds, runs=100,
    )  # fmt: skip


def profile(bundle: Bundle) -> ProfileFile:
    """Every operator of the bundle at EACH, and a run of just that."""
    rows = [row(node.name, EACH, node.op_type) for node in operators(bundle)]
    whole = row("", EACH * len(rows), LATENCY)
    return ProfileFile("p.csv", {"device": "a phone", "runtime": "made up 1.0"}, (*rows, whole))


def imported(bundle: Bundle, file: ProfileFile) -> MeasuredSegment:
    """Through the text, as a user's file is."""
    found = import_profiles([parse_profile(profile_text(file), "p.csv")], bundle.folder, bundle.manifest, TARGET, DEVICE)
    return found.measurement.segments[0]


def test_a_profile_of_a_bundle_is_a_measured_segment(bundle: Bundle) -> None:
    file = profile(bundle)
    found = imported(bundle, file)
    assert (found.network, found.unjoined, found.floor) == ("lightnet", {}, 0.0)
    assert found.latency == pytest.approx(EACH * len(operators(bundle)))
    assert sum(kernel.seconds or 0.0 for kernel in found.kernels) == pytest.approx(found.latency)
    assert all(kernel.seconds for kernel in found.kernels)


def test_what_the_runtime_renamed_still_joins(bundle: Bundle) -> None:
    file = profile(bundle)
    renamed = [replace(one, operator=f"{one.operator}_nchwc") if one.kind == "Conv" else one for one in file.rows]
    assert imported(bundle, replace(file, rows=tuple(renamed))).unjoined == {}


def test_the_profiler_s_own_time_is_taken_off(bundle: Bundle) -> None:
    file = profile(bundle)
    slower = tuple(row(one.operator, one.seconds_p10 + (0 if one.kind == LATENCY else 1.9e-6), one.kind) for one in file.rows)
    stated = replace(file, head={**file.head, "profiler": "1.9 us"}, rows=slower)
    assert sum(k.seconds or 0.0 for k in imported(bundle, stated).kernels) == pytest.approx(EACH * len(operators(bundle)))


Change = Callable[[ProfileFile], ProfileFile]


def changed(change: Callable[[Row], Row | None]) -> Change:
    return lambda file: replace(file, rows=tuple(new for old in file.rows if (new := change(old)) is not None))


def scaled(one: Row, factor: float, kind: bool) -> Row:
    """An operator, or (kind) the LATENCY row, in another unit."""
    return (
        replace(one, seconds_p10=one.seconds_p10 * factor, seconds_median=one.seconds_median * factor)
        if (one.kind == LATENCY) == kind
        else one
    )


def of_operators(**changes: Any) -> Change:
    """Of all rows but LATENCY's; a function gets the row."""

    def new(one: Row) -> Row:
        return replace(one, **{name: value(one) if callable(value) else value for name, value in changes.items()})

    return changed(lambda one: one if one.kind == LATENCY else new(one))


FAULTS: Mapping[str, tuple[Change, str]] = {
    "milliseconds": (changed(lambda one: scaled(one, 1e3, False)), "the operators are in milliseconds, it seems"),
    "microseconds": (changed(lambda one: scaled(one, 1e6, False)), "the operators are in microseconds, it seems"),
    "latency in milliseconds": (changed(lambda one: scaled(one, 1e3, True)), "the LATENCY row is in milliseconds, it seems"),
    "no latency": (changed(lambda one: None if one.kind == LATENCY else one), "has no LATENCY row"),
    "noise": (changed(lambda one: replace(one, seconds_median=one.seconds_p10 * 1.4)), "too noisy"),
    "noise of operators": (of_operators(seconds_median=lambda one: one.seconds_p10 * 1.4), "40% above the fastest tenth"),
    "sum": (changed(lambda one: scaled(one, 1.3, False)), "+30%, above 15%"),
    "another model": (of_operators(operator=lambda one: f"elsewhere/{one.line}"), "operators that the bundle does not have"),
    "another segment": (changed(lambda one: replace(one, segment="7")), "segment 7 is none of the device's"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_believed_is_refused_with_its_line(bundle: Bundle, fault: str) -> None:
    change, message = FAULTS[fault]
    with pytest.raises(ProfileError, match=r"\S") as found:
        imported(bundle, change(profile(bundle)))
    assert message in found.value.message
    assert found.value.where.startswith("p.csv:")
    assert found.value.where.split(":")[1].isdigit()


def test_a_segment_may_be_left_out_in_any_row(bundle: Bundle) -> None:
    """A bundle with one segment of the device: rows that state it and rows that do not are of one run."""
    whole = changed(lambda one: replace(one, segment="") if one.kind == LATENCY else one)
    assert imported(bundle, whole(profile(bundle))).latency == imported(bundle, profile(bundle)).latency


def test_a_second_latency_is_refused_with_its_line(bundle: Bundle) -> None:
    file = profile(bundle)
    with pytest.raises(ProfileError, match="two LATENCY rows") as found:
        imported(bundle, replace(file, rows=(*file.rows, file.rows[-1])))
    assert found.value.where == f"p.csv:{4 + len(file.rows)}"


def test_a_latency_is_given_to_a_csv_without_one(bundle: Bundle) -> None:
    file = profile(bundle)
    text, seconds = profile_text(changed(lambda one: None if one.kind == LATENCY else one)(file)), file.rows[-1].seconds_p10
    given = profile_of(text, "p.csv", latency=seconds)
    assert imported(bundle, given).latency == imported(bundle, file).latency
    with pytest.raises(ProfileError, match="has a LATENCY row, and --latency states another"):
        profile_of(profile_text(file), "p.csv", latency=1.0)
    both = changed(lambda one: None if one.kind == LATENCY else replace(one, model=str(one.line % 2)))(file)
    two = replace(both, rows=(*both.rows, replace(both.rows[0], model="another")))
    with pytest.raises(ProfileError, match="the profile has several"):
        profile_of(profile_text(two), "p.csv", latency=1.0)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_another_encoding_is_refused(encoding: str, tmp_path: Path, bundle: Bundle) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(profile_text(replace(profile(bundle), head={"device": "a phone of Jörg"})).encode(encoding))
    with pytest.raises(ProfileError) as found:
        text_of(path)
    assert "not text" in found.value.message and found.value.where == f"{path}:1"


@pytest.mark.parametrize("change", [lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n"), lambda text: text + "\n\n"])
def test_what_spreadsheets_add_is_read(change: Callable[[str], str], tmp_path: Path, bundle: Bundle) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(change(profile_text(profile(bundle))).encode())
    found = profile_of(text_of(path), "p.csv")
    assert [one.seconds_p10 for one in found.rows] == [pytest.approx(one.seconds_p10) for one in profile(bundle).rows]
    assert found.head["device"] == "a phone"


def text_with(cells: Mapping[str, str]) -> str:
    """One good line, then one with these cells."""
    good = dict.fromkeys(COLUMNS, "") | {
        "operator": "a", "kind": "Conv", "calls": "1", "seconds_p10": "1e-3", "seconds_median": "1e-3", "runs": "9",
    }  # fmt: skip
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerow(good)
    writer.writerow(good | dict(cells))
    return "# device: a phone\n" + out.getvalue()


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"seconds_p10": "-1"}, "must be zero or more"),
        ({"seconds_p10": "nan"}, "must be zero or more"),
        ({"seconds_median": "inf"}, "must be zero or more"),
        ({"seconds_p10": "1 ms"}, "not a number"),
        ({"seconds_p10": ""}, "not a number"),
        ({"seconds_p10": "2e-3"}, "above seconds_median"),
        ({"seconds_median": "8000"}, "more than an hour"),
        ({"runs": "many"}, "not a number"),
        ({"operator": ""}, "has no name"),
        ({"kind": "MEMORY"}, "private=BYTES"),
        ({"attributes": "x" * (LONGEST_CELL + 1)}, "not a CSV file"),
    ],
)
def test_a_bad_cell_is_refused_with_its_line(cells: Mapping[str, str], message: str) -> None:
    with pytest.raises(ProfileError) as found:
        parse_profile(text_with(cells), "p.csv")
    assert message in found.value.message
    assert found.value.where == "p.csv:4"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("# device: a phone\n", "the file is empty"),
        (";".join(COLUMNS) + "\na;b\n", "separated by ';'"),
        ("\t".join(COLUMNS) + "\na\tb\n", "separated by tabs"),
        ("a,b\n1,2\n", "form of the profile is not known"),
        ("model,segment\n", "lacks the columns operator"),
        (",".join((*COLUMNS, "more")) + "\n", "unknown columns more"),
        (",".join(reversed(COLUMNS)) + "\n", "another order"),
        (",".join(COLUMNS) + "\n", "no rows"),
        (",".join(COLUMNS) + "\na,b\n", "2 cells"),
        (",".join(COLUMNS) + '\n"a\n', "not a CSV file"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("{}", "form of the profile is not known"),
        ('{"execution_detail": 3}', "lacks a field"),
        ('[{"cat": "Node"}]', "lacks a field"),
    ],
)
def test_another_file_is_refused(text: str, message: str) -> None:
    with pytest.raises(ProfileError) as found:
        profile_of(text, "p.csv")
    assert message in found.value.message


@given(st.text(max_size=400) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")))
def test_any_text_is_a_profile_or_a_clear_error(text: str) -> None:
    for body in (text, f"{','.join(COLUMNS)}\n{text}", f"layerName;execStatus;layerType;execType;realTime (ms);cpuTime (ms);\n{text}"):
        try:
            profile_of(body, "p.csv", latency=1.0)
        except UserError as problem:
            assert problem.message


@pytest.mark.parametrize("time", [math.nan, math.inf, -3])
def test_a_time_that_no_clock_shows_is_refused_with_its_file(time: float) -> None:
    found = {"execution_summary": {"estimated_inference_time": 400}, "execution_detail": [{"name": "a", "execution_time": time}]}
    with pytest.raises(ProfileError, match="has a time, or a weight, of") as refused:
        profile_of(json.dumps(found), "hub.json")
    assert refused.value.where == "hub.json"


KEYS = ("cat", "ts", "dur", "args", "name", "weight", "execution_detail", "execution_summary", "execution_time")
PLAIN = st.none() | st.booleans() | st.floats() | st.text(max_size=8)
JSON = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4))


@given(JSON)
def test_any_json_is_a_profile_or_a_clear_error(data: Any) -> None:
    try:
        profile_of(json.dumps(data), "p.json", latency=1.0)
    except UserError as problem:
        assert problem.message


def seconds(file: ProfileFile) -> dict[str, float]:
    return {one.operator or one.kind: round(one.seconds_p10, 9) for one in file.rows}


def test_onnxruntime_s_profile() -> None:
    events: list[dict[str, Any]] = []
    for start in (0, 1000, 2000):
        events.append({"cat": "Session", "name": "model_run", "ts": start, "dur": 500})
        for k, dur in enumerate((100 + start // 100, 20)):
            events.append({"cat": "Node", "name": f"n{k}_kernel_time", "ts": start + 10 + 200 * k, "dur": dur, "args": {"op_name": "Conv"}})
    file = profile_of(json.dumps(events), "p.json", latency=1.2e-4)
    assert seconds(file) == {"n0": 110e-6, "n1": 20e-6, LATENCY: 120e-6}
    assert file.head["runtime"] == "onnxruntime" and file.rows[0].kind == "Conv" and file.rows[0].runs == 2


def test_openvino_s_counters() -> None:
    text = (
        "layerName;execStatus;layerType;execType;realTime (ms);cpuTime (ms);\nconv;EXECUTED;Convolution;jit;0.250;0.250;\n"
        "view;NOT_RUN;Reshape;none;0.000;0.000;\nTotal;;;;0.250;0.250;\n"
    )
    assert seconds(profile_of(text, "p.csv")) == {"conv": 250e-6}


def test_ai_hub_s_profile() -> None:
    detail = [
        {"name": "a", "type": "Conv", "compute_unit": "NPU", "execution_time": 300},
        {"name": "b", "type": "Add", "execution_time": 100},
    ]
    summary = {"estimated_inference_time": 410, "all_inference_times": [400, 405, 410, 420], "estimated_inference_peak_memory": 1 << 20}
    file = profile_of(json.dumps({"execution_summary": summary, "execution_detail": detail}), "p.json")
    assert seconds(file) == {"a": 300e-6, "b": 100e-6, LATENCY: 400e-6, "MEMORY": 0.0}
    assert file.rows[-1].private == 1 << 20
    cycles = [{"name": "a", "type": "Conv", "execution_cycles": 3000}, {"name": "b", "type": "Add", "execution_cycles": 1000}]
    scaled = profile_of(json.dumps({"execution_summary": {"estimated_inference_time": 400}, "execution_detail": cycles}), "p.json")
    assert seconds(scaled) == {"a": 300e-6, "b": 100e-6, LATENCY: 400e-6}


def test_core_ml_states_no_seconds() -> None:
    plan = {
        "program": {
            "operations": [{"operatorName": "conv", "name": "y", "cost": {"weight": 0.75}, "weight": 0.75}, {"name": "z", "weight": 0.25}]
        }
    }
    with pytest.raises(ProfileError) as found:
        profile_of(json.dumps(plan), "p.json")
    assert "no seconds" in found.value.message and "--latency" in found.value.help
    assert seconds(profile_of(json.dumps(plan), "p.json", latency=8e-3)) == {"y": 6e-3, "z": 2e-3, LATENCY: 8e-3}


def test_qnn_s_cycles_are_scaled_to_the_accelerator_s_time() -> None:
    head = "Msg Timestamp,Message,Time,Unit of Measurement,Timing Source,Event Level,Event Identifier\n"
    lines = (
        "0,EXECUTE,400,US,BACKEND,ROOT,Accelerator (execute) time\n0,EXECUTE,9999,CYCLES,BACKEND,ROOT,Accelerator (execute) time (cycles)\n"
        "0,NODE,3000,CYCLES,BACKEND,SUB-EVENT,conv:OpId_1 (cycles)\n0,NODE,1000,CYCLES,BACKEND,SUB-EVENT,add:OpId_2 (cycles)\n"
    )
    assert seconds(profile_of(head + lines, "p.csv")) == {"conv": 300e-6, "add": 100e-6, LATENCY: 400e-6}
    with pytest.raises(ProfileError, match="to scale them to"):
        profile_of(head + lines.replace(" (execute) time\n", " (finalize) time\n"), "p.csv")


@pytest.mark.parametrize(("text", "wanted"), [("8.1ms", 8.1e-3), ("900 us", 9e-4), ("2s", 2.0)])
def test_a_latency_has_a_unit(text: str, wanted: float) -> None:
    assert parse_latency(text) == pytest.approx(wanted)


@pytest.mark.parametrize("text", ["8.1", "ms", "-1ms", "0ms", "nan s", "1e3ms", ""])
def test_a_latency_without_one_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        parse_latency(text)


def test_the_command_converts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "hub.json"
    detail = [{"name": "a", "type": "Conv", "execution_time": 300}]
    source.write_text(json.dumps({"execution_summary": {"estimated_inference_time": 310}, "execution_detail": detail}))
    assert cli.run(["calibrate", "--convert", str(source), "-o", str(tmp_path / "out.csv")]) == 0
    assert seconds(parse_profile((tmp_path / "out.csv").read_text(), "out.csv")) == {"a": 300e-6, LATENCY: 310e-6}
    assert cli.run(["calibrate", "--convert", str(source)]) == 0
    assert capsys.readouterr().out == (tmp_path / "out.csv").read_text()


def test_the_command_refuses_and_writes_nothing(bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "p.csv"
    file.write_text(profile_text(FAULTS["milliseconds"][0](profile(bundle))))
    out = tmp_path / "x86_cpu.phone.hw"
    common = ["calibrate", "--target", "x86_cpu", "-o", str(out)]
    assert cli.run([*common, "--profile", str(file), "--bundle", str(bundle.folder)]) == 1
    assert "in milliseconds, it seems" in capsys.readouterr().err
    assert cli.run([*common, "--profile", str(file)]) == 2
    assert cli.run([*common, "--latency", "8ms"]) == 2
    assert not out.exists()


def test_several_profiles_have_a_bundle_each_or_one(bundle: Bundle, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.csv", "b.csv")]
    for path in paths:
        path.write_text(profile_text(profile(bundle)))
    found = read_all(paths, [bundle.folder], None, TARGET, None)
    assert [segment.case for segment in found.measurement.segments] == ["lightnet", "lightnet"]
    assert found.measurement.environment["device"] == "a phone" and found.measurement.runtime == "made up 1.0"
    with pytest.raises(UserError, match="2 profiles and 3 bundles"):
        read_all(paths, [bundle.folder] * 3, None, TARGET, None)
