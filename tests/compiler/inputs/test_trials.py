"""Trial inputs reach what a model has: masks with holes, flags both ways, both sides of clips, branches; and say what they did not."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from models import SHAPES, model_path
from small_models import parse
from untouched import ByOnnxruntime, NodeByNode

from autoglmc.compiler.errors import ModelError
from autoglmc.compiler.inputs.coverage import differs
from autoglmc.compiler.inputs.recipes import PLANNED
from autoglmc.compiler.inputs.trials import MORE, PROBES, Trials
from autoglmc.compiler.load.bind_shapes import bind_shapes, real_inputs


def build(text: str, opset: int = 18, **constants: Any) -> onnx.ModelProto:
    """A model of ONNX text; constants are float32 unless they are arrays."""
    made = parse(f"g {text}", opset)
    for name, value in constants.items():
        array = np.asarray(value, np.float32 if isinstance(value, (int, float)) or value.dtype.kind == "f" else None)
        made.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return made


def tried(model: onnx.ModelProto, refuses: str = "", given: Any = ()) -> Trials:
    return Trials(model, NodeByNode(model, refuses), {}, [value.name for value in real_inputs(model.graph)], given=given)


def shows(model: onnx.ModelProto, wrong: onnx.ModelProto) -> list[str]:
    """The labels of the sets on which the wrong model gives something else."""
    other = NodeByNode(wrong)
    return [
        trial.label
        for trial in tried(model).sets()
        if any(differs(v, other.run(trial.values).outputs[k]) for k, v in trial.outputs.items())
    ]


ATTENTION = """(float[2,4,6] x, int64[2,6] {mask}) => (float[2,4,6] y) {{
    shaped = Unsqueeze({mask}, axis) kept = Cast<to=1>(shaped) closed = Sub(one, kept) fill = Mul(closed, low)
    scores = MatMul(x, w) masked = Add(scores, fill) y = Softmax<axis=-1>(masked) }}"""
IGNORED = "(float[2,4,6] x, int64[2,6] {mask}) => (float[2,4,6] y) {{ scores = MatMul(x, w) y = Softmax<axis=-1>(scores) }}"
WEIGHTS = {"axis": np.array([1]), "one": 1, "low": -10000, "w": np.eye(6)}


@pytest.mark.parametrize("name", ["attention_mask", "m"])
def test_a_mask_that_is_ignored_shows_whatever_its_name(name: str) -> None:
    right, wrong = build(ATTENTION.format(mask=name), **WEIGHTS), build(IGNORED.format(mask=name), w=np.eye(6))
    assert {f"{name} padded at the end", f"{name} ragged", f"{name} padded at the start"} <= set(shows(right, wrong))
    assert tried(right).coverage.changes[name] == ("y",)


def test_a_ragged_mask_has_another_length_in_each_row() -> None:
    trials = {trial.label: trial.values["m"] for trial in tried(build(ATTENTION.format(mask="m"), **WEIGHTS)).sets()}
    lengths = trials["m ragged"].sum(axis=1)
    assert lengths[0] != lengths[1] and lengths.min() >= 1 and trials["seed 0"].all()
    assert trials["m padded at the end"].tolist() == [[1, 1, 1, 1, 0, 0]] * 2


def test_a_mask_that_is_added_opens_with_0_and_closes_with_a_large_negative_number() -> None:
    text = "(float[1,4,6] x, float[1,4,6] bias) => (float[1,4,6] y) { s = MatMul(x, w) a = Add(s, bias) y = Softmax<axis=-1>(a) }"
    sets = {trial.label: trial.values["bias"] for trial in tried(build(text, w=np.eye(6))).sets()}
    assert not sets["seed 0"].any() and set(np.unique(sets["bias causal"])) == {0, -10000}
    assert (np.triu(np.ones((4, 6)), 3)[None] == (sets["bias causal"] < 0)).all()


def test_a_mask_that_closes_where_it_is_one_is_turned_round() -> None:
    """Closed everywhere, a Softmax gives NaN, and says nothing."""
    text = """(float[2,4,6] x, bool[2,1,6] padding) => (float[2,4,6] y) {
        s = MatMul(x, w) a = Where(padding, low, s) y = Softmax<axis=-1>(a) }"""
    trials = tried(build(text, w=np.eye(6), low=float("-inf")))
    sets = trials.sets()
    assert not sets[0].values["padding"].any() and all(np.isfinite(trial.outputs["y"]).all() for trial in sets)
    assert any(trial.values["padding"].any() for trial in sets) and trials.coverage.changes["padding"] == ("y",)


def test_every_flag_is_set_and_not_set_whatever_the_others_are() -> None:
    text = "(float[3] x, bool a, bool[1] b) => (float[3] y) { p = Neg(x) q = Where(a, x, p) r = Exp(q) y = Where(b, q, r) }"
    trials = tried(build(text))
    seen = {(bool(t.values["a"]), bool(t.values["b"].item())) for t in trials.sets()}
    assert seen == {(True, True), (False, False), (True, False), (False, True)}
    assert trials.coverage.not_exercised == ()


def test_integers_take_what_they_are_compared_with_and_what_the_model_refuses_is_dropped() -> None:
    text = """(float[3] x, int64 mode) => (float[3] y) { c = Equal(mode, seven) y = If(c)
        <then_branch = t () => (float[3] p) { p = Neg(x) }, else_branch = e () => (float[3] p) { p = Exp(x) }> }"""
    trials = tried(build(text, seven=np.array(7)), refuses="mode > 7 or mode == 0")
    values = {int(trial.values["mode"]) for trial in trials.sets()}
    assert {1, 7} < values <= {1, 2, 3, 6, 7} and trials.coverage.not_exercised == ()
    assert trials.unfit == ["the model refuses mode > 7 or mode == 0"]


def test_indices_reach_both_ends_and_positions_are_shifted() -> None:
    text = """(int64[2,5] ids, int64[1,5] position_ids) => (float[2,5,3] y) {
        a = Gather(table, ids) b = Gather(places, position_ids) y = Add(a, b) }"""
    rng = np.random.default_rng(0)
    trials = tried(build(text, table=rng.standard_normal((900, 3)), places=rng.standard_normal((9, 3))))
    ends = next(t for t in trials.sets() if "ids over its whole range" in t.label)
    assert ends.values["ids"].min() == 0 and ends.values["ids"].max() == 899
    assert ends.values["position_ids"].tolist() == [[1, 2, 3, 4, 5]]
    assert trials.coverage.changes == {"ids": ("y",), "position_ids": ("y",)}


def test_clip_bounds_show_on_an_image() -> None:
    text = "(float[1,3,8,8] x) => (float[1,3,8,8] y) {{ y = Clip<min=-{0}.0, max={0}.0>(x) }}"
    assert "large numbers (images 0 to 255)" in shows(build(text.format(200), 10), build(text.format(6), 10))
    trials = tried(build(text.format(200), 10))
    assert trials.coverage.not_exercised == ()  # a search finds -200 too
    assert any(trial.values["x"].min() < -200 for trial in trials.sets())


@pytest.mark.parametrize("node", ["HardSwish(x)", "HardSigmoid(x)", "Clip(x, low, high)", "Clip(x, low)", "Max(x, high)", "Min(low, x)"])
def test_both_sides_are_reached(node: str) -> None:
    trials = tried(build(f"(float[4] x) => (float[4] y) {{ y = {node} }}", low=-20, high=700))
    assert trials.coverage.not_exercised == () and len(trials.coverage.possible) >= 2


@pytest.mark.parametrize(
    "condition",
    [
        "m = ReduceMean<keepdims=0>(x) c = Greater(m, zero)",
        "m = ReduceMean<keepdims=0>(x) c = Less(m, low)",
        "m = ReduceMax<keepdims=0>(x) c = Greater(m, thirty)",
        "c = Identity(flag)",
        "c = Equal(kind, five)",
    ],
)
def test_rare_branches_run_and_so_does_what_stands_in_them(condition: str) -> None:
    text = f"""(float[40] x, bool flag, int64 kind) => (float[40] y) {{ {condition} y = If(c)
        <then_branch = t () => (float[40] p) {{ r = Abs(x) mm = ReduceMean<keepdims=0>(r) d = Less(mm, high) p = If(d)
            <then_branch = tt () => (float[40] s) {{ s = Neg(x) }}, else_branch = te () => (float[40] s) {{ s = Floor(x) }}> }},
         else_branch = e () => (float[40] p) {{ p = Abs(x) }}> }}"""
    trials = tried(build(text, zero=0, low=-50, high=300, thirty=30, five=np.array(5)))
    assert not [told for told in trials.coverage.not_exercised if "If" in told]


def test_a_branch_in_a_loop_runs() -> None:
    body = """go2 = Identity(go) w = If(flag) <then_branch = t () => (float[4] p) { p = Relu(v) },
                                             else_branch = e () => (float[4] p) { p = Sub(v, one) }>"""
    signature = "b (int64 i, bool go, float[4] v) => (bool go2, float[4] w)"
    text = f"(float[4] x, bool flag) => (float[4] y) {{ y = Loop(n, yes, x) <body = {signature} {{ {body} }}> }}"
    trials = tried(build(text, one=1, n=np.array(3), yes=np.array(True)))
    assert trials.coverage.not_exercised == () and {p.path for p in trials.coverage.reached} == {"y/w", "y/w/p"}


def test_what_cannot_be_reached_is_told_in_words() -> None:
    text = """(float[4] x, float[4] z, int64 k) => (float[4] y, float[4] still) {
        a = Reciprocal(x) b = Clip(a, low, high) c = Equal(k, far) d = If(c) <then_branch = t () => (float[4] p) { p = HardSwish(b) },
        else_branch = e () => (float[4] p) { p = Neg(b) }> zero = Sub(z, z) still = Exp(zero) y = Add(d, zero) }"""
    trials = tried(build(text, low=-1e30, high=1e30, far=np.array(10**12)), refuses="k > 1000")
    assert trials.coverage.not_exercised == (
        "output still never changed",
        "input z changes no output",
        "input k changes no output",
        "If 'd' never took its then branch",
        "Clip 'b' was never below its minimum -1e+30",  # 1 / 0 is above the other
    )
    assert trials.coverage.exercised == 0.5 and "d/p" in {point.path for point in trials.coverage.missed}


def test_fifty_sentences_and_how_many_more() -> None:
    nodes = " ".join(f"c{k} = Clip(s, low, high{k})" for k in range(60))
    text = f"(float[4] x) => (float[4] y) {{ a = Sin(x) s = Reciprocal(a) {nodes} y = Sum({', '.join(f'c{k}' for k in range(60))}) }}"
    told = tried(build(text, low=-1, **{f"high{k}": 1e30 + k * 1e25 for k in range(60)})).coverage.not_exercised
    assert len(told) == 51 and told[0] == "Clip 'c0' was never above its maximum 1e+30" and told[-1] == "and 10 more"


def test_equal_models_get_equal_sets_and_few() -> None:
    text = (
        "(float[1,3,8,8] image, float[1,6,4] x, int64[1,6] attention_mask, bool flag, int64 n, int64 k, int32[6] bytes) => (float[1,6,4] y)"
    )
    text += (
        " { m = Cast<to=1>(attention_mask) u = Unsqueeze(m, axis) a = Mul(x, u) s = ReduceMean(image) b = Add(a, s) w = Where(flag, a, b) "
    )
    text += "f = Cast<to=1>(n) g = Cast<to=1>(k) h = Mul(f, g) r = ReduceSum(bytes) q = Cast<to=1>(r) v = Mul(w, h) y = Add(v, q) }"
    model = build(text, axis=np.array([2]))
    first, second = tried(model).sets(), tried(model).sets()
    assert [t.label for t in first] == [t.label for t in second] and len({t.label for t in first}) == len(first) <= PLANNED + 3
    for a, b in zip(first, second, strict=True):
        assert all(np.array_equal(a.values[name], b.values[name]) for name in a.values)
    runner = NodeByNode(model)
    Trials(model, runner, {}, [v.name for v in real_inputs(model.graph)]).sets()
    assert runner.runs <= PLANNED + 6 + MORE + PROBES


def test_given_samples_come_first_and_count() -> None:
    model = build("(float[3] x) => (float[3] y) { y = Clip(x, low, high) }", low=-5e5, high=5e5)
    given = [("a.npz", {"x": np.array([-6e5, 0, 6e5], np.float32)})]
    trials = tried(model, given=given)
    assert trials.sets()[0].label == "a.npz" and trials.coverage.not_exercised == ()
    with pytest.raises(ModelError, match="refuses"):
        tried(model, refuses="x[0] < -5e5", given=given).sets()


def test_sets_that_overflow_are_left_out_and_a_model_that_takes_nothing_says_why() -> None:
    sets = tried(build("(float[3] x) => (float[3] y) { a = Mul(x, big) y = Exp(a) }", big=40)).sets()
    assert sets and all(np.isfinite(trial.outputs["y"]).all() for trial in sets if trial.label.startswith("numbers"))
    nothing = tried(build("(float[3] x) => (float[3] y) { y = Neg(x) }"), refuses="True")
    assert nothing.sets() == [] and nothing.unfit == ["the model refuses True"] and nothing.coverage.exercised == 0


def test_an_input_that_reaches_nothing_is_not_blamed() -> None:
    trials = tried(
        build("(float[3] x, int64 unused) => (float[3] y) { u = Cast<to=1>(unused) v = Mul(u, none) w = Shape(v) y = Add(x, v) }", none=0)
    )
    assert trials.coverage.not_exercised == () and set(trials.coverage.changes) == {"x"}


def test_of_many_inputs_masks_are_tried_first_and_the_rest_is_named() -> None:
    names = [f"x{k}" for k in range(20)]
    declared = ", ".join([*(f"float[4] {name}" for name in names), "int64[4] mask"])
    text = f"({declared}) => (float[4] y) {{ s = Sum({', '.join(names)}) m = Cast<to=1>(mask) y = Mul(s, m) }}"
    coverage = tried(build(text)).coverage
    assert coverage.changes["mask"] == ("y",) and len(coverage.changes) == 16 and coverage.unprobed == tuple(names[15:])


@pytest.mark.parametrize("name", ["bert_tiny", "glm_tiny", "lightnet", "ppocr4_rec", "silero_vad_16k_op15", "onnx_seeded_shufflenet"])
def test_real_models_are_exercised_whole(name: str) -> None:
    model = onnx.load(model_path(name))
    bind_shapes(model, SHAPES[name])
    untouched = ByOnnxruntime(model, model_path(name))
    trials = Trials(model, untouched, {}, [value.name for value in real_inputs(model.graph)])
    assert trials.coverage.not_exercised == () and trials.coverage.exercised == 1.0
    assert len(trials.sets()) >= 5 and untouched.runs <= 12
