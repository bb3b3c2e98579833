"""Approximations are tightened while the measured error breaks the target's limits: step by step, told, and to an end."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from make_target import HERE, make_cpu, make_device, make_link, make_target
from onnx import numpy_helper
from small_models import parse, save

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.error_budget import RULE
from autoglmc.compiler.driver.result import CompileResult
from autoglmc.compiler.errors import Infeasible
from autoglmc.passes.library import FAMILIES
from autoglmc.targets.model import Limit, Target

BASIC = ["MatMul", "Mul", "Add", "Sub", "Relu", "Tanh", "Sigmoid"]


def model() -> onnx.ModelProto:
    """Two GELUs whose errors reach the output unshrunk: 0.05 with the loosest forms."""
    made = parse("g (float[64,32] x) => (float[64,32] y) { a = Gelu(x) b = MatMul(a, w) c = Gelu(b) y = Add(c, a) }", opset=20, ir=10)
    weight = np.random.default_rng(0).standard_normal((32, 32)).astype(np.float32) / 6
    made.graph.initializer.append(numpy_helper.from_array(weight, "w"))
    return onnx.shape_inference.infer_shapes(made)


def limit(value: float, kind: str = "error", subject: str = "abs", comparison: str = "<=") -> Limit:
    return Limit(kind=kind, subject=subject, comparison=comparison, value=value, text=f"{value:g}", origin=HERE)


def machine(limits: Sequence[Limit], family: str = "gelu", host: Sequence[str] | None = None) -> Target:
    """An NPU without Gelu and Erf beside a CPU that is not worth going to (and with `host` has only those operators)."""
    npu = make_device("npu", BASIC, adapter="ort", dispatch=1e-9, launch=1e-9, rewrites=[("Gelu", family, 2e-2)])
    if host is None:
        cpu = make_cpu(peak=1e3, dispatch=1.0)
    else:
        cpu = make_device("cpu", host, adapter="ort", peak=1e3, static_shapes=False)
    return make_target([npu, cpu], [make_link("npu", "cpu", handoff=1e-2)], limits=limits)


def compiled(tmp_path: Path, target: Target, **options: bool) -> CompileResult:
    return compile_model(save(model(), tmp_path), target, output=tmp_path / "b", **options)


def used(result: CompileResult) -> set[str]:
    return {site.implementation.rule for site in result.work.sites}


def steps(result: CompileResult) -> list[str]:
    return [record.site for record in result.manifest.decisions if record.rule == RULE]


def test_without_a_limit_the_cheapest_is_taken(tmp_path: Path) -> None:
    result = compiled(tmp_path, machine([]))
    assert used(result) == {"sigmoid_t1"} and steps(result) == []


@pytest.mark.parametrize(
    ("allowed", "rule", "given_up"),
    [
        (6e-2, "sigmoid_t1", []),
        (2e-3, "sigmoid", ["sigmoid_t1"]),
        (2e-4, "sigmoid_t3", ["sigmoid_t1", "sigmoid"]),
        (2e-5, "sigmoid_t5", ["sigmoid_t1", "sigmoid", "sigmoid_t3"]),
    ],
)
def test_the_next_tighter_form_takes_over_until_the_limit_holds(allowed: float, rule: str, given_up: list[str], tmp_path: Path) -> None:
    result = compiled(tmp_path, machine([limit(allowed)], "sigmoid"))
    assert used(result) == {rule} and steps(result) == given_up
    (record,) = [record for record in result.manifest.limits if record.kind == "error"]
    assert record.basis == "measured" and record.value is not None and 0 < record.value <= allowed
    proved, measured = result.manifest.errors.bounds, result.manifest.errors.measured
    assert {bound.rule for bound in proved} == {rule} and len(proved) == 2 and {m.output for m in measured} == {"y"}
    for decision in (record for record in result.manifest.decisions if record.rule == RULE):
        assert not decision.taken and decision.reason.startswith("error abs: measured ") and decision.reason in result.notes
    text = (tmp_path / "b" / "manifest.json").read_text()
    assert text.count(f'"{RULE}"') == len(given_up)


def test_accuracy_is_a_limit_too_and_verification_of_every_pass_goes_with_it(tmp_path: Path) -> None:
    result = compiled(tmp_path, machine([limit(0.9999999, "accuracy", "cosine", ">=")], "tanh"), verify_each=True)
    assert steps(result)[0] == "tanh_t1" and used(result) < {"tanh", "tanh_t3", "tanh_t5"}
    assert next(r for r in result.manifest.limits if r.kind == "accuracy").value >= 0.9999999  # type: ignore[operator]


def test_where_no_form_is_tight_enough_another_device_computes_exactly(tmp_path: Path) -> None:
    result = compiled(tmp_path, machine([limit(2e-6)], "relu"))
    assert used(result) == set() and steps(result) == ["relu_4", "relu_6", "relu_9", "relu_16"]
    assert {node for cut in result.work.segments if cut.part.device == "cpu" for node in (n.op_type for n in cut.model.graph.node)} == {
        "Gelu"
    }


def test_with_nothing_exact_the_limit_is_infeasible_and_names_what_was_measured(tmp_path: Path) -> None:
    with pytest.raises(Infeasible) as caught:
        compiled(tmp_path, machine([limit(1e-5)], "relu", BASIC))
    found = caught.value
    assert found.resource == "error abs" and found.limit == 1e-5 and 1e-4 < found.demand < 5e-3
    assert "with relu_16" in found.message and "without relu_16: no device of the target runs Gelu" in found.message
    assert not (tmp_path / "b").exists()
    (advised,) = re.findall(r"`error abs <= ([^`]*)`", found.help)
    enough = float(advised)
    assert found.demand <= enough <= 1.02 * found.demand
    assert used(compiled(tmp_path, machine([limit(enough)], "relu", BASIC))) == {"relu_16"}


def test_an_exact_bundle_beyond_the_limit_is_infeasible(tmp_path: Path) -> None:
    """Recovering GELU from its formula rounds differently, and nothing is left to give up."""
    formula = "d = Div(x, root) e = Erf(d) f = Add(e, one) g = Mul(x, f) y = Mul(g, half)"
    numbers = "<float root = {1.4142135}, float one = {1}, float half = {0.5}>"
    path = save(parse(f"g (float[64,64] x) => (float[64,64] y) {numbers} {{ {formula} }}", opset=20, ir=10), tmp_path)
    with pytest.raises(Infeasible, match="with no approximation left") as caught:
        compile_model(path, make_target([make_cpu()], [], limits=[limit(1e-12)]), output=tmp_path / "b")
    assert 1e-9 < caught.value.demand < 1e-5


def test_what_is_not_measured_is_not_tightened(tmp_path: Path) -> None:
    result = compiled(tmp_path, machine([limit(1e-5)]), verify=False)
    assert used(result) == {"sigmoid_t1"} and steps(result) == []
    assert next(r for r in result.manifest.limits if r.kind == "error").value is None


def test_every_family_ends(tmp_path: Path) -> None:
    """Giving up a form gives up all that are no tighter, so there are at most as many steps as forms."""
    result = compiled(tmp_path, machine([limit(2e-6)], "gelu"))
    taken = steps(result)
    bounds = [next(rule.contract.absolute for rule in FAMILIES["gelu"] if rule.name == name) for name in taken]
    assert bounds == sorted(bounds, reverse=True) and len(set(bounds)) == len(bounds)
