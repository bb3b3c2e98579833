"""A runtime for tests that misbehaves as its words say, in this process and in the workers that ask it.

Words are pairs: `refuse Exp`, `alone Exp` (refused where it is the only operator), `wrong Tanh` (twice the result), `large Exp` (twice
the result where that is beyond 5), `near Tanh` (off by a rounding), `crash Neg`, `hang Sin`, `bug Neg` (an error that no compiler refuses
with), `pair Exp Neg` (twice Neg's result where both are in the segment), `both Exp Neg` (crashes where both are). Everything else it
computes with onnxruntime. With `joins 8+16` it compiles several segments into one file, and crashes where the first dims of their first
inputs have all of these among them.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from make_target import make_cpu, make_device, make_link, make_target

from autoglmc.compiler.devices import find_adapter as adapters
from autoglmc.compiler.devices.adapter import Absent, Needs, Port
from autoglmc.compiler.devices.ort import OrtAdapter
from autoglmc.targets.model import Runtime, Target

ORIGINAL = adapters.adapter_for


class StubAdapter:
    name = "stub"
    needs = Needs()
    suffix = ".stub"
    narrow = ""

    def __init__(self, words: tuple[str, ...]) -> None:
        self._faults: dict[str, set[str]] = {}
        self._pair: tuple[str, ...] = ()
        self._both: tuple[str, ...] = ()
        for k, word in enumerate(words):
            if word == "pair":
                self._pair = words[k + 1 : k + 3]
            elif word == "both":
                self._both = words[k + 1 : k + 3]
            elif word in ("refuse", "alone", "wrong", "large", "near", "crash", "hang", "bug"):
                self._faults.setdefault(word, set()).add(words[k + 1])

    def missing(self) -> Absent | None:
        return None

    def cannot_compile(self) -> Absent | None:
        return None

    def versions(self) -> Mapping[str, str]:
        faults = repr(sorted((k, sorted(v)) for k, v in self._faults.items()))
        return {"stub": "1", "faults": faults, "pair": " ".join(self._pair), "both": " ".join(self._both)}

    def compile(self, model: Path, blob: Path) -> None:
        loaded = onnx.load_model(model)
        kinds = {node.op_type for node in loaded.graph.node}
        for kind in sorted(kinds & self._faults.get("refuse", set())):
            raise RuntimeError(f"there is no {kind} here")
        if len(loaded.graph.node) == 1 and kinds & self._faults.get("alone", set()):
            raise RuntimeError("there must be more than one operator")
        if kinds & self._faults.get("bug", set()):
            raise KeyError("a table has no such entry")
        if kinds & self._faults.get("crash", set()) or (self._both and kinds >= set(self._both)):
            os.kill(os.getpid(), signal.SIGSEGV)
        if kinds & self._faults.get("hang", set()):
            time.sleep(1000)
        wrong = set(self._faults.get("wrong", set()))
        if self._pair and kinds >= set(self._pair):
            wrong.add(self._pair[1])
        _changed(loaded, wrong, _twice)
        _changed(loaded, self._faults.get("large", set()), _twice_where_large)
        _changed(loaded, self._faults.get("near", set()), _rounded_up)
        blob.write_bytes(loaded.SerializeToString())

    def load(self, path: Path, blob: Path | None, inputs: Sequence[Port], outputs: Sequence[Port]) -> Any:
        assert blob is not None
        return OrtAdapter().load(blob, None, inputs, outputs)


class JoiningStub(StubAdapter):
    """Whose files may hold several segments."""

    def __init__(self, words: tuple[str, ...]) -> None:
        super().__init__(words)
        self._crash = set(map(int, words[words.index("joins") + 1].split("+")))

    def join(self, models: Mapping[str, Path], blob: Path) -> None:
        loaded = [onnx.load_model(path) for path in models.values()]
        if self._crash <= {model.graph.input[0].type.tensor_type.shape.dim[0].dim_value for model in loaded}:
            sys.stderr.write(f"at {len(loaded)} functions\n")
            sys.stderr.flush()
            os.kill(os.getpid(), signal.SIGSEGV)
        blob.write_bytes(b"joined")


def _changed(model: onnx.ModelProto, operators: set[str], change: Callable[[str, str], list[onnx.NodeProto]]) -> None:
    """The results of these operators, changed by what `change` writes between a tensor and its name."""
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        copy = model.graph.node.add()
        copy.CopyFrom(node)
        if node.op_type in operators:
            copy.output[0] = f"{node.output[0]}_right"
            model.graph.node.extend(change(copy.output[0], node.output[0]))


def _twice(right: str, name: str) -> list[onnx.NodeProto]:
    return [onnx.helper.make_node("Add", [right, right], [name])]


def _twice_where_large(right: str, name: str) -> list[onnx.NodeProto]:
    return [
        onnx.helper.make_node("Constant", [], [f"{name}_five"], value_float=5.0),
        onnx.helper.make_node("Greater", [right, f"{name}_five"], [f"{name}_large"]),
        onnx.helper.make_node("Add", [right, right], [f"{name}_twice"]),
        onnx.helper.make_node("Where", [f"{name}_large", f"{name}_twice", right], [name]),
    ]


def _rounded_up(right: str, name: str) -> list[onnx.NodeProto]:
    factor = onnx.helper.make_node("Constant", [], [f"{name}_factor"], value_float=1.0 + 2.0**-23)
    return [factor, onnx.helper.make_node("Mul", [right, f"{name}_factor"], [name])]


def stub_or_real(runtime: str, words: Sequence[str] = ()) -> Any:
    if runtime != "stub":
        return ORIGINAL(runtime, words)
    return (JoiningStub if "joins" in words else StubAdapter)(tuple(words))


def use_stub(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """`runtime stub …` means StubAdapter from here on, also in processes that are started, whose Python reads sitecustomize first."""
    for module in [module for name, module in sys.modules.items() if name.startswith("autoglmc.")]:
        if getattr(module, "adapter_for", None) is ORIGINAL:
            monkeypatch.setattr(module, "adapter_for", stub_or_real)
    (folder / "sitecustomize.py").write_text(
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import stub_adapter\nfrom autoglmc.compiler.devices import find_adapter\nfind_adapter.adapter_for = stub_adapter.stub_or_real\n",
        encoding="utf-8",
    )
    places = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(places))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))


MODEL = "g (float[64,256] x) => (float[64,256] y) { a = Sin(x) b = Exp(a) c = Tanh(b) d = Cos(c) y = Sigmoid(d) }"
OPERATORS = ("Sin", "Exp", "Tanh", "Cos", "Sigmoid")


def target_with(*words: str) -> Target:
    """Where MODEL runs on a stub with these faults, by far the fastest."""
    npu = make_device("npu", OPERATORS, adapter="stub", peak=1e13, dispatch=1e-9)
    npu = replace(npu, runtime=Runtime(adapter="stub", words=words))
    return make_target([npu, make_cpu(peak=1e7)], [make_link("npu", "cpu", handoff=1e-9)])
