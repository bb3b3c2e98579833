"""The precision benchmark's own parts: scores, intervals and verdicts, on made data where no package is needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from precision_tasks import Sample, Task
from precision_tasks.bound import bound
from precision_tasks.execute import onnxruntime_run, size, time_ratios
from precision_tasks.filetypes import coded_bytes
from precision_tasks.news import _nearest
from precision_tasks.ocr import _decoded, _distance, _read_right
from precision_tasks.quantise_peer import TOOLS
from precision_tasks.speech import _told, _truth
from precision_tasks.statistics import Interval, difference, mean, median
from precision_tasks.verdicts import FP32, Controls, Row, Verdict, verdicts

ROOT = Path(__file__).resolve().parents[2]
CHARACTERS = ["", "a", "b", " "]
GENERATOR = np.random.default_rng(0)
SAMPLE = Sample(({},), None)
RIGHT = np.ones(400)
HALF = np.tile([0.0, 1.0], 200)


@pytest.mark.parametrize(
    ("found", "expected", "edits"), [("", "ab", 2), ("ab", "ab", 0), ("kitten", "sitting", 3), ("ba", "ab", 2), ("abc", "", 3)]
)
def test_edit_distance(found: str, expected: str, edits: int) -> None:
    assert _distance(found, expected) == _distance(expected, found) == edits


def test_ctc_joins_repeats_and_parts_them_at_blanks() -> None:
    assert _decoded(np.array([0, 1, 1, 0, 1, 2, 2, 3, 0, 2]), CHARACTERS) == "aab b"


def test_a_line_read_worse_than_not_at_all_counts_nothing() -> None:
    answers = [np.array([[1, 0, 2]]), np.array([[1, 2, 1]]), np.array([[0, 0, 0]])]
    assert _read_right(answers, ["ab", "b", "ab"], CHARACTERS).tolist() == [1.0, 0.0, 0.0]


def test_nearest_centroid_learns_from_the_model_that_is_judged() -> None:
    known = [np.array([row], np.float32) for row in ([1, 0], [0.8, 0.6], [0, 1])]
    answers = [np.array([row], np.float32) for row in ([0.9, 0.1], [0.1, 0.9], [0.2, 0.8])]
    assert _nearest(known, ["x", "x", "y"], answers, ["x", "y", "x"]).tolist() == [1, 1, 0]


def test_windows_that_are_not_judged_do_not_count() -> None:
    assert _told([], [], [np.array([[0.9], [0.1], [0.9], [0.2]])], [np.array([1, 0, -1, 1])]).tolist() == [2 / 3]
    assert _truth(np.array([0] * 9 + [1] * 9)).tolist() == [0] * 6 + [-1] * 6 + [1] * 6


def test_bytes_are_coded_as_magika_does() -> None:
    short, long = coded_bytes(b"  ab \n"), coded_bytes(b" " * 10 + bytes(range(65, 91)) * 400 + b"\n")
    assert short[:4].tolist() == [97, 98, 32, 10] and (short[4:2044] == 256).all()
    assert bytes(short[2044:].tolist()) == b"  ab" and short[2043] == 256
    assert bytes(long[:26].tolist()) == bytes(range(65, 91)) and long[-1] == 90 and len(long) == 2048


def test_an_interval_holds_the_mean_and_shrinks_with_samples() -> None:
    few, many = (mean(GENERATOR.integers(0, 2, n).astype(float)) for n in (50, 5000))
    for found in (few, many):
        assert found.low <= found.middle <= found.high
    assert many.high - many.low < 0.2 * (few.high - few.low)
    assert many.low < 0.5 < many.high


def test_pairs_tell_apart_what_means_do_not() -> None:
    """Two models that differ in eight of 400 samples, all to one's advantage."""
    worse = HALF.copy()
    worse[1:17:2] = 0
    assert difference(HALF, worse).low > 0
    assert mean(worse).high > mean(HALF).middle
    with pytest.raises(ValueError, match="no pairs"):
        difference(HALF, HALF[1:])


def test_the_median_of_ratios_withstands_a_slow_run() -> None:
    assert median(np.array([2.0] * 20 + [0.01])) == Interval(2.0, 2.0, 2.0)


def test_dims_are_bound_and_inputs_that_never_change_are_constants(tmp_path: Path) -> None:
    value = onnx.helper.make_tensor_value_info
    inputs = [value("x", onnx.TensorProto.FLOAT, ["n", 3]), value("r", onnx.TensorProto.FLOAT, [])]
    node = onnx.helper.make_node("Mul", ["x", "r"], ["y"])
    graph = onnx.helper.make_graph([node], "made", inputs, [value("y", onnx.TensorProto.FLOAT, ["n", 3])])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "free.onnx")
    made = onnx.load(bound(tmp_path / "free.onnx", tmp_path / "bound.onnx", {"x": (2, 3)}, {"r": np.array(2, np.float32)}))
    for held in (*made.graph.input, *made.graph.output):
        assert [dim.dim_value for dim in held.type.tensor_type.shape.dim] == [2, 3]
    assert [i.name for i in made.graph.input] == ["x"] and [i.name for i in made.graph.initializer] == ["r"]


def test_every_side_is_timed_in_turns_with_the_first() -> None:
    order: list[str] = []
    found = time_ratios(
        lambda feeds: order.append("first") or {}, {name: lambda feeds, n=name: order.append(n) or {} for name in "ab"}, SAMPLE, 0
    )
    assert {name: len(ratios) for name, ratios in found.items()} == {"a": 5, "b": 5}
    assert order[::2] == ["first"] * (len(order) // 2) and order.count("a") == order.count("b") == len(order) // 4


def _task(**changes: object) -> Task:
    samples = tuple(Sample(({"x": np.full(1, i)}, {}), i) for i in range(4))
    return replace(
        Task(
            name="made", metric="", model=Path(__file__), calibration=(), wrong_calibration=(), held_out=samples,
            reduce=lambda feeds, outputs: outputs["y"], carried={"y": "x"},
            score=lambda known, kinds, answers, truths: np.array([a[-1, 0] == t + 2 for a, t in zip(answers, truths, strict=True)], float),
        ),
        **changes,
    )  # fmt: skip


def test_state_goes_from_step_to_step() -> None:
    def run(feeds: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        return {"y": feeds["x"] + 1}

    task = _task()
    answers = task.answers(run, task.held_out)
    assert [a[:, 0].tolist() for a in answers] == [[1, 2], [2, 3], [3, 4], [4, 5]]
    assert task.scores([], answers).tolist() == [1, 1, 1, 1]
    assert task.scores([], answers, shuffled=2).sum() < 4


def test_a_digest_is_of_every_sample() -> None:
    task = _task()
    assert task.digest() == _task().digest()
    assert task.digest() != _task(held_out=(*task.held_out[:-1], Sample(({"x": np.full(1, 9)},), 3))).digest()
    assert task.digest() != _task(calibration=({"x": np.zeros(1)},)).digest()


def _found(rows: list[Row], wrong: np.ndarray = HALF, shuffled: np.ndarray = HALF * 0.2, task: str = "news") -> dict[str, Verdict]:
    return {v.demand: v for v in verdicts(task, 0.9, rows, Controls({"ort": wrong}, shuffled))}


def _rows(*ours: Row) -> list[Row]:
    slightly = RIGHT.copy()
    slightly[:40] = 0
    return [Row(FP32, FP32, 90, RIGHT), Row("ort", "int8", 23, slightly, Interval(2, 2, 2)), *ours]


def test_what_is_not_built_is_not_decided_and_does_not_hold() -> None:
    found = _found(_rows())
    assert [v.holds for name, v in found.items() if name.startswith(("uniform int8", "mixed", "x86_cpu"))] == [None] * 4
    assert all(v.holds for name, v in found.items() if name.startswith(("control", "fp32")))


def test_good_bundles_hold() -> None:
    rows = _rows(
        Row("ours int8", "int8", 22.9, RIGHT - np.repeat([1, 0], [40, 360]), Interval(2, 1.9, 2.1)), Row("ours auto", "mixed", 30, RIGHT)
    )
    assert all(v.holds for v in _found(rows).values())


@pytest.mark.parametrize(
    ("demand", "bad"),
    [
        ("uniform int8", Row("ours int8", "int8", 22, HALF, Interval(2, 2, 2))),
        ("uniform int8", Row("ours int8", "int8", 24, RIGHT, Interval(2, 2, 2))),
        ("x86_cpu", Row("ours int8", "int8", 22, RIGHT, Interval(1.4, 1.4, 1.4))),
        ("x86_cpu", Row("ours int8", "int8", 22, RIGHT, Interval(1.9, 1.9, 1.9))),
        ("mixed: no uniform", Row("ours auto", "mixed", 30, HALF)),
        ("mixed: within", Row("ours auto", "mixed", 30, HALF)),
        ("mixed: within", Row("ours auto", "mixed", 40, RIGHT)),
    ],
)
def test_bad_bundles_do_not_hold(demand: str, bad: Row) -> None:
    (judged,) = (v for name, v in _found(_rows(bad)).items() if name.startswith(demand))
    assert judged.holds is False


def test_controls_that_pass_are_a_fault() -> None:
    unharmed = _rows()[1].scores
    assert not next(v for v in verdicts("news", 0.9, _rows(), Controls({"ort": unharmed}, HALF)) if "another kind" in v.demand).holds
    assert not next(v for v in verdicts("news", 0.9, _rows(), Controls({}, RIGHT)) if "shuffled" in v.demand).holds
    assert not next(iter(verdicts("news", 0.9, [Row(FP32, FP32, 90, HALF)], Controls({}, HALF * 0)))).holds


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """bert_tiny with its dims bound: seven LayerNormalization and three GELU in parts."""
    source = ROOT / "tests" / "models" / "bert_tiny.onnx"
    shapes = {i.name: (1, 8) for i in onnx.load(source).graph.input}
    return bound(source, tmp_path_factory.mktemp("encoder") / "bound.onnx", shapes)


def _feeds(path: Path) -> dict[str, np.ndarray]:
    return {i.name: np.ones((1, 8), np.int64) for i in onnx.load(path).graph.input}


@pytest.mark.parametrize(
    ("tool", "kinds"),
    [("ort-static-minmax", {"LayerNormalization": 7, "Gelu": 3}), ("ort-dynamic", {"MatMulInteger": 12}), ("ort-fp16", {"Cast": 1})],
)
def test_a_peer_gets_its_own_fusions_and_answers(encoder: Path, tmp_path: Path, tool: str, kinds: Mapping[str, int]) -> None:
    output = tmp_path / "made.onnx"
    TOOLS[tool](encoder, [_feeds(encoder)] * 2, output)
    found = Counter(node.op_type for node in onnx.load(output).graph.node)
    assert all(found[kind] >= count for kind, count in kinds.items()), found
    exact, here = (onnxruntime_run(path)(_feeds(encoder)) for path in (encoder, output))
    for name, array in exact.items():
        assert np.abs(here[name] - array).max() < 0.5 * array.std()
    assert size(output) < 0.6 * size(encoder)


def test_calibrated_with_something_else_a_peer_does_worse(encoder: Path, tmp_path: Path) -> None:
    """The control can fail: ranges of one sample do not hold what another one gives."""
    distances = []
    other = {name: (np.arange(8)[None] * 31 + 5) if "ids" in name and "type" not in name else a for name, a in _feeds(encoder).items()}
    for i, batches in enumerate(([other], [_feeds(encoder)])):
        output = tmp_path / f"{i}.onnx"
        TOOLS["ort-static-minmax"](encoder, batches, output)
        exact, here = (onnxruntime_run(path)(other) for path in (encoder, output))
        distances.append(sum(float(np.abs(here[name] - exact[name]).mean()) for name in exact))
    assert distances[0] < distances[1]
