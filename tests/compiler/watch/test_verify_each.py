"""Rules broken on purpose: the pass, the rule and the site are found, and the saved repro shows the fault by itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from make_target import make_cpu, make_device, make_link, make_target
from onnx import numpy_helper
from small_models import parse, save

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.errors import PassError, UsageError, UserError
from autoglmc.compiler.pipeline import table as pipeline
from autoglmc.compiler.watch.repro import AFTER, BEFORE, INPUTS, SCRIPT
from autoglmc.passes import library, stages
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.library import FAMILIES, RECOVER, SIMPLIFY, SUBSTITUTE, TUNE, named
from autoglmc.passes.rule.build import Builder
from autoglmc.passes.rule.rewrite import Bindings, Contract, Rewrite
from autoglmc.targets.model import Target

BLOCKS = 6
ALL = ["MatMul", "Erf", "Mul", "Add", "Div", "Relu", "Tanh", "Gelu", "Identity", "ReduceMean", "Sub", "Pow", "Sqrt", "LayerNormalization"]


def block(k: int) -> str:
    """LayerNorm, a matrix product and GELU as exporters spell it, an Identity, and what came in added."""
    return f"""
        n{k} = LayerNormalization<axis = -1>(t{k}, scale)
        m{k} = MatMul(n{k}, w{k})
        d{k} = Div(m{k}, root) e{k} = Erf(d{k}) f{k} = Add(e{k}, one) g{k} = Mul(m{k}, f{k}) h{k} = Mul(g{k}, half)
        i{k} = Identity(h{k})
        t{k + 1} = Add(i{k}, t{k})
    """


def model() -> onnx.ModelProto:
    text = "".join(block(k) for k in range(BLOCKS))
    numbers = "<float root = {1.4142135}, float one = {1}, float half = {0.5}>"
    made = parse(f"g (float[4,16] t0) => (float[4,16] y) {numbers} {{ {text} y = Tanh(t{BLOCKS}) }}", opset=20, ir=10)
    rng = np.random.default_rng(0)
    for k in range(BLOCKS):
        made.graph.initializer.append(numpy_helper.from_array(rng.standard_normal((16, 16)).astype(np.float32) / 4, f"w{k}"))
    made.graph.initializer.append(numpy_helper.from_array(rng.uniform(0.5, 1.5, 16).astype(np.float32), "scale"))
    for k, node in enumerate(made.graph.node):
        node.name = f"node{k}_{node.op_type}"
    return onnx.shape_inference.infer_shapes(made)


def machine(rewrites: Sequence[tuple[str, str, float | None]] = (), without: Sequence[str] = ()) -> Target:
    """An NPU that is faster than the CPU by far, with everything but `without`."""
    npu = make_device("npu", [op for op in ALL if op not in without], adapter="ort", dispatch=1e-9, launch=1e-12, rewrites=rewrites)
    return make_target([npu, make_cpu(peak=1e3, dispatch=1e-3)], [make_link("npu", "cpu", handoff=1e-9)])


def spoiled(rule: Rewrite, spoil: Callable[[Builder, str], str], only: str = "") -> Rewrite:
    """The rule with another operator on its result, at the root that writes the tensor `only` (everywhere without)."""

    def build(b: Builder, found: Bindings) -> str:
        right = rule.build(b, found)
        assert isinstance(right, str)
        return right if only not in ("", found.root.outputs[0]) else spoil(b, right)

    return replace(rule, build=build)


def swap(rules: Sequence[Rewrite], broken: Rewrite) -> tuple[Rewrite, ...]:
    return tuple(broken if rule.name == broken.name else rule for rule in rules)


def failure(tmp_path: Path, target: Target, source: Path | None = None) -> PassError:
    path = source or save(model(), tmp_path)
    with pytest.raises(PassError) as caught:
        compile_model(path, target, output=tmp_path / "bundle", verify_each=True)
    assert not (tmp_path / "bundle").exists()
    return caught.value


def check_repro(found: PassError, tmp_path: Path, target: Target, most: int) -> None:
    """It is a small model, its script sees the difference, and the compiler fails on it at the same rule."""
    folder = Path(found.repro)
    assert folder == tmp_path / "bundle.repro" and str(folder) in str(found)
    before = onnx.load(folder / BEFORE)
    onnx.checker.check_model(before, full_check=True)
    assert len(before.graph.node) <= most
    done = subprocess.run([sys.executable, str(folder / SCRIPT)], capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    with pytest.raises(PassError) as again, np.load(folder / INPUTS) as arrays:
        compile_model(folder / BEFORE, target, output=tmp_path / "again", verify_each=True, inputs=dict(arrays))
    assert (again.value.rule, again.value.pass_name) == (found.rule, found.pass_name)


def scaled(by: float) -> Callable[[Builder, str], str]:
    return lambda b, x: b.mul(x, by)


@pytest.mark.parametrize("site", ["", "h0", "h3", "h5"])
def test_a_wrong_constant_in_recovery(site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "RECOVER", swap(RECOVER, spoiled(named("recover_gelu"), scaled(1.02), site)))
    found = failure(tmp_path, machine())
    assert (found.pass_name, found.rule, found.exit_code) == ("recover", "recover_gelu", 3)
    assert found.tensor == (site or "h5"), "without a site every one is wrong, and recovery goes from the outputs back"
    assert found.site == f"node{int(found.tensor[1:]) * 9 + 6}_Mul"
    if site == "":
        check_repro(found, tmp_path, machine(), 6)
    assert f"of {BLOCKS}: " in found.message and "off by" in found.message


def test_the_repro_is_the_formula_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "RECOVER", swap(RECOVER, spoiled(named("recover_gelu"), scaled(1.02), "h2")))
    folder = Path(failure(tmp_path, machine()).repro)
    before, after = onnx.load(folder / BEFORE), onnx.load(folder / AFTER)
    assert [node.op_type for node in before.graph.node] == ["Div", "Erf", "Add", "Mul", "Mul"]
    assert [node.op_type for node in after.graph.node] == ["Gelu", "Mul"]
    assert [value.name for value in before.graph.input] == ["m2"] and [value.name for value in before.graph.output] == ["h2"]
    readme = (folder / "README.md").read_text()
    assert "recover_gelu" in readme and "--verify-each --inputs" in readme and "node24_Mul" in readme


def test_a_node_that_computes_something_is_taken_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without new nodes: the users are redirected, the site is where they stand."""
    rule = Rewrite(
        name="remove_norm",
        summary="LayerNormalization(x) -> x",
        operators=("LayerNormalization",),
        emits=(),
        contract=Contract("exact"),
        match=lambda graph, node: Bindings(node, {"x": node.inputs[0]}) if node.outputs[0] == "n3" else None,
        build=lambda b, found: found["x"],
    )
    monkeypatch.setattr(stages, "SIMPLIFY", (*SIMPLIFY, rule))
    found = failure(tmp_path, machine())
    assert (found.pass_name, found.rule, found.tensor) == ("simplify", "remove_norm", "n3")
    done = subprocess.run([sys.executable, str(Path(found.repro) / SCRIPT)], capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr


def test_a_wrong_axis_in_a_decomposition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(b: Builder, found: Bindings) -> str:
        x, scale = found.root.inputs[0], found.root.inputs[1]
        mean = b.with_axes("ReduceMean", x, (-1 if found.root.outputs[0] != "n4" else 0,), keepdims=1)
        centred = b.sub(x, mean)
        spread = b.with_axes("ReduceMean", b.mul(centred, centred), (-1,), keepdims=1)
        return b.mul(b.op("Div", centred, b.op("Sqrt", b.add(spread, 1e-5))), scale)

    old = next(rule for rule in SUBSTITUTE if "LayerNormalization" in rule.operators and rule.contract.kind != "bounded")
    broken = replace(old, build=wrong, emits=("ReduceMean", "Sub", "Mul", "Div", "Sqrt", "Add"), unless=lambda graph, found: None)
    monkeypatch.setattr(library, "SUBSTITUTE", (broken, *(rule for rule in SUBSTITUTE if rule.name != old.name)))
    target = machine(without=["LayerNormalization"])
    found = failure(tmp_path, target)
    assert (found.pass_name, found.rule, found.tensor) == ("realise-placement", old.name, "n4")
    assert "application 5 of 6" in found.message
    check = subprocess.run([sys.executable, str(Path(found.repro) / SCRIPT)], capture_output=True, text=True)
    assert check.returncode == 1, check.stdout + check.stderr


@pytest.mark.parametrize("site", ["", "h1"])
def test_an_approximation_beyond_its_bound(site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Right for every value in this model, wrong from 8 on: only looking at the site alone can tell."""
    broken = spoiled(named("tanh"), lambda b, x: b.add(x, b.mul(b.op("Relu", b.add(x, -8.0)), 0.01)), site)
    monkeypatch.setattr(library, "SUBSTITUTE", swap(SUBSTITUTE, broken))
    monkeypatch.setitem(FAMILIES, "tanh", (broken,))
    target = machine([("Gelu", "tanh", 5e-4)], ["Gelu", "Erf"])
    found = failure(tmp_path, target)
    assert (found.pass_name, found.rule) == ("realise-placement", "tanh")
    assert found.tensor == (site or "h0")
    assert "its proved bound is 0.000271" in found.message and "for x from -12 to 12" in found.message


def test_right_approximations_pass_and_later_passes_are_compared_with_them(tmp_path: Path) -> None:
    target = machine([("Gelu", "tanh", 5e-4)], ["Gelu", "Erf"])
    result = compile_model(save(model(), tmp_path), target, output=tmp_path / "b", verify_each=True)
    assert {site.implementation.rule for site in result.work.sites} == {"tanh"}
    by_name = {checked.name: checked for checked in result.checked}
    assert list(by_name) == ["load", *(row.name for row in pipeline.PIPELINE)]
    assert by_name["recover"].changed and by_name["recover"].max_abs_over_std < 1e-5
    assert by_name["realise-placement"].changed and 1e-5 < by_name["realise-placement"].max_abs_over_std < 0.1
    assert not by_name["place-operators"].changed
    assert result.as_json()["passes"][1]["name"] == "recover" and result.seconds["verify-each"] > 0


def test_a_wrong_type_is_seen_by_the_checker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def transposed(b: Builder, x: str) -> str:
        return b.op("Transpose", x)

    monkeypatch.setattr(stages, "RECOVER", swap(RECOVER, spoiled(named("recover_gelu"), transposed, "h1")))
    found = failure(tmp_path, machine())
    assert (found.rule, found.tensor) == ("recover_gelu", "h1") and "onnx.checker" in found.message


def test_a_broken_rule_for_one_runtime_is_found_in_its_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tuning = Rewrite(
        name="tune_tanh",
        summary="Tanh(x) -> Tanh(x)·0.9",
        operators=("Tanh",),
        emits=("Tanh", "Mul"),
        contract=Contract("exact"),
        match=lambda graph, node: Bindings(node, {"x": node.inputs[0]}) if node.outputs[0] == "y" else None,
        build=lambda b, found: b.mul(b.op("Tanh", found["x"]), 0.9),
    )
    monkeypatch.setitem(TUNE, "ort", (*TUNE["ort"], tuning))  # type: ignore[index]
    found = failure(tmp_path, machine())
    assert (found.pass_name, found.rule, found.tensor) == ("tune-segments", "tune_tanh", "y")


def test_a_pass_that_is_wrong_without_any_rule_is_named_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(graph: Graph) -> tuple[()]:
        for node in graph.nodes:
            if node.kind == "Tanh":
                node.operator = "Sigmoid"
        return ()

    monkeypatch.setattr(stages, "name_outputs", lose)
    found = failure(tmp_path, machine())
    assert (found.pass_name, found.rule, found.repro) == ("simplify", "", "")
    assert not (tmp_path / "bundle.repro").exists()


def test_disabled_rules_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "RECOVER", swap(RECOVER, spoiled(named("recover_gelu"), scaled(1.02))))
    result = compile_model(save(model(), tmp_path), machine(), output=tmp_path / "b", verify_each=True, disable=["recover_gelu"])
    assert "Gelu" not in result.work.recovered and result.work.recovered["Erf"] == BLOCKS
    with pytest.raises(UsageError, match="there is no rule 'recover_gulu'\n  help: did you mean 'recover_gelu'"):
        compile_model(tmp_path / "model.onnx", machine(), output=tmp_path / "b", disable=["recover_gulu"])


def test_given_inputs_are_checked_and_compared(tmp_path: Path) -> None:
    path = save(model(), tmp_path)
    given = {"t0": np.full((4, 16), 0.25, np.float32)}
    result = compile_model(path, machine(), output=tmp_path / "b", verify_each=True, inputs=given)
    assert result.manifest.errors.measured[0].inputs.startswith("given, seed 0")
    for wrong, words in (
        ({"t": given["t0"]}, "the model has no input 't'"),
        ({}, "no array for the model's input 't0'"),
        ({"t0": given["t0"].astype(np.float64)}, "is float64, the model takes float32"),
        ({"t0": given["t0"][:2]}, "has shape"),
    ):
        with pytest.raises(UsageError, match=words):
            compile_model(path, machine(), output=tmp_path / "c", inputs=wrong)


def test_random_outputs_are_left_out(tmp_path: Path) -> None:
    text = "g (float[2,8] x) => (float[2,8] y, float[2,8] z) { y = Relu(x) r = RandomNormalLike(x) z = Add(r, x) }"
    result = compile_model(
        save(parse(text, opset=20, ir=10), tmp_path), make_target([make_cpu()], []), output=tmp_path / "b", verify_each=True
    )
    assert {checked.max_abs for checked in result.checked} == {0.0}


def test_a_model_that_takes_no_made_up_input_wants_one(tmp_path: Path) -> None:
    text = """g (int64[1] n, float[4] x) => (float[a,b] y) <int64[1] big = {1000}>
      { m = Mul(n, n) k = Add(m, big) s = Concat<axis = 0>(k, n) y = Reshape(x, s) }"""
    path = save(parse(text, opset=20, ir=10), tmp_path)
    with pytest.raises(UserError, match="takes none of the inputs generated for it"):
        compile_model(path, make_target([make_cpu()], []), output=tmp_path / "b", verify_each=True)
