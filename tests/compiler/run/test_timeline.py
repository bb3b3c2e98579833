"""When steps ran: the facts, the files, the screen, and the command that writes them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from slicing import bundle_of, cut
from small_models import parse

from autoglmc.compiler.cli import run
from autoglmc.compiler.errors import UsageError
from autoglmc.compiler.report.draw_timeline import MOST, svg, write_timeline
from autoglmc.compiler.report.gantt import gantt
from autoglmc.compiler.run.timeline import StepSpan, Timeline, chrome_trace, timeline

CHAIN = "g (float[8] x) => (float[8] y) { a = Neg(x) b = Abs(a) y = Neg(b) }"
DRAWN = Timeline(
    ("npu", "c<p>u"),
    (
        StepSpan(0, 0, "npu", "run 0", 0.0, 0.4),
        StepSpan(0, 1, "c<p>u", "run 1", 0.4, 0.8),
        StepSpan(1, 0, "npu", "run 0", 0.4, 0.8),
        StepSpan(1, 1, "c<p>u", "run 1", 0.8, 1.0),
    ),
)


def test_busy_time_and_overlap() -> None:
    assert DRAWN.busy() == pytest.approx({"npu": 0.8, "c<p>u": 0.6}) and DRAWN.wall == 1.0
    assert DRAWN.at_once == pytest.approx(1.4)
    assert Timeline((), ()).at_once == 0 and gantt(Timeline((), ())) == []


def test_a_gantt_in_characters() -> None:
    npu, cpu, told = (text.plain for text in gantt(DRAWN, 10))
    assert npu == "npu    00001111··" and cpu == "c<p>u  ····000011" and told.startswith("a column is 100.00 ms")


def test_a_short_step_is_not_lost_in_the_picture() -> None:
    line = Timeline(("a", "b"), (StepSpan(0, 0, "a", "run 0", 0.0, 1.0), StepSpan(3, 1, "b", "run 1", 0.299, 0.301)))
    assert gantt(line, 10)[1].plain.count("3") == 1


def test_many_requests_show_the_first() -> None:
    spans = tuple(StepSpan(k, s, "a", "run", k + s / 2, k + s / 2 + 0.4) for k in range(1000) for s in range(2))
    assert "the first 150 requests" in gantt(Timeline(("a",), spans))[-1].plain


def test_a_trace_for_chrome() -> None:
    trace = chrome_trace({"one": DRAWN, "two": DRAWN})
    events = [e for e in trace["traceEvents"] if e["ph"] == "X" and e["pid"] == 1]
    assert [(e["name"], e["tid"], e["ts"], e["dur"]) for e in events] == [
        ("run 0 #0", 0, 0.0, 4e5), ("run 1 #0", 1, 4e5, 4e5), ("run 0 #1", 0, 4e5, 4e5), ("run 1 #1", 1, 8e5, 2e5),
    ]  # fmt: skip
    names = [e["args"]["name"] for e in trace["traceEvents"] if e["ph"] == "M"]
    assert names == ["one", "npu", "c<p>u", "two", "npu", "c<p>u"]


def test_a_drawing_is_well_formed_and_to_scale(tmp_path: Path) -> None:
    write_timeline(tmp_path / "t.svg", {"<one>": DRAWN})
    root = ElementTree.parse(tmp_path / "t.svg").getroot()
    bars = [e for e in root.iter() if e.tag.endswith("rect")]
    widths = [float(bar.attrib["width"]) for bar in bars]
    assert len(bars) == 4 and widths[0] == pytest.approx(2 * widths[3], rel=1e-3)
    assert bars[0].attrib["fill"] == bars[1].attrib["fill"] != bars[2].attrib["fill"]
    write_timeline(tmp_path / "t.html", {"<one>": DRAWN})
    assert "<svg" in (tmp_path / "t.html").read_text() and "c&lt;p&gt;u" in (tmp_path / "t.html").read_text()
    many = Timeline(("a",), tuple(StepSpan(k, 0, "a", "run 0", float(k), k + 0.5) for k in range(MOST + 7)))
    drawing = "\n".join(svg({"many": many}))
    assert drawing.count("<rect") == MOST and f"the first {MOST} of {MOST + 7} steps" in drawing


def test_every_run_knows_its_times(tmp_path: Path) -> None:
    session = bundle_of(cut(parse(CHAIN), ("npu", "gpu", "cpu"), modes=("copy",)), tmp_path / "b").session()
    x = {"x": np.ones(8, np.float32)}
    for outputs in ([session.run(x), session.run(x)], session.run_many([x, x]), session.run_many([x, x], pipeline=True)):
        for out in outputs:
            assert len(out.spans) == len(session.manifest.schedule) and all(begin < end for begin, end in out.spans)
            for step, (begin, _) in zip(session.manifest.schedule, out.spans, strict=True):
                assert all(out.spans[k][1] <= begin for k in (*step.needs, *step.waits))
        line = timeline(session.manifest, outputs)
        assert set(line.lanes) == {"npu", "gpu", "cpu", "copies"} and min(span.begin for span in line.spans) == 0
        assert any(span.what == "copy a" and span.lane == "copies" for span in line.spans)


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle_of(cut(parse(CHAIN), ("npu", "cpu")), tmp_path / "b")
    for k in range(2):
        np.savez(tmp_path / f"x{k}.npz", x=np.full(8, k - 1.5, np.float32))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("bundle")
def test_the_command_pipelines_and_draws(capsys: pytest.CaptureFixture[str]) -> None:
    verb = ["run", "b", "--input", "x0.npz", "--input", "x1.npz", "--requests", "5", "--pipeline", "-o", "y.npz", "--timeline", "t.json"]
    assert run(verb) == 0
    shown = capsys.readouterr()
    assert "5 requests:" in shown.out and "pipelined (" in shown.out and "same bits" in shown.out
    assert "2 generations of the arena" in shown.out and "busy: npu" in shown.out
    values = [float(np.load(f"y.{k}.npz")["y"][0]) for k in range(5)]
    assert values == [-1.5, -0.5, -1.5, -0.5, -1.5]
    processes = [e["args"]["name"] for e in json.loads(Path("t.json").read_text())["traceEvents"] if e["name"] == "process_name"]
    assert processes == ["one after the other", "pipelined"]


@pytest.mark.usefixtures("bundle")
def test_the_command_tells_a_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", "b", "--input", "x0.npz", "--requests", "3", "--pipeline", "--json", "--step-limit", "30"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert len(facts["seconds"]) == 3 and facts["pipelined"]["requests"] == 3 and facts["pipelined"]["generations"] == 2
    assert set(facts["pipelined"]["busy_seconds"]) == {"npu", "cpu"} and facts["pipelined"]["arena_bytes"] > 0
    assert run(["run", "b", "--input", "x0.npz", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pipelined"] is None


@pytest.mark.usefixtures("bundle")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--timeline", "t.png"], "the timeline is written as .json or .html or .svg"),
        (["--repeat", "2", "--pipeline"], "--repeat times one request again and again"),
        (["--step-limit", "0"], "0"),
        (["--timeline", "nowhere/t.svg"], "cannot write nowhere/t.svg: folder nowhere does not exist"),
    ],
)
def test_arguments_that_cannot_be_meant(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", "b", "--input", "x0.npz", *arguments]) == UsageError.exit_code
    assert says in capsys.readouterr().err
