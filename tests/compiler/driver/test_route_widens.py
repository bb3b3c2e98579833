"""A second fault of one operator: what wrote it is disabled, or it is kept off as a whole, instead of shape by shape."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from make_target import HERE, make_cpu, make_device, make_link, make_target
from small_models import parse, save
from stub_adapter import MODEL, OPERATORS, target_with, use_stub

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.job import Message
from autoglmc.compiler.driver.result import CompileResult
from autoglmc.compiler.driver.route_around import notes_of
from autoglmc.compiler.driver.search import Log, search
from autoglmc.compiler.driver.search_budget import Meter, SearchBudget
from autoglmc.compiler.driver.state import Routes, State
from autoglmc.compiler.driver.verdict import Faulty, OverLimit, Verdict
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


def test_the_rule_that_wrote_the_operator_is_disabled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_stub(monkeypatch, tmp_path)
    said: list[str] = []
    result = compiled(HARDSWISH, board(("pair", "HardSigmoid", "Mul"), "HardSigmoid", "Mul", "Concat"), tmp_path, said)
    steps = [d for d in result.manifest.decisions if d.rule == "route_around"]
    assert len(steps) == 1, "the rule goes before the operator is kept off"
    assert steps[0].reason.startswith("the rule hardswish_hardsigmoid is disabled from here on: it wrote the Mul that npu gets wrong (")
    assert [line.budget for line in said if isinstance(line, Message)] == ["attempt 2 of at most 32"]
    log = result.manifest.search
    assert [record.verdict for record in log] == ["computed wrong", "accepted"]
    assert [record.change for record in log] == ["", steps[0].reason]
    assert log[0].reason.startswith("npu: Mul: ")
    assert result.notes[0].startswith("npu") and result.notes[0].endswith("after 1 wrong or refused result")
    assert "find culprits" in result.seconds
    assert "route_around" not in {row["rule"] for row in result.as_json()["rewrites"]}  # a step is no rewrite


def fault(operator: str, size: int, on: dict[str, int]) -> Faulty:
    where = Binary("==", Call("shape", (Name("X"),)), Listing((Number(size, str(size)),)))
    deny = OperatorRule(domain="", operator=operator, where=where, origin=HERE)
    culprit = Culprit(node=f"n{size}", operator=operator, reason="it is refused: no", deny=deny)
    problem = BundleError("the runtime refuses")
    return Faulty(kind="refused by a runtime", device="npu", culprits=(culprit,), operators=Counter(on), writers={}, problem=problem)


class Done(Exception):
    """Ends a search whose attempts only look."""


def searched(*outcomes: Verdict) -> list[tuple[tuple[str, ...], State]]:
    """For these verdicts and one attempt more: the lines denied on the npu in each attempt, and its state."""
    asked: list[tuple[tuple[str, ...], State]] = []

    def attempt(state: State, log: Log) -> Verdict:
        denies = state.constraints.applied_to(board((), "Neg")).devices[0].denies
        asked.append((tuple(f"{rule.operator} {render(rule.where) if rule.where else ''}".strip() for rule in denies), state))
        if len(asked) > len(outcomes):
            raise Done
        return outcomes[len(asked) - 1]

    with pytest.raises(Done):
        search(attempt, State(), (), Meter(SearchBudget()), lambda text: None)
    return asked


def test_an_operator_of_few_is_kept_off_as_a_whole_at_the_second_fault() -> None:
    few = {"Neg": 3, "Exp": 17}
    asked = searched(fault("Neg", 1, few), fault("Neg", 2, few))
    assert [lines for lines, _ in asked] == [(), ("Neg shape(X) == [1]",), ("Neg shape(X) == [1]", "Neg")]
    assert asked[-1][1].decisions[-1].reason.endswith("deny { Neg; }")


def test_an_operator_of_many_is_kept_off_as_a_whole_at_the_third_fault() -> None:
    many = {"Conv": 15, "Exp": 5}
    asked = searched(fault("Conv", 1, many), fault("Conv", 2, many), fault("Conv", 3, many))
    assert asked[2][0] == ("Conv shape(X) == [1]", "Conv shape(X) == [2]")
    assert asked[3][0][-1] == "Conv"


def test_faults_of_different_operators_do_not_widen() -> None:
    on = {"Neg": 1, "Exp": 9}
    asked = searched(fault("Neg", 1, on), fault("Exp", 2, on))
    assert asked[-1][0] == ("Neg shape(X) == [1]", "Exp shape(X) == [2]")


def test_where_widening_leaves_no_plan_the_fault_alone_is_kept_off() -> None:
    few = {"Neg": 3, "Exp": 17}
    nowhere = OverLimit(TargetError("no device runs Neg"))
    asked = searched(fault("Neg", 1, few), fault("Neg", 2, few), nowhere)
    assert asked[-1][0] == ("Neg shape(X) == [1]", "Neg shape(X) == [2]")
    with pytest.raises(TargetError):
        searched(fault("Neg", 1, few), nowhere)


def test_the_headline_counts_what_is_left() -> None:
    routes = searched(fault("Neg", 1, {"Neg": 3}))[-1][1].routes
    assert notes_of(routes, [])[0] == "npu is empty: 3 operators planned, none left there after 1 wrong or refused result"
    assert notes_of(routes, [])[1].startswith("Neg is kept off npu")
    assert notes_of(Routes(), []) == ()


def test_where_the_rule_is_all_there_is_the_operator_alone_is_kept_off() -> None:
    """Without the rule there is no plan: what it wrote is kept off instead."""
    faulty = replace(fault("Mul", 1, {"Mul": 2}), writers={"n1": "hardswish_hardsigmoid"})
    asked = searched(faulty, OverLimit(TargetError("no device runs HardSwish")))
    assert asked[1][1].constraints.disabled == {"hardswish_hardsigmoid"} and asked[1][0] == ()
    assert asked[2][1].constraints.disabled == frozenset() and asked[2][0] == ("Mul shape(X) == [1]",)


def test_a_fault_that_was_not_confirmed_gives_no_line_for_the_target() -> None:
    sure = fault("Neg", 1, {"Neg": 3})
    unsure = replace(sure, culprits=(replace(sure.culprits[0], confirmed=False),))
    for verdict, advice in ((sure, True), (unsure, False)):
        reason = searched(verdict)[-1][1].decisions[-1].reason
        assert ("deny {" in reason) == advice and ("on other inputs it was right" in reason) != advice


def test_nothing_moves_to_a_device_that_cannot_be_judged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The GPU's runtime is not here: it would be the faster place for what the NPU gets wrong."""
    use_stub(monkeypatch, tmp_path)
    target = target_with("wrong", "Cos")
    npu, cpu = target.devices
    gpu = make_device("gpu", OPERATORS, adapter="none", peak=1e12, dispatch=1e-9)
    links = [make_link(a, b, handoff=1e-9) for a, b in (("npu", "cpu"), ("gpu", "cpu"), ("npu", "gpu"))]
    result = compile_model(save(parse(MODEL), tmp_path), make_target([npu, gpu, cpu], links), output=tmp_path / "bundle")
    assert {segment.device for segment in result.manifest.segments} == {"npu", "cpu"}
    assert result.verified and "Cos is kept off npu" in " ".join(result.notes)
