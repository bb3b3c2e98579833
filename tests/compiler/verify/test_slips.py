"""The machinery of benchmarks/verify_slips.py: mistakes are made, measured and judged as it says; a small part of it as a test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from slips.campaign import KINDS, SIZES, Slip, slips
from slips.edit import Edit
from slips.effect import CLOSE, Exact, Truth, rounding_of
from slips.judged import Judge, surely_absent
from slips.kind import Kind, Site, plain
from slips.small_nets import SMALL, small_models
from slips.subject import Subject
from slips.tables import share, slip_table

CAUGHT = {
    "detector": ("class scores zeroed", "class scores halved", "pads off by one", "alpha of an activation", "NaN in one element"),
    "masked_attention": ("mask ignored", "mask shifted by one", "softmax axis", "residual dropped", "epsilon times 100"),
    "branching": ("branches swapped", "bias dropped", "weight transposed", "infinity in one element"),
}
"""Kinds of mistake by model, each of which `verify` must refuse."""


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Subject]:
    return {one.name: one for one in small_models(tmp_path_factory.mktemp("small"))}


@pytest.fixture(scope="module")
def attention(subjects: dict[str, Subject]) -> Truth:
    return Truth(subjects["masked_attention"], 2)


def kind(name: str) -> Kind:
    return next(one for one in KINDS if one.name == name)


def quiet(what: str) -> None:
    pass


def test_there_are_many_kinds_and_each_has_a_site_in_a_small_model(subjects: dict[str, Subject]) -> None:
    assert len(KINDS) >= 40 and len(SMALL) >= 15
    assert max(Counter(one.name for one in KINDS).values()) == 1
    left = {one.name: one for one in KINDS}
    for subject in subjects.values():
        view = Truth(subject, 1).view
        left = {name: one for name, one in left.items() if not one.sites(view, 1)}
    assert not left


@pytest.mark.parametrize("name", CAUGHT)
def test_what_must_be_refused_is(name: str, subjects: dict[str, Subject], tmp_path: Path) -> None:
    """For its numbers, though the manifest says that the bundle was made from the right model; and the right model is verified."""
    truth = Truth(subjects[name], 2)
    with Judge(truth, "x86_cpu", tmp_path) as judge:
        good = judge.right()
        assert good.verified and good.exercised >= 0.95, good.reason
        made = list(slips(truth, [judge], [kind(one) for one in CAUGHT[name]], 1, quiet))
    assert [(one.kind, one.outcome) for one in made] == [(one, "refused") for one in sorted(CAUGHT[name], key=order)]
    assert all(one.ratio > 1 and one.located for one in made)
    assert share(made) == 1.0 and f"caught {len(made)} of {len(made)}" in slip_table(made)[-1]


def order(name: str) -> int:
    """Kinds are made in the order that they are given in."""
    return [one for names in CAUGHT.values() for one in names].index(name)


def test_the_right_model_stays_as_it_is(attention: Truth) -> None:
    before = attention.model.SerializeToString(deterministic=True)
    for one in KINDS:
        for site in one.sites(attention.view, 3):
            attention.made(site, site.strength)
    assert attention.model.SerializeToString(deterministic=True) == before
    assert attention.view.model.SerializeToString(deterministic=True) == before


def test_no_mistake_has_no_effect(attention: Truth) -> None:
    assert attention.effect(attention.model).ratio == 0
    nothing = Kind("nothing", lambda view: iter([Site("y", plain(lambda edit: None))]))
    assert [one.outcome for one in slips(attention, [], [nothing], 1, quiet)] == ["within rounding"]


@pytest.mark.parametrize("name", ["weight element changed", "softmax temperature", "output scaled"])
@pytest.mark.parametrize("size", SIZES)
def test_a_mistake_is_made_in_the_size_that_was_asked_for(attention: Truth, name: str, size: float) -> None:
    site = kind(name).sites(attention.view, 1)[0]
    found = attention.sized(site, size, site.strength)
    assert found is not None and CLOSE[0] * size <= found.effect.ratio <= CLOSE[1] * size
    assert attention.effect(found.model) == found.effect


@pytest.mark.parametrize("name", ["mask ignored", "attention scale", "bias dropped", "weight channel halved", "gamma dropped"])
def test_effects_are_those_of_another_evaluation(attention: Truth, name: str) -> None:
    """onnx's reference implementation, everything in float64."""
    where = "scalar factor" if name == "attention scale" else name
    wrong = attention.made(kind(where).sites(attention.view, 3)[-1], 0.3)
    inputs = attention.inputs[0]
    theirs = [double(model).run(None, widened(inputs))[0] for model in (attention.model, wrong)]
    ours = [attention.values[0]["y"], Exact(wrong, attention.exact).run(inputs)["y"]]
    np.testing.assert_allclose(ours[1] - ours[0], theirs[1] - theirs[0], atol=1e-9)
    assert np.abs(ours[1] - ours[0]).max() > 1e-3


def widened(inputs: dict[str, Any]) -> dict[str, Any]:
    return {name: value.astype(np.float64) if value.dtype == np.float32 else value for name, value in inputs.items()}


def double(model: onnx.ModelProto) -> ReferenceEvaluator:
    """The model with every fp32 in it made float64."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    for tensor in wide.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))
    for value in (*wide.graph.input, *wide.graph.output):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.DOUBLE
    for node in wide.graph.node:
        for one in node.attribute:
            if node.op_type == "Cast" and one.i == TensorProto.FLOAT:
                one.i = TensorProto.DOUBLE
    return ReferenceEvaluator(wide)


def test_rounding_is_that_of_a_channel() -> None:
    """A small channel beside a large one has a rounding of its own; a fill has none; a whole number none."""
    exact = np.stack([np.linspace(1, 2, 12), 1000 * np.linspace(1, 2, 12)], axis=1)
    exact[3, 1] = -1e9
    own = exact.astype(np.float32)
    own[5, 0] += np.float32(1e-5)
    found = np.broadcast_to(rounding_of([exact], [own]), exact.shape)
    assert found[0, 0] == pytest.approx(1e-5, rel=0.05) and found[0, 1] == pytest.approx(2000 * 2.0**-23)
    assert rounding_of([np.arange(3)], [np.arange(3)]) == 0.0


def test_what_the_compiler_puts_right_is_no_survivor(subjects: dict[str, Subject], tmp_path: Path) -> None:
    """The root of two in a GELU that is off in its sixth digit is taken for the root of two."""
    truth = Truth(subjects["mlp"], 2)
    with Judge(truth, "x86_cpu", tmp_path) as judge:
        made = list(slips(truth, [judge], [kind("scalar factor")], 1, quiet))
    assert {(one.outcome, one.reason) for one in made} == {("not made", "the compiler put it right")}


def test_noise_hides_no_survivor() -> None:
    noise, moved = np.random.default_rng(0).standard_normal(64), np.ones(64)
    assert surely_absent(moved, 0.1 * noise) and not surely_absent(moved, moved + 0.1 * noise)
    assert not surely_absent(moved, moved + 30 * noise) and not surely_absent(moved, 30 * noise) and not surely_absent(0 * moved, noise)


def test_a_survivor_is_named_and_counted(attention: Truth) -> None:
    facts = {"model": "m", "kind": "k", "site": "s", "size": 3.0, "target": "t", "ratio": 3.1, "part": 0.4, "effect": 1e-6, "output": "y"}
    found = [Slip(**facts, outcome="survived"), Slip(**facts, outcome="refused", located=True), Slip(**facts, outcome="within rounding")]
    lines = slip_table(found)
    assert share(found) == 0.5 and "1 survived:" in lines
    assert "  m for t: k (made 3 times) at s, 1e-06 in y, 3.1 times rounding; 40% of what is allowed" in lines


def test_bodies_are_looked_into() -> None:
    model = onnx.load_model_from_string(SMALL["branching"][0]().SerializeToString())
    edit = Edit(model, {}, {})
    assert {place.graph for place, _ in edit.places("MatMul")} == {0, 1, 2}
    assert isinstance(edit.places("MatMul"), Iterator)
