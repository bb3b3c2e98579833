from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from models import NAMES, SHAPES, model_path

from autoglmc.compiler.load.bind_shapes import bind_shapes
from autoglmc.compiler.load.onnxsim_core import simplify_bytes

LIMIT = 1 << 20


@pytest.mark.parametrize("name", [name for name in NAMES if "resnet" not in name])
def test_the_core_called_alone_does_what_the_package_does(name: str) -> None:
    import onnxsim

    model = onnx.load(model_path(name))
    bind_shapes(model, SHAPES[name])
    expected, _ = onnxsim.simplify(model, perform_optimization=False, tensor_size_threshold=f"{LIMIT}B", certify=False)
    got = onnx.ModelProto.FromString(simplify_bytes(model.SerializeToString(), LIMIT))
    assert len(got.graph.node) <= len(model.graph.node)
    for one in (got, expected):
        del one.metadata_props[:]
    assert got == expected


@pytest.mark.parametrize("order", ["package first", "core first"])
def test_core_and_package_live_together_in_either_order(order: str) -> None:
    ours = "from autoglmc.compiler.load.onnxsim_core import load_core; core = load_core()"
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


def test_a_model_the_core_refuses_is_an_exception() -> None:
    with pytest.raises(Exception):  # noqa: B017 (whatever the core raises; simplify() makes a note of it)
        simplify_bytes(b"no model", LIMIT)
