"""A runtime for tests that misbehaves as its words say, in this process and in the workers that ask it.

Words are pairs: `refuse Exp`, `wrong Tanh` (twice the result), `crash Neg`, `hang Sin`, `pair Exp Neg` (twice Neg's result where both are
in the segment). Everything else it computes with onnxruntime.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
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
        for k, word in enumerate(words):
            if word == "pair":
                self._pair = words[k + 1 : k + 3]
            elif word in ("refuse", "wrong", "crash", "hang"):
                self._faults.setdefault(word, set()).add(words[k + 1])

    def missing(self) -> Absent | None:
        return None

    def cannot_compile(self) -> Absent | None:
        return None

    def versions(self) -> Mapping[str, str]:
        return {"stub": "1", "faults": repr(sorted((k, sorted(v)) for k, v in self._faults.items())), "pair": " ".join(self._pair)}

    def compile(self, model: Path, blob: Path) -> None:
        loaded = onnx.load_model(model)
        kinds = {node.op_type for node in loaded.graph.node}
        for kind in sorted(kinds & self._faults.get("refuse", set())):
            raise RuntimeError(f"there is no {kind} here")
        if kinds & self._faults.get("crash", set()):
            os.kill(os.getpid(), signal.SIGSEGV)
        if kinds & self._faults.get("hang", set()):
            time.sleep(1000)
        wrong = set(self._faults.get("wrong", set()))
        if self._pair and kinds >= set(self._pair):
            wrong.add(self._pair[1])
        _double(loaded, wrong)
        blob.write_bytes(loaded.SerializeToString())

    def load(self, path: Path, blob: Path | None, inputs: Sequence[Port], outputs: Sequence[Port]) -> Any:
        assert blob is not None
        return OrtAdapter().load(blob, None, inputs, outputs)


def _double(model: onnx.ModelProto, operators: set[str]) -> None:
    """The results of these operators are twice what they should be."""
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        copy = model.graph.node.add()
        copy.CopyFrom(node)
        if node.op_type in operators:
            copy.output[0] = f"{node.output[0]}_half"
            model.graph.node.append(onnx.helper.make_node("Add", [copy.output[0]] * 2, [node.output[0]]))


def stub_or_real(runtime: str, words: Sequence[str] = ()) -> Any:
    return StubAdapter(tuple(words)) if runtime == "stub" else ORIGINAL(runtime, words)


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
