"""`autoglmc why`: every operator that is not on the preferred device is explained, and what is proposed was tried."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from small_models import parse, save

from autoglmc.compiler.cli import run
from autoglmc.compiler.errors import UsageError
from autoglmc.compiler.explain.as_json import as_json
from autoglmc.compiler.explain.explain_model import Why, explain_model
from autoglmc.compiler.hw.load_target import load_target

TARGET = """hw 1;
target t {{
  onnx opset 13..21;
  memory m {{ size 1 GiB; bandwidth 50 GB/s; shared npu, cpu; }}
  device npu : x {{
    peak fp16 10 TOPS; dispatch {dispatch} us @guess; launch 0.1 us; static_shapes yes;
    supports fp16 {{ {supports} }}
    {more}
  }}
  device cpu : x {{ runtime ort; peak fp32 100 GFLOPS; dispatch 1 us; launch {launch} us; {cpu} }}
  link npu <-> cpu {{ zero_copy; handoff {handoff} us; }}
  precision {{ default fp16; }}
}}
"""
MLP = """g (float[1,64] x) => (float[1,64] y) {{
    a = MatMul(x, w) b = {operator}(a) y = MatMul(b, w)
}}"""


def target(
    folder: Path, supports: str, more: str = "", cpu: str = "supports all;", dispatch: float = 1, handoff: float = 1, launch: float = 10
) -> Path:
    path = folder / "t.hw"
    path.write_text(TARGET.format(supports=supports, more=more, cpu=cpu, dispatch=dispatch, handoff=handoff, launch=launch))
    return path


def model(folder: Path, graph: str, opset: int = 18, w: tuple[int, ...] = (64, 64)) -> Path:
    """A model of ONNX text, with a weight `w` where the text has one free."""
    proto = parse(graph, opset)
    if " w" in graph.partition("=>")[2]:
        values = np.random.default_rng(0).standard_normal(w).astype(np.float32)
        proto.graph.initializer.append(numpy_helper.from_array(values, "w"))
    return save(proto, folder)


def explained(path: Path, machine: Path, **options: Any) -> Why:
    return explain_model(path, load_target(machine), **options)


def test_a_missing_operator_names_the_line_to_add_and_what_it_gains(tmp_path: Path) -> None:
    path = model(tmp_path, MLP.format(operator="Softsign"))
    told = explained(path, target(tmp_path, "MatMul;"))
    (row,) = [row for row in told.rows if row.group.operator == "Softsign"]
    assert row.group.kind == "refused" and row.group.runs_on == "cpu"
    assert row.group.reason == "`Softsign` is not in npu's table, t.hw:5"
    tried = row.tried
    assert tried is not None and (tried.change.kind, tried.change.text) == ("rule", "`supports fp16 { Softsign; }`")
    assert tried.change.where == "t.hw:7" and tried.placed == 1
    better = explained(path, target(tmp_path, "MatMul; Softsign;"))
    assert tried.after == better.plan.total and tried.before == told.plan.total
    assert tried.gain == pytest.approx((told.plan.total or 0) - (better.plan.total or 0)) and tried.gain > 0
    assert tried.segments == (told.plan.segments, better.plan.segments)


def test_a_rewrite_within_a_tolerance_comes_before_a_claim_about_the_hardware(tmp_path: Path) -> None:
    gelu = model(tmp_path, MLP.format(operator="Gelu"), opset=20)
    told = explained(gelu, target(tmp_path, "MatMul, Relu, Tanh, Mul, Add, Sub;"))
    (row,) = [row for row in told.rows if row.group.operator == "Gelu"]
    assert row.tried is not None and row.tried.change.kind == "rewrite"
    assert row.tried.change.text.startswith("`rewrite Gelu -> ") and " tol " in row.tried.change.text
    line = row.tried.change.text.strip("`")
    better = explained(gelu, target(tmp_path, "MatMul, Relu, Tanh, Mul, Add, Sub;", more=line))
    assert better.plan.total == row.tried.after
    assert not [one for one in better.rows if one.group.kind == "refused"]


def test_a_narrower_integer_is_tried_in_the_model(tmp_path: Path) -> None:
    graph = "g (int64[1,8] i) => (float[1,8,64] y) <float[99,64] w> { a = Gather(w, i) y = Relu(a) }"
    told = explained(
        model(tmp_path, graph), target(tmp_path, "Relu; Gather where dtype(indices) == int32;", more="supports int64, int32 { Cast; }")
    )
    (row,) = [row for row in told.rows if row.group.operator == "Gather"]
    assert row.tried is not None and row.tried.change.kind == "dtype" and "int32" in row.tried.change.text
    assert row.tried.planned


def test_a_setting_can_be_frozen_but_data_cannot(tmp_path: Path) -> None:
    graph = "g (float[4,4] x, float[1] s, float[4,4] z) => (float[4,4] y, float[4,4] v) { y = Mul(x, s) v = Sub(x, z) }"
    told = explained(model(tmp_path, graph), target(tmp_path, "Mul where const(B); Sub where const(B);"))
    kinds = {row.group.operator: row.tried.change for row in told.rows if row.tried is not None}
    assert kinds["Mul"].kind == "constant" and "`s`" in kinds["Mul"].text
    assert kinds["Sub"].kind == "rule"


def test_a_size_is_tried_where_a_size_is_the_obstacle(tmp_path: Path) -> None:
    path = model(tmp_path, "g (float[1,n] x) => (float[1,n] y) { y = Relu(x) }")
    machine = target(tmp_path, "Relu where all_dims(X) <= 64;")
    told = explained(path, machine, word="Relu", shapes={"n": 128})
    first = told.subjects[0].tried[0]
    assert (first.change.kind, first.change.text, first.refusal) == ("shape", "`--shape n=64`", "")
    assert told.subjects[0].tried[1].change.kind == "rule"


def test_dims_without_a_size_get_one_and_it_says_so(tmp_path: Path) -> None:
    path = model(tmp_path, "g (float[batch,seq] x) => (float[batch,seq] y) { y = Relu(x) }")
    told = explained(path, target(tmp_path, "Abs;"))
    assert told.assumed == "--shape batch=1,seq=128"
    assert explained(path, target(tmp_path, "Abs;"), shapes={"batch": 2, "seq": 3}).assumed == ""


def test_what_no_device_runs_is_explained_too(tmp_path: Path) -> None:
    path = model(tmp_path, MLP.format(operator="Softsign"))
    machine = target(tmp_path, "MatMul;", cpu="supports fp32 { MatMul; }")
    told = explained(path, machine)
    assert told.plan.total is None
    (row,) = told.rows
    assert (row.group.operator, row.group.kind, row.group.runs_on) == ("Softsign", "unplaceable", "")
    assert row.tried is not None and row.tried.before is None and row.tried.after is not None
    assert run(["why", str(path), "--target", str(machine)]) == 0


def test_an_operator_the_device_takes_has_a_price_there(tmp_path: Path) -> None:
    path = model(tmp_path, "g (float[4,4] x) => (float[4,4] y) { y = Relu(x) }")
    told = explained(path, target(tmp_path, "Relu;", dispatch=500, handoff=50, launch=1))
    (row,) = told.rows
    assert row.group.kind == "elsewhere" and row.group.extra is not None and row.tried is None
    assert row.group.extra.handoff == pytest.approx(100e-6) and row.group.extra.dispatch == pytest.approx(499e-6)
    extra = row.group.extra
    assert extra.total == pytest.approx(extra.compute + extra.dispatch + extra.handoff)
    assert (
        row.group.reason.startswith("runs on npu, but costs 598 us more: compute -0.9 us")
        and "dispatch +499 us, handoffs +100 us" in row.group.reason
    )


def test_a_guess_that_decides_is_named(tmp_path: Path) -> None:
    path = model(tmp_path, "g (float[4,4] x) => (float[4,4] y) { y = Relu(x) }")
    told = explained(path, target(tmp_path, "Relu;", dispatch=1.5, handoff=0.1, launch=0.2))
    (row,) = told.rows
    assert [(one.fact.path, one.factor) for one in row.group.guesses] == [("device.npu.dispatch", 0.5)]


ERF = """g (float[1,64] x) => (float[1,64] y) <float half = {0.5}, float one = {1.0}, float r = {1.4142135}> {
    d = Div(x, r) e = Erf(d) f = Add(e, one) h = Mul(x, f) y = Mul(h, half) }"""


def test_a_node_of_the_file_is_found_in_what_it_became(tmp_path: Path) -> None:
    path = model(tmp_path, ERF)
    told = explained(path, target(tmp_path, "Relu;"), word="e")
    assert [subject.alike.operator for subject in told.subjects] == ["Gelu"]
    assert told.traces[0].startswith("Erf `e") and told.traces[0].endswith("(rule recover_gelu)")
    by_operator = explained(path, target(tmp_path, "Relu;"), word="erf")
    assert [subject.alike.operator for subject in by_operator.subjects] == ["Gelu"]


def test_every_device_says_why_or_why_not(tmp_path: Path) -> None:
    path = model(tmp_path, MLP.format(operator="Softsign"))
    told = explained(path, target(tmp_path, "MatMul where rank(A) in 2..3; Relu;"), word="MatMul")
    said = {verdict.device: verdict for verdict in told.subjects[0].alike.verdicts}
    assert said["npu"].because == "`MatMul where rank(A) in 2..3` (rank(A) = 2) in fp16, t.hw:7"
    assert said["cpu"].because == "`supports all`, t.hw:10"
    soft = explained(path, target(tmp_path, "MatMul;"), word="softsign").subjects[0]
    assert [verdict.runs for verdict in soft.alike.verdicts] == [False, True]
    assert soft.alike.verdicts[1].here and soft.alike.runs_on == "cpu"


def test_a_name_that_is_not_there_gets_the_nearest(tmp_path: Path) -> None:
    path = model(tmp_path, MLP.format(operator="Softsign"))
    with pytest.raises(UsageError, match="no node and no operator of the model is called 'Softsing'") as problem:
        explained(path, target(tmp_path, "MatMul;"), word="Softsing")
    assert problem.value.help == "did you mean 'Softsign'?"
    with pytest.raises(UsageError, match="has no device 'nqu'"):
        explained(path, target(tmp_path, "MatMul;"), device="nqu")


def test_the_host_can_be_asked_about(tmp_path: Path) -> None:
    path = model(tmp_path, MLP.format(operator="Softsign"))
    told = explained(path, target(tmp_path, "MatMul, Softsign;"), device="cpu")
    assert {row.group.kind for row in told.rows} == {"elsewhere"}
    assert sum(len(row.group.numbers) for row in told.rows) == 3


def test_json_has_the_same_keys_always(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = model(tmp_path, MLP.format(operator="Softsign"))
    machine = target(tmp_path, "MatMul;")
    assert run(["why", str(path), "--target", str(machine), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts == json.loads(json.dumps(as_json(explained(path, machine))))
    head = {"model", "target", "device", "assumed_shapes", "plan", "limits"}
    assert set(facts) == head | {"all_there", "groups", "together", "guesses"}
    row = {"native_refusal"}
    row |= {"operator", "runs_on", "kind", "reason", "more_reasons", "count", "seconds", "share", "nodes", "extra", "guesses", "change"}
    assert all(set(group) == row for group in facts["groups"])
    assert run(["why", str(path), "Softsign", "--target", str(machine), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert set(facts) == head | {"asked", "traces", "subjects"}
    changes = facts["subjects"][0]["changes"]
    assert changes and set(changes[0]) == {
        "kind", "text", "where", "note", "rule", "places", "refusal", "planned", "before", "after", "gain", "placed", "segments", "handoffs"
    }  # fmt: skip


def test_odd_names_do_not_reach_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    proto = onnx.load(model(tmp_path, MLP.format(operator="Softsign")))
    proto.graph.node[1].name = "[bold]x\x1b[31m\n1, $(y) é"
    path = save(proto, tmp_path)
    assert run(["why", str(path), proto.graph.node[1].name, "--target", str(target(tmp_path, "MatMul;"))]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and r"[bold]x\x1b[31m\n1, $(y) é" in shown


def test_it_fits_a_narrow_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from autoglmc.compiler.report import layout

    monkeypatch.setattr(layout, "WIDTH", 80)
    path = model(tmp_path, MLP.format(operator="Softsign"))
    for words in ([], ["Softsign"], ["MatMul"]):
        assert run(["why", str(path), *words, "--target", str(target(tmp_path, "MatMul where const(B);"))]) == 0
        assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_an_integer_device_is_tried_with_the_operators_quantised(tmp_path: Path) -> None:
    path = model(tmp_path, MLP.format(operator="Relu"))
    machine = tmp_path / "i.hw"
    machine.write_text(
        TARGET.format(supports="Softsign;", more="", cpu="supports all;", dispatch=1, handoff=1, launch=10)
        .replace("supports fp16 { Softsign; }", "supports int8 { MatMul, Relu; }")
        .replace("peak fp16", "peak int8")
    )
    told = explained(path, machine)
    (row,) = [row for row in told.rows if row.group.operator == "MatMul"]
    assert row.group.reason == "`MatMul` of fp32: npu's table lists it for int8 only, i.hw:7"
    assert row.tried is not None and row.tried.change.text.startswith("quantise to int8") and row.tried.planned
    assert row.tried.gain > 0 and row.tried.placed == 2


def test_a_node_in_a_body_stands_for_its_if_and_constants_say_what_they_are(tmp_path: Path) -> None:
    graph = """g (bool c, float[4] x) => (float[4] y, float[4] v) <float[4] k = {1.0, 2.0, 3.0, 4.0}> {
        a = If(c) <then_branch = t () => (float[4] p) { p = Sin(x) }, else_branch = e () => (float[4] q) { q = Cos(x) }>
        y = Relu(a)
        h = Exp(k)
        v = Add(x, h)
    }"""
    path, machine = model(tmp_path, graph), target(tmp_path, "Relu; Add;")
    told = explained(path, machine, word="sin")
    assert [subject.alike.operator for subject in told.subjects] == ["If"]
    assert "in the body of" in told.traces[0] and "runs whole on one device" in told.traces[0]
    folded = explained(path, machine, word="exp")
    assert folded.subjects == () and "was folded into a constant" in folded.traces[0]
    assert run(["why", str(path), "exp", "--target", str(machine)]) == 0


def test_a_dtype_that_precision_could_allow_is_one_line(tmp_path: Path) -> None:
    path = model(tmp_path, MLP.format(operator="Relu"))
    machine = target(tmp_path, "Relu;", more="peak fp32 10 TOPS; supports fp32 { MatMul; }")
    machine.write_text(machine.read_text().replace("  precision { default fp16; }\n", ""))
    told = explained(path, machine)
    (row,) = [row for row in told.rows if row.group.operator == "Relu"]
    assert row.group.reason == "`Relu` of fp32: npu's table lists it for fp16 only, t.hw:7"
    assert row.tried is not None and row.tried.change.text == "`precision { compute fp16 for fp32; }`"
    assert row.tried.change.kind == "dtype" and row.tried.gain > 0
