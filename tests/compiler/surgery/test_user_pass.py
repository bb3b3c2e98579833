"""`--pass` and `passes=`: a user's own pass runs where it says, keeps its contract or is refused by name, and never ends in a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from make_target import make_cpu, make_target
from onnx import numpy_helper
from run_model import run
from small_models import parse, save

import autoglmc
from autoglmc.compiler import cli
from autoglmc.compiler.driver.compile_model import compile_model, stop_after
from autoglmc.compiler.driver.result import CompileResult
from autoglmc.compiler.errors import Infeasible, ModelError, PassError, UsageError, UserError, UserPassError, VerifyError
from autoglmc.compiler.exchange.to_gs import surgeon_graph
from autoglmc.compiler.surgery import apply_pass
from autoglmc.compiler.surgery.user_pass import POINTS, UserPass
from autoglmc.targets.model import Limit
from autoglmc.targets.origin import Origin

Screen = pytest.CaptureFixture[str]
Edit = Callable[[gs.Graph], object]
HERE = Path(__file__).name
X86 = make_target([make_cpu()], [])


def model() -> onnx.ModelProto:
    """MatMul, two Relus of which one does nothing, Add, Gelu as exporters spell it, Tanh."""
    made = parse(
        """g (float[4,8] x) => (float[4,8] y)
        <float root = {1.4142135}, float one = {1}, float half = {0.5}>
        { m = MatMul(x, w) r = Relu(m) s = Relu(r) a = Add(s, bias)
          d = Div(a, root) e = Erf(d) f = Add(e, one) h = Mul(a, f) g0 = Mul(h, half) y = Tanh(g0) }""",
        opset=20,
        ir=10,
    )
    rng = np.random.default_rng(0)
    made.graph.initializer.append(numpy_helper.from_array(rng.standard_normal((8, 8)).astype(np.float32) / 3, "w"))
    made.graph.initializer.append(numpy_helper.from_array(rng.standard_normal(8).astype(np.float32), "bias"))
    for node in made.graph.node:
        node.name = f"n_{node.output[0]}"
        node.metadata_props.add(key="from", value=node.output[0])
        node.doc_string = f"writes {node.output[0]}"
    return made


def named(graph: gs.Graph, operator: str) -> gs.Node:
    return next(node for node in graph.nodes if node.op == operator)


def drop_relu(graph: gs.Graph) -> None:
    """Of Relu(Relu(x)) the second does nothing: the same bits."""
    first = named(graph, "Relu")
    second = first.o()
    first.outputs = second.outputs
    second.outputs.clear()
    graph.cleanup()


def drop_both(graph: gs.Graph) -> None:
    """One too many."""
    drop_relu(graph)
    first = named(graph, "Relu")
    first.i().outputs = first.outputs
    first.outputs.clear()
    graph.cleanup()


def nudge(by: float) -> Edit:
    def nudge_bias(graph: gs.Graph) -> None:
        bias = named(graph, "Add").inputs[1]
        bias.values = bias.values + np.float32(by)

    return nudge_bias


def declared(function: Edit, contract: object) -> Edit:
    def wrapper(graph: gs.Graph) -> object:
        return function(graph)

    wrapper.__name__ = getattr(function, "__name__", "wrapper")
    wrapper.contract = contract  # type: ignore[attr-defined]
    return wrapper


def compiled(tmp_path: Path, *passes: object, **options: object) -> CompileResult:
    path = save(model(), tmp_path)
    return compile_model(path, X86, output=tmp_path / "bundle", passes=passes, **options)  # type: ignore[arg-type]


def failure(tmp_path: Path, function: Edit, contract: object = "exact", **options: object) -> UserPassError:
    with pytest.raises(UserPassError) as caught:
        compiled(tmp_path, declared(function, contract), **options)
    assert not (tmp_path / "bundle").exists() and caught.value.exit_code == 1 and caught.value.pass_name
    assert caught.value.pass_name in caught.value.message
    return caught.value


def operators(result: CompileResult) -> list[str]:
    return [node.op_type for cut in result.work.segments for node in cut.model.graph.node]


@pytest.mark.parametrize("point", POINTS)
def test_a_pass_runs_at_every_point_and_is_written_down(point: str, tmp_path: Path) -> None:
    seen: list[list[str]] = []

    def look_and_drop(graph: gs.Graph) -> None:
        seen.append([node.op for node in graph.nodes])
        drop_relu(graph)

    look_and_drop.contract = "exact"  # type: ignore[attr-defined]
    result = compiled(tmp_path, UserPass(look_and_drop, point))
    assert ("Erf" in seen[0]) == (point == "load"), "recover makes one Gelu of the parts"
    assert operators(result) == ["MatMul", "Relu", "Add", "Gelu", "Tanh"]
    record = next(d for d in result.manifest.decisions if d.rule == f"{HERE}:look_and_drop")
    assert record.taken and record.reason.startswith(f"your pass, after {point}: 1 Relu taken out; contract exact, checked")
    row = next(row for row in result.as_json()["rewrites"] if row["rule"] == f"{HERE}:look_and_drop")
    assert row == {"rule": f"{HERE}:look_and_drop", "device": None, "own": True, "sites": 1, "contract": "exact", "bound": 0.0}
    assert f"{HERE}:look_and_drop" in result.seconds
    assert not result.manifest.errors.bounds


def test_passes_of_one_point_run_in_the_order_given(tmp_path: Path) -> None:
    order: list[str] = []

    def passed(name: str) -> Edit:
        def note(graph: gs.Graph) -> None:
            order.append(name)

        return declared(note, "exact")

    passes = [UserPass(passed(f"{point} {k}"), point) for k in range(2) for point in reversed(POINTS)]
    compiled(tmp_path, *passes)
    assert order == [f"{point} {k}" for point in POINTS for k in range(2)]


def test_a_pass_that_changes_nothing_leaves_the_bundle_as_it_is(tmp_path: Path) -> None:
    before = compiled(tmp_path).manifest
    after = compiled(tmp_path, declared(lambda graph: None, "exact")).manifest
    assert [d for d in after.decisions if "<lambda>" not in d.rule] == list(before.decisions)
    assert [d.reason for d in after.decisions if "<lambda>" in d.rule] == ["your pass, after simplify: it changed nothing; contract exact"]
    assert after.segments == before.segments and after.arena == before.arena


def test_names_and_metadata_are_carried(tmp_path: Path) -> None:
    path = save(model(), tmp_path)
    stop_after("simplify", path, X86, output=tmp_path / "after.onnx", passes=[declared(drop_relu, "exact")])
    graph = onnx.load(tmp_path / "after.onnx").graph
    found = {node.output[0]: node for node in graph.node}
    assert list(found) == ["m", "s", "a", "g0", "y"]
    assert (found["a"].name, found["a"].doc_string, found["a"].metadata_props[0].value) == ("n_a", "writes a", "a")
    assert found["s"].op_type == "Relu" and found["s"].name == "n_r" and found["s"].metadata_props[0].value == "r"
    assert {value.name for value in graph.value_info} == {"m", "s", "a", "g0"}


def test_a_graph_may_be_returned(tmp_path: Path) -> None:
    def rebuilt(graph: gs.Graph) -> gs.Graph:
        twin = graph.copy()
        drop_relu(twin)
        return gs.Graph(twin.nodes, twin.inputs, twin.outputs, name=twin.name, opset=twin.opset, import_domains=twin.import_domains)

    result = compiled(tmp_path, declared(rebuilt, "exact"))
    node = result.work.segments[0].model.graph.node[2]
    assert operators(result) == ["MatMul", "Relu", "Add", "Gelu", "Tanh"] and node.doc_string == "writes a"


def test_types_are_inferred_anew(tmp_path: Path) -> None:
    def stale(graph: gs.Graph) -> None:
        drop_relu(graph)
        tanh = named(graph, "Tanh")
        middle = gs.Variable("untyped")
        graph.nodes.insert(0, gs.Node("Neg", "neg", {}, [tanh.inputs[0]], [middle]))  # before its writer
        again = gs.Variable("wrong", np.float32, (17,))
        graph.nodes.append(gs.Node("Neg", "neg2", {}, [middle], [again]))
        tanh.inputs[0] = again

    result = compiled(tmp_path, declared(stale, "exact"))
    assert operators(result)[-3:] == ["Neg", "Neg", "Tanh"]
    assert result.work.graph.tensor("wrong").shape == (4, 8) and result.work.graph.tensor("untyped").dtype == "fp32"


# ---- contracts ---------------------------------------------------------------------------------------------------------


def test_a_surgery_that_breaks_the_model_is_refused_and_named(tmp_path: Path) -> None:
    for contract in ("exact", "reassociates", "bounded=1e-3"):
        found = failure(tmp_path, drop_both, contract)
        line = declared.__code__.co_firstlineno + 1
        assert found.where == f"{Path(__file__)}:{line}" or found.where.endswith(f"{HERE}:{line}")
        spelled = "bounded=0.001" if contract.startswith("bounded") else contract
        assert found.message.startswith(f"pass {HERE}:drop_both (after simplify) breaks its contract '{spelled}': y ")
        words = {"exact": "by up to", "reassociates": "has cosine"}
        assert words.get(contract, "is off by") in found.message
        assert "declare what it really changes" in found.help


@pytest.mark.parametrize(
    ("by", "contract", "kept"),
    [
        (0.0, "exact", True),
        (1e-6, "exact", False),
        (1e-8, "reassociates", True),
        (1e-6, "reassociates", False),
        (1e-6, "bounded=1e-3", True),
        (1e-2, "reassociates", False),
        (1e-2, "bounded=1e-3", False),
        (1e-2, "bounded=5e-2", True),
    ],
)
def test_a_contract_is_kept_or_broken_by_what_is_measured(by: float, contract: str, kept: bool, tmp_path: Path) -> None:
    if not kept:
        assert "y" in failure(tmp_path, nudge(by), contract).message
        return
    result = compiled(tmp_path, declared(nudge(by), contract))
    bounds = [(bound.rule, bound.bound, bound.over) for bound in result.manifest.errors.bounds]
    expected = float(contract.partition("=")[2] or 0)
    assert bounds == ([(f"{HERE}:nudge_bias", expected, "the inputs it was checked on")] if expected else [])


def spoil_one(value: float) -> Edit:
    """The first column of y becomes `value`."""

    def spoil(graph: gs.Graph) -> None:
        bias = named(graph, "Add").inputs[1]
        bias.values = np.array([value, *bias.values[1:]], np.float32)

    return spoil


def test_a_nan_is_within_no_bound(tmp_path: Path) -> None:
    found = failure(tmp_path, spoil_one(float("nan")), "bounded=100")
    assert "elements of y differ in kind (NaN, infinite, text)" in found.message


def test_a_bounded_pass_is_not_taken_for_a_wrong_bundle(tmp_path: Path, capsys: Screen) -> None:
    """Verification, error budget and screen know that the model was approximated, and by whom."""
    result = compiled(tmp_path, declared(nudge(1e-2), "bounded=5e-2"), verify_each=True)
    assert not isinstance(result.verification, str) and result.verification.verified and result.verification.approximated
    assert [one.name for one in result.checked][3] == f"{HERE}:nudge_bias"
    from autoglmc.compiler.report.compiled import print_compiled

    print_compiled(result.as_json())
    shown = " ".join(capsys.readouterr().out.split())
    assert f"{HERE}:nudge_bias (your pass): bounded, off by at most 0.05 (declared, checked on generated inputs)" in shown


def test_a_bounded_pass_over_the_targets_limit_is_named(tmp_path: Path) -> None:
    limit = Limit(kind="error", subject="abs", comparison="<=", value=1e-4, text="1e-4", origin=Origin("test.hw", 1, 1))
    target = make_target([make_cpu()], [], limits=[limit])
    with pytest.raises(Infeasible) as caught:
        compile_model(save(model(), tmp_path), target, output=tmp_path / "bundle", passes=[declared(nudge(1e-2), "bounded=5e-2")])
    assert f"with {HERE}:nudge_bias" in caught.value.message and not (tmp_path / "bundle").exists()


def test_beyond_what_is_sane_the_target_must_say_what_is_allowed(tmp_path: Path) -> None:
    """A bound may be kept and still be more than an output's whole spread: without a limit in the target that is refused."""
    with pytest.raises(VerifyError) as caught:
        compiled(tmp_path, declared(drop_both, "bounded=10"))
    assert caught.value.message.endswith(f"with {HERE}:drop_both") and "error abs <= 1e-2;" in caught.value.help


def test_given_inputs_count_too(tmp_path: Path) -> None:
    """A pass that is right on what we make up and wrong on what the user gives."""

    def halve(graph: gs.Graph) -> None:
        x = graph.inputs[0]
        special, changed = gs.Variable("special", bool, x.shape), gs.Variable("changed", np.float32, x.shape)
        half, quarter = gs.Constant("half", np.array(0.3, np.float32)), gs.Constant("quarter", np.array(0.25, np.float32))
        readers = list(x.outputs)
        graph.nodes.insert(0, gs.Node("Equal", "equal", {}, [x, half], [special]))
        graph.nodes.insert(1, gs.Node("Where", "where", {}, [special, quarter, x], [changed]))
        for reader in readers:
            reader.inputs[0] = changed

    compiled(tmp_path, declared(halve, "exact"))
    (tmp_path / "bundle").rename(tmp_path / "first")
    x = np.zeros((4, 8), np.float32)
    x[0, 0] = 0.3
    failure(tmp_path, halve, "exact", inputs={"x": x})


def test_what_cannot_be_compared_is_no_pass(tmp_path: Path) -> None:
    """A model that takes none of the inputs made up for it: nothing is claimed."""
    made = parse(
        """g (int64[1] k, float[4] x) => (float[4] y) <int64[1] big = {100000}>
        { i = Sub(k, big) g0 = Gather(x, i) y = Add(x, g0) }""",
    )
    with pytest.raises(UserError) as caught:
        compile_model(
            save(made, tmp_path),
            X86,
            output=tmp_path / "b",
            passes=[declared(lambda graph: graph.nodes[0].attrs.clear() or rename(graph), "exact")],
        )
    assert "the contract of a pass cannot be checked" in caught.value.message and "--inputs" in caught.value.help


def rename(graph: gs.Graph) -> None:
    graph.nodes[0].name = "another"


@pytest.mark.parametrize("contract", [None, "exactly", "bounded", "bounded=", "bounded=-1", "bounded=nan", "exact=1", 1e-3])
def test_a_missing_or_odd_contract(contract: object) -> None:
    with pytest.raises(UsageError) as caught:
        UserPass(declared(drop_relu, contract))
    assert "drop_relu" in caught.value.message and HERE in caught.value.where
    assert 'drop_relu.contract = "exact" (the same bits), or "reassociates"' in caught.value.help


# ---- --verify-each -----------------------------------------------------------------------------------------------------


def test_verify_each_bisects_a_pass_as_one_of_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the contract's own comparison would have missed it."""
    monkeypatch.setattr(apply_pass, "broken_contract", lambda *_: "")
    with pytest.raises(PassError) as caught:
        compiled(tmp_path, declared(drop_both, "exact"), verify_each=True)
    found = caught.value
    assert (found.pass_name, found.rule, found.site) == (f"{HERE}:drop_both", f"{HERE}:drop_both", "n_m")
    assert "application 1 of 1: y has cosine" in found.message and "the pass is yours" in found.help
    assert (Path(found.repro) / "before.onnx").is_file() and "please report" not in found.help


def test_verify_each_sees_a_changed_weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply_pass, "broken_contract", lambda *_: "")
    with pytest.raises(PassError) as caught:
        compiled(tmp_path, declared(nudge(0.5), "exact"), verify_each=True)
    assert caught.value.pass_name == f"{HERE}:nudge_bias"


def test_without_either_the_bundle_is_still_held_against_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply_pass, "broken_contract", lambda *_: "")
    with pytest.raises(VerifyError):
        compiled(tmp_path, declared(drop_both, "exact"))


# ---- what a function may do wrong --------------------------------------------------------------------------------------


def raises(graph: gs.Graph) -> None:
    nodes = [node for node in graph.nodes if node.op == "Conv"]
    nodes[0].op = "x"  # the line that is at fault


def calls_gs_wrongly(graph: gs.Graph) -> None:
    graph.no_such_function()


def exits(graph: gs.Graph) -> None:
    raise SystemExit(3)


def returns_a_list(graph: gs.Graph) -> list[gs.Node]:
    return list(graph.nodes)


def makes_a_cycle(graph: gs.Graph) -> None:
    graph.nodes[0].inputs[0] = graph.nodes[1].outputs[0]


def reads_nothing(graph: gs.Graph) -> None:
    graph.nodes[0].inputs[0] = gs.Variable("nowhere", np.float32, (4, 8))


def writes_twice(graph: gs.Graph) -> None:
    graph.nodes[1].outputs = [graph.nodes[0].outputs[0]]


def unknown_operator(graph: gs.Graph) -> None:
    graph.nodes[0].op = "MatMulle"


def wrong_attribute(graph: gs.Graph) -> None:
    graph.nodes[0].attrs["axis"] = 1


def wrong_shape(graph: gs.Graph) -> None:
    graph.nodes[0].inputs[1].values = np.zeros((9, 8), np.float32)


def a_number_for_a_tensor(graph: gs.Graph) -> None:
    list.append(graph.nodes[0].inputs, 7)


def renames_the_output(graph: gs.Graph) -> None:
    graph.outputs[0].name = "z"


def drops_the_output(graph: gs.Graph) -> None:
    graph.outputs.clear()


def adds_an_output(graph: gs.Graph) -> None:
    graph.outputs.append(graph.nodes[0].outputs[0])


def drops_the_input(graph: gs.Graph) -> None:
    graph.nodes[0].inputs[0] = gs.Constant("zeros", np.zeros((4, 8), np.float32))
    graph.inputs.clear()


def retypes_the_output(graph: gs.Graph) -> None:
    y = graph.outputs[0]
    wide = gs.Variable("y", np.float64, (4, 8))
    y.name = "narrow"
    graph.nodes.append(gs.Node("Cast", "wide", {"to": np.float64}, [y], [wide]))
    graph.outputs = [wide]


def reshapes_the_input(graph: gs.Graph) -> None:
    graph.inputs[0].shape = (2, 8)


def a_sequence(graph: gs.Graph) -> None:
    graph.nodes[0].outputs[0].type = "sequence_type"


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (raises, "failed: IndexError: list index out of range"),
        (calls_gs_wrongly, "failed: AttributeError: 'SurgeonGraph' object has no attribute 'no_such_function'"),
        (exits, "exits"),
        (returns_a_list, "returned list, neither None nor a gs.Graph"),
        (makes_a_cycle, "left an invalid model: the graph has a cycle: MatMul 'n_m' -> Relu 'n_r' -> MatMul 'n_m'"),
        (reads_nothing, "left an invalid model: MatMul 'n_m' reads tensor 'nowhere', which nothing produces"),
        (writes_twice, "left an invalid model: tensor 'm' is written twice: by MatMul 'n_m' and by Relu 'n_r'"),
        (unknown_operator, "left an invalid model: onnx.checker: No Op registered for MatMulle"),
        (wrong_attribute, "left an invalid model: onnx.checker: Unrecognized attribute: axis for operator MatMul"),
        (wrong_shape, "left an invalid model: onnx.checker:"),
        (a_number_for_a_tensor, "left a graph that cannot be written:"),
        (renames_the_output, "changed the outputs of the model: 'y' is gone, 'z' is new"),
        (drops_the_output, "changed the outputs of the model: 'y' is gone"),
        (adds_an_output, "changed the outputs of the model: 'm' is new"),
        (drops_the_input, "changed the inputs of the model: 'x' is gone"),
        (retypes_the_output, "changed the type of output 'y': it was float[4, 8], it is now double[4, 8]"),
        (reshapes_the_input, "changed the type of input 'x': it was float[4, 8], it is now float[2, 8]"),
        (a_sequence, "left an invalid model: 'm' has type sequence; a gs.Graph holds tensors only"),
    ],
)
def test_a_function_that_goes_wrong(function: Edit, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(function, "contract", "exact", raising=False)
    path = save(model(), tmp_path)
    with pytest.raises(UserPassError) as caught:
        compile_model(path, X86, output=tmp_path / "bundle", passes=[function])
    found = caught.value
    assert found.message.startswith(f"pass {HERE}:{function.__name__} (after simplify) {message}")
    first = function.__code__.co_firstlineno
    line = int(found.where.rpartition(":")[2])
    assert HERE in found.where and first <= line <= first + 3 and (line == first + 2) == (function is raises)
    assert not (tmp_path / "bundle").exists()


def test_a_model_that_a_gs_graph_cannot_carry_names_the_tensor(tmp_path: Path) -> None:
    made = parse("g (float[4] x, float[4] z) => (float[4] y) <int64 zero = {0}> { s = SequenceConstruct(x, z) y = SequenceAt(s, zero) }")
    with pytest.raises(UserPassError) as caught:
        compile_model(save(made, tmp_path), X86, output=tmp_path / "b", passes=[UserPass(declared(rename, "exact"), "load")])
    assert "cannot run: 's' has type sequence; a gs.Graph holds tensors only" in caught.value.message


# ---- the command line --------------------------------------------------------------------------------------------------

FILE = """
import numpy as np


def halve(graph):
    for node in graph.nodes:
        if node.op == "Add":
            node.inputs[1].values = node.inputs[1].values + np.float32(0.01)


halve.contract = "bounded=0.05"


def wrong(graph):
    graph.outputs[0].name = "other"


wrong.contract = "exact"


def bare(graph):
    pass


number = 3
"""


def command(tmp_path: Path, *words: str, text: str = FILE) -> int:
    (tmp_path / "surgery.py").write_text(text)
    path = save(model(), tmp_path)
    return cli.run([str(path), "--target", "x86_cpu", "-o", str(tmp_path / "bundle"), *words])


def test_the_command_line_runs_passes_of_a_file(tmp_path: Path, capsys: Screen) -> None:
    file = tmp_path / "surgery.py"
    assert command(tmp_path, "--pass", f"{file}:halve", "--pass", f"{file}:halve@recover", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [(row["rule"], row["sites"], row["bound"]) for row in told["rewrites"] if row["own"]] == [("surgery.py:halve", 2, 0.05)]
    decisions = json.loads((tmp_path / "bundle" / "manifest.json").read_text())["decisions"]
    assert [d["reason"].partition(":")[0] for d in decisions if d["rule"] == "surgery.py:halve"] == [
        "your pass, after recover", "your pass, after simplify"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("word", "text", "code", "told"),
    [
        ("surgery.py:wrong", FILE, 1, "pass surgery.py:wrong (after simplify) changed the outputs of the model"),
        ("surgery.py:bare", FILE, 2, "the pass bare declares no contract"),
        ("surgery.py:haleve", FILE, 2, "there is no function 'haleve' in {}\n  help: did you mean 'halve'?"),
        ("surgery.py:number", FILE, 2, "'number' in {} is not a function (int)"),
        ("surgery.py", FILE, 2, "this names no function of a file"),
        ("surgery.py:", FILE, 2, "this names no function of a file"),
        ("surgery.py:halve@", FILE, 2, "there is no point behind the @\n  help: the points: load, recover, simplify"),
        (
            "surgery.py:halve@simplfy",
            FILE,
            2,
            "there is no point 'simplfy' in the pipeline\n  help: did you mean 'simplify'?",
        ),
        ("surgery.py:halve@cut-segments", FILE, 2, "a pass of yours cannot run at 'cut-segments'"),
        ("no.py:halve", FILE, 2, "no such file: "),
        ("surgery.py:halve", "def halve(graph):\n  return 1 +\n", 1, "surgery.py cannot be imported: SyntaxError: invalid syntax"),
        ("surgery.py:halve", "x = 1\n1 / 0\n", 1, "cannot be imported: ZeroDivisionError: division by zero\n  at: {}:2"),
        ("surgery.py:halve", "import nowhere_to_be_found\n", 1, "cannot be imported: ModuleNotFoundError: No module named"),
        ("surgery.py:halve", "raise SystemExit\n", 1, "cannot be imported: it exits when it is imported"),
    ],
)
def test_what_the_command_line_says(word: str, text: str, code: int, told: str, tmp_path: Path, capsys: Screen) -> None:
    assert command(tmp_path, "--pass", str(tmp_path / word), text=text) == code
    shown = capsys.readouterr().err
    assert told.format(tmp_path / "surgery.py") in shown and "report" not in shown and "Traceback" not in shown


def test_modules_beside_the_file_can_be_imported(tmp_path: Path) -> None:
    (tmp_path / "amount_of_nudge.py").write_text("BY = 0.01\n")
    assert command(tmp_path, "--pass", f"{tmp_path / 'surgery.py'}:halve", text=f"from amount_of_nudge import BY\n{FILE}") == 0


def test_the_public_names() -> None:
    assert autoglmc.UserPass is UserPass and autoglmc.UserPassError is UserPassError


def test_the_example_runs() -> None:
    example = Path(__file__).parents[3] / "examples" / "user_pass.py"
    assert len(example.read_text().splitlines()) <= 40
    done = subprocess.run([sys.executable, str(example)], capture_output=True, text=True, check=True)
    assert done.stdout == "your pass, after simplify: 1 Relu taken out; contract exact, checked on generated inputs\n"


def test_the_example_on_the_command_line(tmp_path: Path, capsys: Screen) -> None:
    example = Path(__file__).parents[3] / "examples" / "user_pass.py"
    assert command(tmp_path, "--pass", f"{example}:drop_relus") == 0
    assert "user_pass.py:drop_relus (your pass): exact (declared, checked on generated inputs)" in capsys.readouterr().out


def test_a_graph_is_compiled_as_its_model_is(tmp_path: Path) -> None:
    """`autoglmc.compile(graph)`: the same bundle as of the model, verified against it; what gs.Graph cannot hold is refused by name."""
    target, model_ = X86, model()
    of_model = autoglmc.compile(model_, target, output=tmp_path / "of_model")
    graph = surgeon_graph(model())
    of_graph = autoglmc.compile(graph, target, output=tmp_path / "of_graph")
    assert of_graph.manifest == of_model.manifest
    assert of_graph.verify(graph).passed and of_graph.verify(model_).passed
    graph.outputs[0].type = "sequence_type"
    with pytest.raises(ModelError, match="'y' has type sequence"):
        autoglmc.compile(graph, target, output=tmp_path / "bad")
    with pytest.raises(UsageError, match=r"a model is a path, an onnx\.ModelProto or an onnx_graphsurgeon\.Graph, not int"):
        autoglmc.compile(3, target, output=tmp_path / "bad")  # type: ignore[arg-type]


def test_rewritten_edited_and_compiled(tmp_path: Path) -> None:
    """The way of somebody who edits models: the recovered graph, an edit, a bundle."""
    graph = autoglmc.rewrite(model())
    drop_relu(graph)
    bundle = autoglmc.compile(graph, X86, output=tmp_path / "bundle")
    x = np.ones((4, 8), np.float32)
    np.testing.assert_allclose(bundle.run({"x": x})["y"], run(model(), {"x": x})[0], atol=1e-5)
