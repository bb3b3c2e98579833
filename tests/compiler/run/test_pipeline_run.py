"""Overlapped requests give the same bits as requests one after the other, within the memory the target has."""

from __future__ import annotations

import tempfile
import threading
import time
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import onnx
import pytest
from breadth import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from random_graphs import draw_assignment, models, targets
from slicing import ABSENT, bundle_of, cut
from small_models import parse

from autoglmc.compiler.bundle.manifest import LimitRecord
from autoglmc.compiler.bundle.plan_records import Mode
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.errors import Infeasible, UsageError, UserError
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.run.more_generations import generations_that_fit, plan_more, usual_generations
from autoglmc.passes.place import objectives
from autoglmc.targets.model import Target

CHAIN = """g (float[4,6] x, int64[4,6] i) => (float[4,6] y, int64[4,6] k, bool[4,6] m) {
    a = Relu(x) j = Neg(i) b = Abs(a) k = Add(j, i) c = Add(a, b)
    m = Greater(c, x) d = Mul(c, x) e = Cast <to = 1> (j) f = Add(e, d) y = Neg(f) }"""
BRANCHES = """g (float[64,64] x) => (float[64,64] y) {
    a = MatMul(x, x) b = MatMul(x, x) c = Tanh(a) d = Sigmoid(b) y = Add(c, d) }"""


def requests(count: int) -> list[dict[str, np.ndarray]]:
    random = np.random.default_rng(1)
    return [{"x": random.standard_normal((4, 6)).astype(np.float32), "i": random.integers(-9, 9, (4, 6))} for _ in range(count)]


def same(one: list[dict[str, np.ndarray]], other: list[dict[str, np.ndarray]]) -> None:
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a.keys() == b.keys()
        for name, value in a.items():
            assert value.dtype == b[name].dtype and value.shape == b[name].shape and value.tobytes() == b[name].tobytes()


@given(
    st.lists(st.sampled_from(["cpu", "npu", "gpu"]), min_size=1, max_size=5),
    st.lists(st.sampled_from(["zero_copy", "copy", "convert"]), min_size=1, max_size=3),
    st.integers(1, 4),
    st.integers(0, 7),
)
@settings(max_examples=examples(6, 30))
def test_any_slicing_gives_the_same_bits(
    tmp_path_factory: pytest.TempPathFactory, devices: list[str], modes: list[Mode], generations: int, count: int
) -> None:
    compiled = cut(parse(CHAIN), tuple(devices), modes=tuple(modes), runtimes={"npu": ABSENT})
    session = bundle_of(compiled, tmp_path_factory.mktemp("b") / "b").session(emulate=True, poison=True)
    given_inputs = requests(count)
    expected = session.run_many(given_inputs)
    same(session.run_many(given_inputs, pipeline=True, generations=generations), expected)
    assert len(session.generations) == max(min(generations, count), 1)


@settings(max_examples=25)
@given(models(), targets(), st.randoms(use_true_random=False))
def test_random_models_on_random_machines_give_the_same_bits(model: onnx.ModelProto, target: Target, random: Random) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        patch.setattr(objectives, "solve", partial(draw_assignment, random))
        result = compile_model(path, target, emulate=True)
        session = Bundle.load(result.folder).session(emulate=True, poison=True)
        dice = np.random.default_rng(0)
        inputs = [
            {v.name: dice.standard_normal(v.shape).astype(np.float32) for v in session.manifest.model.inputs if v.shape is not None}
            for _ in range(4)
        ]
        same(session.run_many(inputs, pipeline=True), session.run_many(inputs))


def test_values_passed_by_name_belong_to_their_request(tmp_path: Path) -> None:
    text = "g (float[6] x) => (int64[1,n] z, int64[1,n] w) { z = NonZero(x) w = Neg(z) }"
    session = bundle_of(cut(parse(text), ("npu", "cpu")), tmp_path / "b").session()
    rows = [{"x": (np.arange(6) % k == 0).astype(np.float32)} for k in (1, 2, 3, 4, 5, 6)]
    for row, got in zip(rows, session.run_many(rows, pipeline=True), strict=True):
        np.testing.assert_array_equal(got["w"], [-np.flatnonzero(row["x"])])


def slow(session, seconds: float) -> None:  # type: ignore[no-untyped-def]
    """Every segment takes at least so long, with the interpreter released."""
    for segment in session._segments:
        kind = type(segment)
        segment.run = lambda values, segment=segment, kind=kind: (time.sleep(seconds), kind.run(segment, values))[1]
        segment.again = lambda i, o, segment=segment, kind=kind: slowed(kind.again(segment, i, o), seconds)


def slowed(segment, seconds: float):  # type: ignore[no-untyped-def]
    kind = type(segment)
    segment.run = lambda values: (time.sleep(seconds), kind.run(segment, values))[1]
    return segment


def test_requests_really_overlap_across_devices(tmp_path: Path) -> None:
    """Three devices: eight requests are under way three at a time, in order."""
    compiled = cut(parse(CHAIN), ("npu", "gpu", "cpu"), runtimes={"npu": ABSENT, "gpu": ABSENT})
    session = bundle_of(compiled, tmp_path / "b").session(emulate=True)
    slow(session, 0.02)
    warm = requests(8)
    session.run_many(warm, pipeline=True)
    outputs = session.run_many(warm, pipeline=True)
    under_way = [(out.spans[0][0], max(end for _, end in out.spans)) for out in outputs]
    most = max(sum(begin <= moment < end for begin, end in under_way) for moment, _ in under_way)
    assert most == 3 == len(session.generations)
    assert all(a[0] <= b[0] for a, b in pairwise(under_way))
    filled = [later[0] < earlier[1] for earlier, later in zip(under_way, under_way[2:], strict=False)]
    assert sum(filled) >= 4, "all three devices work from the third request on, not only once"


def test_independent_segments_of_one_request_overlap(tmp_path: Path) -> None:
    model = parse(BRANCHES)
    order = [0, 2, 1, 3, 4]
    nodes = [model.graph.node[k] for k in order]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    session = bundle_of(cut(model, ("npu", "cpu", "npu")), tmp_path / "b").session()
    slow(session, 0.03)
    x = {"x": np.eye(64, dtype=np.float32)}
    session.run_many([x], pipeline=True)
    (out,) = session.run_many([x], pipeline=True)
    (a, b, last) = out.spans
    assert a[0] < b[1] and b[0] < a[1] and last[0] >= max(a[1], b[1])


def test_weights_are_loaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    loaded = []
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *a, **k: loaded.append(a[:2]) or real(*a, **k))
    session = bundle_of(cut(parse(CHAIN), ("npu", "cpu")), tmp_path / "b").session()
    session.run_many(requests(5), pipeline=True, generations=3)
    loaded = [options for _, options in loaded if not options.optimized_model_filepath]  # one that writes its graph is closed again
    assert len(loaded) == 2 and len(session.generations) == 3 and session.loaded_again == ()
    bases = [generation.base for generation in session.generations]
    size = session.manifest.arena.total
    assert all(abs(a - b) >= size for k, a in enumerate(bases) for b in bases[:k]) and session.arena_bytes == 3 * size


def limited(bundle: Bundle, *limits: tuple[str, int]) -> Bundle:
    total = bundle.manifest.arena.total
    records = tuple(
        LimitRecord(
            unproven="", kind=kind, subject="dram" if kind == "budget" else "", comparison="<=", limit=float(total + room), text="3 MiB",
            basis="predicted", value=float(total), margin=float(room), origin="box.hw:3",
        )
        for kind, room in limits
    )  # fmt: skip
    return replace(bundle, manifest=structs.replace(bundle.manifest, limits=records))


def test_generations_count_against_the_budget(tmp_path: Path) -> None:
    bundle = bundle_of(cut(parse(CHAIN), ("npu", "cpu")), tmp_path / "b")
    total = bundle.manifest.arena.total
    assert usual_generations(bundle.manifest) == 2 and generations_that_fit(bundle.manifest) is None
    roomy = limited(bundle, ("budget", 2 * total), ("memory", 3 * total))
    assert generations_that_fit(roomy.manifest) == 3
    assert plan_more(roomy.manifest, 3, 2).total >= 2 * total
    roomy.session().run_many(requests(5), pipeline=True, generations=3)
    with pytest.raises(Infeasible, match=r"4 generations of the arena take .* more than one, budget dram leaves .* of 3 MiB") as failure:
        roomy.session().run_many(requests(5), pipeline=True, generations=4)
    assert failure.value.help == "at most 3 generations fit" and failure.value.where == "box.hw:3"
    with pytest.raises(Infeasible, match="only run one request at a time"):
        limited(bundle, ("memory", total - 1)).session().run_many(requests(5), pipeline=True)


def test_wrong_requests_are_refused_and_leave_no_thread(tmp_path: Path) -> None:
    session = bundle_of(cut(parse(CHAIN), ("npu", "cpu")), tmp_path / "b").session()
    before = threading.active_count()
    with pytest.raises(UserError, match="missing input i"):
        session.run_many([*requests(2), {"x": requests(1)[0]["x"]}], pipeline=True)
    for wrong in ({"generations": 0}, {"step_limit": 0.0}):
        with pytest.raises(UsageError):
            session.run_many(requests(2), pipeline=True, **wrong)
    assert threading.active_count() == before
    same(session.run_many(requests(2), pipeline=True), session.run_many(requests(2)))


@pytest.mark.parametrize(("devices", "waits"), [(("cpu",), "spinning"), (("npu", "cpu"), "0")])
def test_threads_of_several_sessions_do_not_spin(tmp_path: Path, devices: tuple[str, ...], waits: str) -> None:
    session = bundle_of(cut(parse(CHAIN), devices), tmp_path / "b").session()
    for segment in session._segments:
        options = segment._session.get_session_options()  # type: ignore[attr-defined]
        try:
            told = options.get_session_config_entry("session.intra_op.allow_spinning")
        except RuntimeError:  # no such entry
            told = "spinning"
        assert told == waits
