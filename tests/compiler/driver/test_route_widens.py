"""A second fault of one operator: what wrote it is given up, or it is kept off as a whole, instead of shape by shape."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from make_target import HERE, make_cpu, make_device, make_link, make_target
from small_models import parse, save
from stub_adapter import use_stub

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.result import CompileResult
from autoglmc.compiler.driver.route_around import Reroute, Routes, routed
from autoglmc.compiler.errors import BundleError, TargetError
from autoglmc.compiler.probe.culprits import Culprit
from autoglmc.compiler.verify.report import VerifyReport
from autoglmc.targets.formula import Binary, Call, Listing, Name, Number, render
from autoglmc.targets.model import OperatorRule, Target

HARDSWISH = """g (float[64,64] x) => (float[512,64] y) {
  a = HardSwish(x) b = Concat <axis = 0> (a, a) c = HardSwish(b) d = Concat <axis = 0> (c, c) e = HardSwish(d)
  f = Concat <axis = 0> (e, e) y = HardSwish(f)
}"""


def board(words: tuple[str, ...], *operators: str) -> Target:
    npu = replace(make_device("npu", operators, adapter="stub", peak=1e13, dispatch=1e-9))
    npu = replace(npu, runtime=replace(npu.runtime, words=words))
    return make_target([npu, make_cpu(peak=1e7)], [make_link("npu", "cpu", handoff=1e-9)])


def compiled(text: str, target: Target, folder: Path, said: list[str]) -> CompileResult:
    result = compile_model(save(parse(text), folder), target, output=folder / "bundle", progress=said.append)
    assert isinstance(result.verification, VerifyReport) and result.verification.verified
    return result


def test_the_rule_that_wrote_the_operator_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_stub(monkeypatch, tmp_path)
    said: list[str] = []
    result = compiled(HARDSWISH, board(("pair", "HardSigmoid", "Mul"), "HardSigmoid", "Mul", "Concat"), tmp_path, said)
    steps = [d for d in result.manifest.decisions if d.rule == "route_around"]
    assert len(steps) == 2
    assert "Mul is kept off npu" in steps[0].reason
    assert steps[1].reason.startswith("the rule hardswish_hardsigmoid is given up: it wrote the Mul of which npu is at fault again")
    rounds = [line for line in said if line.startswith("round ")]
    assert [line.partition(":")[0] for line in rounds] == ["round 1", "round 2"]
    assert result.notes[0].startswith("npu") and result.notes[0].endswith("after 2 wrong or refused results")
    assert "find culprits" in result.seconds
    assert "route_around" not in {row["rule"] for row in result.as_json()["rewrites"]}  # a step is no rewrite


def fault(operator: str, size: int, on: dict[str, int]) -> Reroute:
    where = Binary("==", Call("shape", (Name("X"),)), Listing((Number(size, str(size)),)))
    deny = OperatorRule(domain="", operator=operator, where=where, origin=HERE)
    culprit = Culprit(node=f"n{size}", operator=operator, reason="it is refused: no", deny=deny)
    return Reroute("npu", [culprit], BundleError("the runtime refuses"), Counter(on), {})


def routed_over(outcomes: list[Exception | None]) -> list[tuple[tuple[str, ...], Routes]]:
    """What each round was asked: the lines denied on the npu, and the routes."""
    asked: list[tuple[tuple[str, ...], Routes]] = []

    def attempt(target: Target, routes: Routes) -> None:
        lines = tuple(f"{rule.operator} {render(rule.where) if rule.where else ''}".strip() for rule in target.devices[0].denies)
        asked.append((lines, routes))
        outcome = outcomes[len(asked) - 1]
        if outcome is not None:
            raise outcome

    routed(attempt, board((), "Neg"), lambda text: None)
    return asked


def test_an_operator_of_few_is_kept_off_as_a_whole_at_the_second_fault() -> None:
    few = {"Neg": 3, "Exp": 17}
    asked = routed_over([fault("Neg", 1, few), fault("Neg", 2, few), None])
    assert [lines for lines, _ in asked] == [(), ("Neg shape(X) == [1]",), ("Neg shape(X) == [1]", "Neg")]
    assert asked[-1][1].decisions[-1].reason.endswith("deny { Neg; }")


def test_an_operator_of_many_is_kept_off_as_a_whole_at_the_third_fault() -> None:
    many = {"Conv": 15, "Exp": 5}
    asked = routed_over([fault("Conv", 1, many), fault("Conv", 2, many), fault("Conv", 3, many), None])
    assert asked[2][0] == ("Conv shape(X) == [1]", "Conv shape(X) == [2]")
    assert asked[3][0][-1] == "Conv"


def test_faults_of_different_operators_do_not_widen() -> None:
    on = {"Neg": 1, "Exp": 9}
    asked = routed_over([fault("Neg", 1, on), fault("Exp", 2, on), None])
    assert asked[-1][0] == ("Neg shape(X) == [1]", "Exp shape(X) == [2]")


def test_where_widening_leaves_no_plan_the_fault_alone_is_kept_off() -> None:
    few = {"Neg": 3, "Exp": 17}
    nowhere = TargetError("no device runs Neg")
    asked = routed_over([fault("Neg", 1, few), fault("Neg", 2, few), nowhere, None])
    assert asked[-1][0] == ("Neg shape(X) == [1]", "Neg shape(X) == [2]")
    with pytest.raises(TargetError):
        routed_over([fault("Neg", 1, few), nowhere])


def test_the_headline_counts_what_is_left() -> None:
    routes = routed_over([fault("Neg", 1, {"Neg": 3}), None])[-1][1]
    assert routes.notes([])[0] == "npu is empty: 3 operators planned, none left there after 1 wrong or refused result"
    assert routes.notes([])[1].startswith("Neg is kept off npu")
    assert Routes().notes([]) == ()
