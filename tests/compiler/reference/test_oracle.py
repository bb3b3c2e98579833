"""The child process: what goes wrong in there ends it alone and becomes one sentence; what it answered is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from small_models import parse

from autoglmc.compiler.activity import Limits
from autoglmc.compiler.errors import ModelError
from autoglmc.compiler.load.source import MemoryModel
from autoglmc.compiler.reference import child as children
from autoglmc.compiler.reference.messages import Answer, Question
from autoglmc.compiler.reference.oracle import Oracle, ReferenceDied, ReferenceLate
from autoglmc.compiler.reference.recall import Recalling
from autoglmc.compiler.reference.store import Store

ENDLESS = (
    "g (float[4] x) => (float[4] y) { t = Constant <value = bool {1}> () y = Loop(, t, x)"
    " <body = b (int64 i, bool c, float[4] v) => (bool d, float[4] w) { d = Identity(c) w = Abs(v) }> }"
)
ONES = {"x": np.ones(4, np.float32)}


def memory(graph: str) -> MemoryModel:
    return MemoryModel(parse(graph), "<model>")


def test_a_model_is_run_and_evaluated() -> None:
    with Oracle(memory("g (float[4] x) => (float[4] y) { a = Abs(x) y = Sqrt(a) }")) as oracle:
        assert oracle.opened.outputs == ("y",) and oracle.opened.made == ("a", "y")
        answer = oracle.ask(Question(inputs={"x": np.full(4, 2, np.float32)}, tensors=("a",), half=True, noise=2, optimised=True))
    assert answer.own is not None and answer.own["y"].dtype == np.float32 and answer.exact is not None
    assert answer.exact["y"][0] == np.sqrt(2.0) and answer.exact["a"][0] == 2.0 and answer.half is not None
    assert answer.half["y"][0] == np.float16(np.sqrt(2.0)) and len(answer.noise) == 2 and answer.optimised is not None
    assert answer.work > 0


def test_a_hang_is_one_sentence() -> None:
    with Oracle(memory(ENDLESS), Limits(seconds=2.0)) as oracle:
        begin = time.monotonic()
        with pytest.raises(ReferenceLate, match="running the untouched model took more than 2 s on these inputs"):
            oracle.ask(Question(inputs=ONES, own=False))
        assert time.monotonic() - begin < 10


def test_a_crash_is_one_sentence_and_the_next_question_is_answered() -> None:
    with Oracle(memory("g (float[4] x) => (float[4] y) { y = Abs(x) }")) as oracle:
        assert oracle._child is not None
        os.kill(oracle._child._process.pid, signal.SIGSEGV)
        with pytest.raises(ReferenceDied, match="was killed by SIGSEGV: onnxruntime crashed"):
            oracle.ask(Question(inputs=ONES))
        assert oracle.ask(Question(inputs=ONES)).exact is not None


def test_too_much_memory_is_one_sentence() -> None:
    graph = "g (int64[1] n) => (float[k] y) { a = ConstantOfShape <value = float[1] {1}> (n) y = Abs(a) }"
    with Oracle(memory(graph), Limits(memory=1 << 30)) as oracle:
        answer = oracle.ask(Question(inputs={"n": np.array([1 << 30])}, own=False))
    assert answer.exact is None and answer.exact_problem == "it needs more memory than the verification may take"


def test_what_onnxruntime_does_not_load_is_refused_as_before() -> None:
    model = parse("g (float[4] x) => (float[4] y) { y = Abs(x) }")
    model.graph.node[0].domain = "nobody"
    with pytest.raises(ModelError, match="onnxruntime cannot run the model"):
        Oracle(MemoryModel(model, "<model>"))


def test_inputs_that_the_model_refuses_are_no_crash() -> None:
    with Oracle(memory("g (float[4] x, int64[1] s) => (float[k] y) { y = Reshape(x, s) }")) as oracle:
        assert oracle.ask(Question(inputs={**ONES, "s": np.array([3])})).own_problem
        assert oracle.ask(Question(inputs={**ONES, "s": np.array([4])})).own is not None


def test_external_weights_are_found(tmp_path: Path) -> None:
    model = parse("g (float[64] x) => (float[64] y) { y = Mul(x, w) }")
    model.graph.initializer.append(numpy_helper.from_array(np.arange(64, dtype=np.float32), "w"))
    onnx.save_model(model, str(tmp_path / "m.onnx"), save_as_external_data=True, location="m.data", size_threshold=0)
    with Oracle(tmp_path / "m.onnx") as oracle:
        answer = oracle.ask(Question(inputs={"x": np.ones(64, np.float32)}))
    assert answer.exact is not None and answer.own is not None and np.array_equal(answer.exact["y"], answer.own["y"])


def test_an_idle_child_takes_the_next_model() -> None:
    with Oracle(memory("g (float[4] x) => (float[4] y) { y = Abs(x) }")) as oracle:
        first = oracle._child
    with Oracle(memory("g (float[4] x) => (float[4] z) { z = Neg(x) }")) as oracle:
        assert oracle._child is first and oracle.opened.outputs == ("z",)
        assert children.WAITING.take() is not first


def test_the_child_ends_with_its_parent(tmp_path: Path) -> None:
    """Killed in the middle of an endless evaluation, a parent leaves nothing behind."""
    program = (
        "import sys; sys.path[:0] = sys.argv[1:3]; from test_oracle import *; oracle = Oracle(memory(ENDLESS));"
        "print(oracle._child._process.pid, flush=True); oracle.ask(Question(inputs=ONES, own=False))"
    )
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    parent = subprocess.Popen([sys.executable, "-c", program, *folders], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    number = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    for _ in range(100):
        if not Path(f"/proc/{number}").exists():
            return
        time.sleep(0.1)
    raise AssertionError("the child still runs")


def counted(oracle: Recalling) -> bool:
    """Whether it had to open the model."""
    return oracle._oracle is not None


def test_answers_are_kept_in_memory_and_on_disk(tmp_path: Path) -> None:
    source, question = memory("g (float[4] x) => (float[4] y) { y = Sqrt(x) }"), Question(inputs=ONES, noise=1)
    with Recalling(source, Store(tmp_path, 1 << 20)) as first:
        answer = first.ask(question)
        assert first.ask(Question(inputs={"x": np.ones(4, np.float32)}, noise=1)) is answer and counted(first)
    with Recalling(source, Store(tmp_path, 1 << 20)) as second:
        kept = second.ask(question)
        assert second.opened.outputs == ("y",) or counted(second)
        assert kept.exact is not None and np.array_equal(kept.exact["y"], np.ones(4)) and kept.points == answer.points
        assert second.ask(Question(inputs={"x": np.zeros(4, np.float32)}, noise=1)).own is not None and counted(second)
    other = memory("g (float[4] x) => (float[4] y) { y = Neg(x) }")
    with Recalling(other, Store(tmp_path, 1 << 20)) as third:
        found = third.ask(question)
        assert found.exact is not None and found.exact["y"][0] == -1.0


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 no archive", b"\x00" * 4096])
def test_a_damaged_entry_is_none(tmp_path: Path, damage: bytes) -> None:
    store = Store(tmp_path, 1 << 20)
    store.keep("0abc", Answer(own={"y": np.ones(3, np.float32)}, exact={"y": np.ones(3)}))
    found = store.answer("0abc")
    assert found is not None and found.own is not None and found.own["y"].dtype == np.float32 and found.half is None
    (tmp_path / "0abc.npz").write_bytes(damage)
    (tmp_path / "o.json").write_bytes(damage)
    assert store.answer("0abc") is None and store.opened("o") is None


def test_what_is_no_array_is_computed_again(tmp_path: Path) -> None:
    store = Store(tmp_path, 1 << 20)
    store.keep("0abc", Answer(own={"y": [np.ones(3)]}))
    assert store.answer("0abc") is None and not list(tmp_path.iterdir())
