"""onnxsim's core called alone gives what its public function gives, and what another release offers is no obstacle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import onnx
import pytest
from models import NAMES, SHAPES, model_path

from autoglmc.compiler.load.bind_shapes import bind_shapes
from autoglmc.compiler.load.fold import onnxsim_core, simplify
from autoglmc.compiler.load.fold.onnxsim_core import simplify_bytes, simplify_publicly
from autoglmc.compiler.load.hide_weights import hide_weights
from autoglmc.compiler.load.load_model import load_model

LIMIT = 1 << 20
OLDER = (
    "simplify(executor: onnxsim.onnxsim_cpp2py_export.ModelExecutor, model_bytes: bytes, skip_optimizers: collections.abc.Sequence[str]"
    " | None, constant_folding: bool = True, shape_inference: bool = True, tensor_size_threshold: int) -> bytes"
)
"""Of onnxsim 0.7.0."""


def unknown_core(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Makes the core that of another release; the calls of the public function are counted in the list."""

    def simplify(*arguments: object, **options: object) -> bytes:
        raise AssertionError("a core that is not known was called")

    def counted(model: bytes, fold_limit: int) -> bytes:
        calls.append(fold_limit)
        return public(model, fold_limit)

    calls: list[int] = []
    public = simplify_publicly
    simplify.__doc__ = OLDER
    monkeypatch.setattr(onnxsim_core, "load_core", lambda: SimpleNamespace(ModelExecutor=object, simplify=simplify))
    monkeypatch.setattr(onnxsim_core, "simplify_publicly", counted)
    return calls


@pytest.mark.parametrize("name", NAMES)
def test_the_core_called_alone_gives_the_graph_that_the_package_gives(name: str) -> None:
    """Nodes, initializers, types and names, to the last field."""
    model = onnx.load(model_path(name))
    bind_shapes(model, SHAPES[name])
    hide_weights(model)  # as loading does
    fast, public = (
        onnx.ModelProto.FromString(simplify(model.SerializeToString(), LIMIT)) for simplify in (simplify_bytes, simplify_publicly)
    )
    for one in (fast, public):
        del one.metadata_props[:]  # the package's remarks, which loading replaces by the file's own
    assert fast == public and len(fast.graph.node) <= len(model.graph.node)


@pytest.mark.parametrize("name", ["bert_tiny", "magika_v3_3", "ppocr4_rec"])
def test_a_model_is_loaded_alike_with_another_release_of_onnxsim(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simplify, "fold_known", lambda model: 0)  # else these models leave nothing to onnxsim
    fast = load_model(model_path(name), SHAPES[name])
    calls = unknown_core(monkeypatch)
    slow = load_model(model_path(name), SHAPES[name])
    assert calls and fast.proto == slow.proto and fast.notes == slow.notes


def test_the_installed_core_is_the_one_that_is_called_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxsim_core, "simplify_publicly", lambda *_: pytest.fail("the package was imported"))
    model = onnx.load(model_path("lightnet"))
    assert len(onnx.ModelProto.FromString(simplify_bytes(model.SerializeToString(), LIMIT)).graph.node) <= len(model.graph.node)


@pytest.mark.parametrize("core", [None, SimpleNamespace(), SimpleNamespace(simplify=print)], ids=["no module", "no function", "another"])
def test_without_the_core_the_public_function_is_called(core: object, monkeypatch: pytest.MonkeyPatch) -> None:
    data = onnx.load(model_path("lightnet")).SerializeToString()
    expected = onnx.ModelProto.FromString(simplify_bytes(data, LIMIT))
    monkeypatch.setattr(onnxsim_core, "load_core", lambda: core)
    got = onnx.ModelProto.FromString(simplify_bytes(data, LIMIT))
    for one in (got, expected):
        del one.metadata_props[:]  # the package's remarks, which loading replaces by the file's own
    assert got == expected


@pytest.mark.parametrize("order", ["package first", "core first"])
def test_core_and_package_live_together_in_either_order(order: str) -> None:
    ours = "from autoglmc.compiler.load.fold.onnxsim_core import load_core; core = load_core()"
    theirs = "import onnxsim.onnxsim_cpp2py_export as package; from onnxsim import simplify"
    lines = [theirs, ours] if order == "package first" else [ours, theirs]
    subprocess.run([sys.executable, "-c", "; ".join([*lines, "assert core is package"])], check=True)


def test_loading_a_model_does_not_import_the_package() -> None:
    code = (
        "import sys; from pathlib import Path; from autoglmc.compiler.load.load_model import load_model;"
        "load_model(Path(sys.argv[1]), {'batch': 1}); print({'onnxsim', 'sympy', 'pandas'} & set(sys.modules))"
    )
    path: Path = model_path("lightnet")
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("function", [simplify_bytes, simplify_publicly])
def test_a_model_that_onnxsim_refuses_is_an_exception(function: object) -> None:
    with pytest.raises(Exception):  # noqa: B017 (whatever onnxsim raises; fold_constants makes a note of it)
        function(b"no model", LIMIT)  # type: ignore[operator]
