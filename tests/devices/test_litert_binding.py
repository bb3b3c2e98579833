"""LiteRT bound to addresses by its C interface: every element is written where it was asked for and nothing beside it, without a copy, and
without Python's lock; files that are not whole, and interfaces that are not the expected one, give one clear message each."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_nets import Memory, chain

from autoglmc.compiler.devices.adapter import Haltable, LoadedSegment, Port, Rebindable, Remarking
from autoglmc.compiler.devices.find_adapter import absence
from autoglmc.compiler.devices.litert import probe
from autoglmc.compiler.devices.litert.adapter import LiteRtAdapter
from autoglmc.compiler.devices.litert.tiny_model import tiny_model
from autoglmc.compiler.errors import BundleError

LACK = absence("litert")
pytestmark = pytest.mark.skipif(LACK is not None, reason=f"{LACK and LACK.reason}: {LACK and LACK.help}")
FUNCTIONS = {"RELU": lambda x: np.maximum(x, 0), "TANH": np.tanh, "NEG": np.negative, "ABS": np.abs}
DTYPES = {"fp32": "FLOAT32", "int32": "INT32", "int64": "INT64"}


def port(name: str, array: np.ndarray, dtype: str = "fp32") -> Port:
    return Port(name, dtype, array.shape, array.ctypes.data)


def loaded(tmp_path: Path, content: bytes, x: np.ndarray, y: np.ndarray, dtype: str = "fp32") -> LoadedSegment:
    blob = tmp_path / "m.tflite"
    blob.write_bytes(content)
    return LiteRtAdapter().load(tmp_path / "m.onnx", blob, [port("x", x, dtype)], [port("y", y, dtype)])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    shape=st.lists(st.integers(1, 7), max_size=5),
    operators=st.lists(st.sampled_from(sorted(FUNCTIONS)), min_size=1, max_size=3),
    seed=st.integers(0, 9),
)
def test_what_is_asked_for_is_written_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, shape: list[int], operators: list[str], seed: int
) -> None:
    memory = Memory()
    x, y = memory.array(shape), memory.array(shape)
    x[...] = np.random.default_rng(seed).standard_normal(shape)
    before = x.copy()
    segment = loaded(tmp_path_factory.mktemp("bound"), chain(operators, shape), x, y)
    segment.run({})
    expected = x
    for name in operators:
        expected = FUNCTIONS[name](expected)
    np.testing.assert_allclose(y, expected, atol=1e-6)  # NaN where nothing was written
    assert np.array_equal(x, before) and memory.untouched() and not segment.misplaced() and not segment.copies


@pytest.mark.parametrize("dtype", sorted(DTYPES))
def test_dtypes_keep_their_width(tmp_path: Path, dtype: str) -> None:
    memory, kind = Memory(), {"fp32": np.float32}.get(dtype) or np.dtype(dtype)
    x, y = memory.array((5, 3), kind), memory.array((5, 3), kind)
    x[...] = np.arange(-7, 8).reshape(5, 3)
    if dtype == "int64":
        x[0, 0] = 2**40 + 1
    loaded(tmp_path, chain(["NEG"], (5, 3), DTYPES[dtype]), x, y, dtype).run({})
    assert np.array_equal(y, -x) and memory.untouched()


def test_the_input_is_read_where_it_lies_at_every_run(tmp_path: Path) -> None:
    memory = Memory()
    x, y = memory.array((2, 3)), memory.array((2, 3))
    segment = loaded(tmp_path, chain(["NEG"], (2, 3)), x, y)
    for value in (1.0, 2.0):
        x[...] = value
        segment.run({})
        assert (y == -value).all()
    assert isinstance(segment, Rebindable)
    other, there = memory.array((2, 3)), memory.array((2, 3))
    other[...] = 5
    again = segment.again([port("x", other)], [port("y", there)])
    again.run({})
    assert (there == -5).all() and (y == -2).all() and not again.misplaced()
    del segment  # the other binding holds the model
    other[...] = 6
    again.run({})
    assert (there == -6).all() and memory.untouched()


def test_in_place(tmp_path: Path) -> None:
    memory = Memory()
    x = memory.array((4, 4))
    x[...] = np.linspace(-1, 1, 16).reshape(4, 4)
    expected = np.maximum(x, 0)
    loaded(tmp_path, chain(["RELU"], (4, 4)), x, x).run({})
    assert np.array_equal(x, expected)


@pytest.mark.parametrize("offset", [4, 16, 32])
def test_an_address_that_would_be_copied_is_refused(tmp_path: Path, offset: int) -> None:
    """LiteRT's Python interface copies without a word where an address is not a multiple of 64."""
    memory = Memory()
    x, y = memory.array((4,)), memory.array((4,), offset=offset)
    with pytest.raises(BundleError, match=r"LiteRT cannot load m\.tflite: LiteRtCreateTensorBufferFromHostMemory: runtime failure"):
        loaded(tmp_path, chain(["RELU"], (4,)), x, y)
    assert LiteRtAdapter().needs.align == 64


def test_a_run_leaves_pythons_lock(tmp_path: Path) -> None:
    """A thread that wakes every millisecond does so during one long call; where the lock is held, it wakes once or twice, after it."""
    memory = Memory(1 << 24)
    shape = (1 << 20,)
    x, y = memory.array(shape), memory.array(shape)
    x[...] = 0.5
    segment = loaded(tmp_path, chain(["TANH", "EXP", "SIN"] * 30, shape), x, y)
    over, woken = threading.Event(), [0]

    def count() -> None:
        while not over.wait(0.001):
            woken[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    try:
        before = woken[0]
        segment.run({})
        seen = woken[0] - before
    finally:
        over.set()
        thread.join()
    assert seen > 5


def test_a_halted_segment_does_not_run(tmp_path: Path) -> None:
    memory = Memory()
    x, y = memory.array((4,)), memory.array((4,))
    x[...] = 1
    segment = loaded(tmp_path, chain(["NEG"], (4,)), x, y)
    assert isinstance(segment, Haltable)
    segment.halt(True)
    with pytest.raises(BundleError, match=r"the run of m\.onnx was stopped"):
        segment.run({})
    assert np.isnan(y).all()
    segment.halt(False)
    segment.run({})
    assert (y == -1).all()


@settings(max_examples=30, deadline=None, derandomize=True)
@given(kept=st.floats(0, 1, exclude_max=True))
def test_a_file_that_was_cut_off_is_one_clear_message(tmp_path_factory: pytest.TempPathFactory, kept: float) -> None:
    """LiteRT itself crashes where it is given the file's name."""
    content, memory = chain(["TANH", "RELU"], (3, 4)), Memory()
    x, y = memory.array((3, 4)), memory.array((3, 4))
    with pytest.raises(BundleError, match=r"^error: LiteRT cannot load m\.tflite: .*(not a|cut off)"):
        loaded(tmp_path_factory.mktemp("cut"), content[: int(kept * len(content))] or b"-", x, y)


def test_ports_that_are_not_the_models(tmp_path: Path) -> None:
    memory = Memory()
    x, y = memory.array((2, 6)), memory.array((2, 6))
    blob = tmp_path / "m.tflite"
    blob.write_bytes(chain(["NEG"], (2, 6)))

    def load(*ports: Port) -> None:
        LiteRtAdapter().load(tmp_path / "m.onnx", blob, ports[:1], ports[1:])

    with pytest.raises(BundleError, match=r"m\.onnx has the outputs \['y'\], the manifest lists \['z'\]"):
        load(port("x", x), port("z", y))
    with pytest.raises(BundleError, match=r"m\.onnx: y is fp32\[2, 6\], the manifest lists fp32\[3, 4\]"):
        load(port("x", x), port("y", y.reshape(3, 4)))
    with pytest.raises(BundleError, match=r"m\.onnx: x is fp32\[2, 6\], the manifest lists int32\[2, 6\]"):
        load(port("x", x, "int32"), port("y", y))
    with pytest.raises(BundleError, match=r"m\.onnx: y has no address"):
        load(port("x", x), Port("y", "fp32", None, None))


def test_an_interface_that_does_not_answer_is_replaced_by_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoglmc.compiler.devices.litert.adapter.refusal", lambda: "its C interface is another one (…)")
    memory = Memory()
    x, y = memory.array((1, 2, 3, 4)), memory.array((1, 2, 3, 4), offset=4)
    x[...] = np.linspace(-1, 1, 24).reshape(x.shape)
    segment = loaded(tmp_path, tiny_model(), x, y)
    segment.run({})
    assert np.array_equal(y, np.maximum(x, 0)) and memory.untouched()
    assert segment.copies and isinstance(segment, Remarking)
    assert list(segment.remarks) == ["LiteRT copies the inputs and outputs of m: its C interface is another one (…)"]


def test_the_probe_finds_a_wrong_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that is not known is tried in a process of its own, which a call with other arguments may crash."""
    assert probe.probe() == ""
    monkeypatch.setattr(probe, "TRIED", frozenset())
    probe.refusal.cache_clear()
    assert probe.refusal() == ""
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    real = subprocess.run
    monkeypatch.setattr(probe.subprocess, "run", lambda command, **how: real([sys.executable, "-c", crash], **how))
    probe.refusal.cache_clear()
    assert probe.refusal() == "its C interface is another one (a call ended with signal 11)"
    probe.refusal.cache_clear()


def test_another_release_and_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.4.0")
    lack = absence("litert")
    assert lack is not None and lack.reason == "LiteRT 2.4.0 is installed, and only 2.3 is supported"
    assert lack.help == "pip install 'ai-edge-litert>=2.3,<2.4'"

    def none(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", none)
    lack = absence("litert")
    assert lack is not None and lack.reason == "LiteRT (ai-edge-litert) is not installed"
