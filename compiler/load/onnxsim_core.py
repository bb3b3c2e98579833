"""onnxsim's compiled core without its Python package, whose import alone takes longer than a whole compilation.

`import onnxsim` runs 180,000 lines' worth of modules (sympy among them) of which simplifying needs none: 0.6 s of the 0.9 s that a
small model would take. The core is the package's own extension module, called as `onnxsim.simplify` of the pinned version calls it;
tests compare the two.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

PACKAGE, CORE = "onnxsim", "onnxsim_cpp2py_export"


def simplify_bytes(model: bytes, fold_limit: int) -> bytes:
    """Folds constants and shape arithmetic of a serialised model; no graph optimizations.

    fold_limit: bytes of a tensor above which it is not made. Raises RuntimeError and whatever else the core raises.
    """
    core = load_core()
    simple = core.simplify(
        _executor(core),
        model,
        None,  # graph optimizers to skip: None skips all
        True,  # fold constants
        True,  # infer shapes
        fold_limit,
        None,  # keep the opset
        None,  # no rewriter of ours
        True,  # initializers are constants
        False,  # local functions stay
        False,  # initializers do not become inputs
        None,  # shapes are in the model
        None,  # every output is used
        None,  # no optional optimizers
    )
    if not simple:
        raise RuntimeError("the simplified model is larger than 2 GB")
    return bytes(simple)


def load_core() -> ModuleType:
    """The extension module, under its own name, so that a later `import onnxsim` shares it."""
    name = f"{PACKAGE}.{CORE}"
    if name in sys.modules:
        return sys.modules[name]
    package = find_spec(PACKAGE)
    spec = PathFinder.find_spec(CORE, package.submodule_search_locations) if package is not None else None
    if spec is None or spec.loader is None:
        raise ImportError(f"the extension module {name} is not there: pip install onnxsim==0.8.1")
    spec.name = spec.loader.name = name  # type: ignore[attr-defined]
    core = module_from_spec(spec)
    sys.modules[name] = core
    spec.loader.exec_module(core)
    return core


def _executor(core: Any) -> Any:
    """Computes the constant subgraphs that the core hands over, with onnxruntime, single-threaded and as they stand."""

    class Executor(core.ModelExecutor):  # type: ignore[misc]
        def Run(self, model: bytes, inputs: list[bytes]) -> list[bytes]:
            return _run(model, inputs)

    return Executor()


def _run(model: bytes, inputs: list[bytes]) -> list[bytes]:
    import numpy as np
    import onnxruntime
    from onnx import ModelProto, TensorProto, numpy_helper

    from ..devices.ort_values import run_session

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_mem_pattern = False
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in ModelProto.FromString(model).graph.input]
    arrays = [numpy_helper.to_array(TensorProto.FromString(data)) for data in inputs]
    outputs = run_session(session, [value.name for value in session.get_outputs()], dict(zip(names, arrays, strict=False)))
    return [numpy_helper.from_array(np.asarray(value)).SerializeToString() for value in outputs]
