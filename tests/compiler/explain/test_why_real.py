"""The ten models and the stock targets: all operators that are not on the preferred device are explained, with a line or a number."""

from __future__ import annotations

import re

import pytest
from breadth import covering, long
from models import NAMES, SHAPES, model_path

from autoglmc.compiler.explain.explain_model import Why, explain_model
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.targets.stock import stock_names

LINE = re.compile(r"[\w.]+\.hw:\d+$| reads opsets \d+\.\.\d+$")
PRICE = re.compile(r"^runs on \w+(, but costs \d+(\.\d+)? (us|ms) more: | at the same cost|, but no plan has it there)")
SLOW = (("ppocr4_rec", "tensor_g2_litert"), ("onnx_seeded_resnet50", "ethos_u85_512"))
"""Minutes each."""


def explained(name: str, target: str, word: str = "", tries: int = 0) -> Why:
    return explain_model(model_path(name), load_target(target), word=word, shapes=SHAPES[name], tries=tries)


@pytest.mark.parametrize(
    ("name", "target"), long(covering(NAMES, stock_names()), [pair for pair in SLOW if pair in covering(NAMES, stock_names())])
)
def test_every_operator_that_is_elsewhere_is_explained(name: str, target: str) -> None:
    told = explained(name, target)
    plan = told.plan
    device = [d.name for d in plan.target.devices].index(told.device)
    elsewhere = [k for k, place in enumerate(plan.places) if place != device]
    assert sorted(k for row in told.rows for k in row.group.numbers) == elsewhere
    for row in told.rows:
        reason = row.group.reason
        assert (PRICE if row.group.kind == "elsewhere" else LINE).search(reason), reason
        if row.group.kind == "refused":
            assert row.tried is not None and not row.tried.refusal, f"{row.group.operator}: {reason}: no change places it"
    assert sum(row.group.seconds for row in told.rows) <= (plan.total or 0) * (1 + 1e-9)


def test_recovered_operators_answer_to_the_name_in_the_file() -> None:
    told = explained("bert_tiny", "tensor_g2", word="/m/encoder/layer.0/intermediate/intermediate_act_fn/Erf")
    assert [subject.alike.operator for subject in told.subjects] == ["Gelu"]
    assert told.traces == (
        "Erf `/m/encoder/layer.0/intermediate/intermediate_act_fn/Erf` became part of Gelu "
        f"`{told.plan.nodes[told.subjects[0].alike.numbers[0]].name}` (rule recover_gelu)",
    )


def test_a_gain_is_what_planning_with_the_change_gives() -> None:
    told = explained("magika_v3_3", "a16", tries=9)
    gained = [row.tried for row in told.rows if row.tried is not None and row.tried.gain]
    assert gained and told.together is not None
    for tried in gained:
        assert tried.before == told.plan.total and tried.after is not None and tried.after + tried.gain == pytest.approx(tried.before)
    assert told.together.gain >= max(tried.gain for tried in gained) * (1 - 1e-4)
