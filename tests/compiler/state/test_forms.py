"""Caches of any layout, under scores of any kind: new rows are put at their places, whoever reads them. And operators that extend caches by
themselves, which are taken apart first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from decoder_forms import EXTENDING, LAYOUTS, SCORES, SPEC, Layout, causal, heads_first, laid_out
from growing_cache import GrowingCache, check_tokens
from hypothesis import given, settings
from hypothesis import strategies as st

from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
from autoglmc.compiler.driver.entries.result import EntriesResult
from autoglmc.compiler.errors import ModelError
from autoglmc.compiler.load.source import MemoryModel
from autoglmc.compiler.state.fixed_models import FixedModels, fixed_models
from autoglmc.compiler.state.request import StateRequest
from autoglmc.compiler.state.ways import PLACED, Ways

LENGTH = 64
STATE = StateRequest((("past.*", "present.*"),), LENGTH)
WHOLE = (("keys turned", "capped"), ("keys beside values", "a number for each key"), ("both in one row", "a score of no key"))
"""Of which whole bundles are made; the property below goes through all of them."""


def compiled(model: onnx.ModelProto, folder: Path) -> EntriesResult:
    entries = {"prefill": Asked(shapes={}, tokens=8), "decode": Asked(shapes={}, tokens=1)}
    return compile_entries(model, "x86_cpu", entries, state=STATE, output=folder / "bundle")


def rows_alone(result: EntriesResult) -> bool:
    """Whether new rows go out, and not whole caches."""
    axes = {state.present: state.axis for state in result.manifest.states}
    outputs = {value.name: value.shape or () for value in result.results["prefill"].manifest.model.outputs}
    return all(outputs[name][axis] == 8 for name, axis in axes.items())


@pytest.mark.parametrize(("layout", "scores"), WHOLE)
def test_tokens_equal_those_of_a_growing_cache(layout: str, scores: str, tmp_path: Path) -> None:
    model = laid_out(LAYOUTS[layout], SCORES[scores])
    result = compiled(model, tmp_path)
    assert result.verified and rows_alone(result), result.verification
    check_tokens(result.bundle.session(), model, SPEC.vocabulary)


@pytest.mark.parametrize("operator", ["GroupQueryAttention with a window", "MultiHeadAttention", "Attention"])
def test_an_operator_with_caches_extends_them_in_place(operator: str, tmp_path: Path) -> None:
    model = EXTENDING[operator]()
    result = compiled(model, tmp_path)
    assert result.verified and not rows_alone(result), result.verification
    check_tokens(result.bundle.session(), model, SPEC.vocabulary)


def fixed(model: onnx.ModelProto, tokens: int, length: int) -> FixedModels:
    ways, state = Ways(names=(PLACED,), others=False), StateRequest(STATE.patterns, length)
    return fixed_models(MemoryModel(model, "model"), state, length, {"step": tokens}, {}, lambda name: nullcontext(), ways)


class Stepped:
    """A step's model, run by onnxruntime with caches that are NaN behind the last row filled."""

    def __init__(self, steps: FixedModels) -> None:
        self._steps, step = steps, steps.steps["step"]
        self._session = onnxruntime.InferenceSession(step.written[PLACED].proto.SerializeToString())
        shapes = {value.name: value.shape for value in self._session.get_inputs() if value.name in steps.axes}
        self._caches: Mapping[str, Any] = {name: np.full(shape, np.nan, np.float32) for name, shape in shapes.items()}
        self._tokens, self.length = step.tokens, 0

    def step(self, tokens: list[int]) -> np.ndarray:
        names = [value.name for value in self._session.get_outputs()]
        ids = np.array([(tokens + [0] * self._tokens)[: self._tokens]])
        fed = {"input_ids": ids, self._steps.counter: np.array([self.length]), **self._caches}
        made = dict(zip(names, self._session.run(None, fed), strict=True))
        for past, present in self._steps.states:
            cache, axis = self._caches[past], self._steps.axes[past]
            ahead = (slice(None),) * axis
            cache[(*ahead, slice(self.length, self.length + len(tokens)))] = made[present][(*ahead, slice(len(tokens)))]
        self.length += len(tokens)
        return np.asarray(made["logits"][0, : len(tokens)])


@settings(max_examples=12)
@given(
    layout=st.sampled_from(sorted(LAYOUTS)),
    scores=st.sampled_from(sorted(SCORES)),
    tokens=st.sampled_from([1, 3, 8]),
    length=st.integers(10, 24),
    seed=st.integers(0, 99),
)
def test_every_layout_goes_with_all_scores(layout: str, scores: str, tokens: int, length: int, seed: int) -> None:
    model, draw = laid_out(LAYOUTS[layout], SCORES[scores]), np.random.default_rng(seed)
    stepped, growing = Stepped(fixed(model, tokens, length)), GrowingCache(model)
    while stepped.length + tokens <= length:
        ids = draw.integers(0, SPEC.vocabulary, int(draw.integers(1, tokens + 1))).tolist()
        assert np.allclose(stepped.step(ids), growing.step(ids), atol=1e-4)


def not_closed(w: Any, scores: str, positions: str) -> str:
    return str(w("Softmax", scores, axis=-1))


def greatest(w: Any, scores: str, positions: str) -> str:
    """A softmax written out, which reads all scores of a row for their maximum."""
    powers = w("Exp", w("Sub", scores, w("ReduceMax", scores, axes=(3,))))
    return str(w("Div", powers, w("ReduceMax", powers, axes=(3,))))


def halved(w: Any, x: str) -> tuple[str, str, str]:
    """Old values fade with every step."""
    q, k, _ = heads_first(w, x)
    faded = next(node for node in w.nodes if node.output[0] == "present.v")
    faded.output[0] = "whole"
    w("Mul", "whole", 0.5, name="present.v")
    return q, k, "whole"


def ahead(w: Any, x: str) -> tuple[str, str, str]:
    """The past is read before new rows are behind it."""
    q, k, v = heads_first(w, x)
    return w("Add", q, w("ReduceMean", "past.k", axes=(2,), keepdims=1)), k, v


FAR = 2**63 - 1


def before_joined(change: Callable[[Any, str], str]) -> onnx.ModelProto:
    """The past of the keys is changed before new rows are put behind it."""

    def read(w: Any, x: str) -> tuple[str, str, str]:
        q, k, v = heads_first(w, x)
        joined = next(node for node in w.nodes if node.output[0] == "present.k")
        w.nodes.remove(joined)
        joined.input[0] = change(w, "past.k")
        put_behind(w, joined)
        return q, k, v

    return laid_out(Layout(LAYOUTS["heads before rows"].caches, read), causal)


def put_behind(w: Any, joined: onnx.NodeProto) -> None:
    """The node behind all others but those that read it."""
    users = [node for node in w.nodes if joined.output[0] in node.input]
    for node in users:
        w.nodes.remove(node)
    w.nodes += [joined, *users]


def rows(w: Any) -> str:
    return str(w("Gather", w("Shape", "past.k"), [2]))


def other_heads(w: Any, past: str) -> str:
    """Two of the heads apart, with all their rows."""
    two = w("Slice", past, [0, 0], w("Concat", [2], rows(w), axis=0), [1, 2])
    return str(w("Concat", two, w("Slice", past, [2], [4], [1]), axis=1))


SLICES: Mapping[str, Callable[[Any, str], str]] = {
    "as many rows as there are": lambda w, past: w("Slice", past, [0], rows(w), [2]),
    "all axes": lambda w, past: w("Slice", past, [0, 0, 0, 0], w("Shape", past)),
    "an axis from the last, and steps": lambda w, past: w("Slice", past, [0], rows(w), [-2], [1]),
    "from far before the first": lambda w, past: w("Slice", past, [-FAR], [FAR], [2]),
    "heads apart": other_heads,
}


@pytest.mark.parametrize("tokens", [1, 3])
@pytest.mark.parametrize("taken", SLICES)
def test_a_slice_of_all_rows_takes_those_of_the_fixed_cache(taken: str, tokens: int) -> None:
    model = before_joined(SLICES[taken])
    stepped, growing = Stepped(fixed(model, tokens, 16)), GrowingCache(model)
    while stepped.length + tokens <= 16:
        ids = [(7 * (stepped.length + k)) % SPEC.vocabulary for k in range(tokens)]
        assert np.allclose(stepped.step(ids), growing.step(ids), atol=1e-4)


def backwards(w: Any, past: str) -> str:
    last = w("Sub", w("Squeeze", rows(w), [0]), 1)
    return str(w("Gather", past, w("Range", last, -1, -1), axis=2))


def as_if_rows_came_first(w: Any, x: str) -> tuple[str, str, str]:
    """Heads and rows are counted through, not turned."""
    q, k, v = heads_first(w, x)
    joined = next(node for node in w.nodes if node.output[0] == "present.k")
    w.nodes.remove(joined)
    past, new = (w("Reshape", name, [1, -1, SPEC.heads, SPEC.width]) for name in joined.input)
    w("Reshape", w("Concat", past, new, axis=1), [1, SPEC.heads, -1, SPEC.width], name="present.k")
    put_behind(w, w.nodes.pop())
    return q, k, v


@pytest.mark.parametrize(
    "change",
    [
        lambda w, past: w("Slice", past, [-1], [-FAR], [2], [-1]),
        lambda w, past: w("Slice", past, w("Neg", rows(w)), [FAR], [2]),
        lambda w, past: w("Slice", past, [-15], [FAR], [2]),
        lambda w, past: w("Slice", past, [0], rows(w), [2], w("Sub", rows(w), w("Sub", rows(w), [-1]))),
        backwards,
    ],
)
def test_rows_in_another_order_or_cut_off_are_refused(change: Callable[[Any, str], str]) -> None:
    with pytest.raises(ModelError, match=r"not all taken, in their order|not along one axis"):
        fixed(before_joined(change), 1, 16)


def test_rows_counted_through_with_heads_are_refused() -> None:
    with pytest.raises(ModelError, match="not all taken, in their order"):
        fixed(laid_out(Layout(LAYOUTS["heads before rows"].caches, as_if_rows_came_first), causal), 1, 16)


def counted_by_a_mask() -> onnx.ModelProto:
    """As onnxruntime-genai's builder counts."""
    model, make, number = EXTENDING["GroupQueryAttention"](), onnx.helper.make_node, onnx.numpy_helper.from_array
    place = next(k for k, node in enumerate(model.graph.node) if node.op_type == "GroupQueryAttention")
    operator = model.graph.node[place]
    operator.input[5], operator.input[6] = "lengths", "total"
    nodes = [
        make("ReduceSum", ["attention_mask", "along"], ["ones"], keepdims=0),
        make("Sub", ["ones", "along"], ["last"]),
        make("Cast", ["last"], ["lengths"], to=onnx.TensorProto.INT32),
        make("Shape", ["attention_mask"], ["extents"]),
        make("Gather", ["extents", "second"], ["columns"], axis=0),
        make("Cast", ["columns"], ["total"], to=onnx.TensorProto.INT32),
    ]
    for node in reversed(nodes):
        model.graph.node.insert(place, node)
    model.graph.initializer.extend([number(np.array([1]), "along"), number(np.array(1), "second")])
    model.graph.input.append(onnx.helper.make_tensor_value_info("attention_mask", onnx.TensorProto.INT64, [1, "total_length"]))
    return model


@pytest.mark.parametrize("tokens", [1, 3])
def test_an_operator_whose_rows_a_mask_of_ones_counts_is_taken(tokens: int) -> None:
    model = counted_by_a_mask()
    stepped, growing = Stepped(fixed(model, tokens, 16)), GrowingCache(model)
    while stepped.length + tokens <= 16:
        ids = [(7 * (stepped.length + k)) % SPEC.vocabulary for k in range(tokens)]
        assert np.allclose(stepped.step(ids), growing.step(ids), atol=1e-4)


def test_an_operator_whose_rows_a_given_mask_counts_is_refused() -> None:
    state = StateRequest(STATE.patterns, 16, given=("attention_mask",))
    with pytest.raises(ModelError, match="how many are filled is not known: 'lengths'"):
        fixed_models(MemoryModel(counted_by_a_mask(), "model"), state, 16, {"step": 1}, {"total_length": 16}, lambda name: nullcontext())


@pytest.mark.parametrize("lengths", [None, 5])
def test_an_operator_that_may_read_fewer_rows_than_its_cache_has_is_refused(lengths: int | None) -> None:
    model = EXTENDING["GroupQueryAttention"]()
    next(node for node in model.graph.node if node.op_type == "GroupQueryAttention").input[5] = "lengths"
    if lengths is None:
        model.graph.input.append(onnx.helper.make_tensor_value_info("lengths", onnx.TensorProto.INT32, [1]))
    else:
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([lengths], np.int32), "lengths"))
    with pytest.raises(ModelError, match=r"extends its cache by itself, .*how many are filled is not known: 'lengths'"):
        fixed(model, 1, 16)


@pytest.mark.parametrize(
    ("layout", "scores", "said"),
    [
        (heads_first, not_closed, "attention is not causal"),
        (heads_first, greatest, "reads the rows of a cache together: no cache of fixed length"),
        (halved, causal, "the cache goes out changed"),
        (ahead, causal, "something else reads the past of a cache than a Concat"),
    ],
)
def test_what_reads_rows_without_a_token_is_named(layout: Any, scores: Any, said: str) -> None:
    with pytest.raises(ModelError, match=said) as failure:
        fixed(laid_out(Layout(LAYOUTS["heads before rows"].caches, layout), scores), 4, 16)
    assert "'" in failure.value.where and failure.value.help
