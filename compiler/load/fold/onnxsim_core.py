"""onnxsim's folding of constants and shapes, called on its compiled core where that is possible, else through its public function.

`import onnxsim` also loads its quantisers, exporters and provers, none of which folding needs. Measured (onnxsim 0.8.1) on top of onnx and
onnxruntime, which are imported anyway: 0.27 s of processor time, 21 MiB and 207 modules for the package; 0.006 s, 2 MiB and 5 modules for
its extension module alone. The extension module is not public: it is called only if its function has exactly the parameters that are known
here (0.8.1), by name. Any other release in pyproject.toml's range goes through `onnxsim.simplify`. Tests compare the two.
"""

from __future__ import annotations

import re
import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

PACKAGE, CORE = "onnxsim", "onnxsim_cpp2py_export"
FIXED: dict[str, Any] = {
    "skip_optimizers": None,  # skips all
    "constant_folding": True,
    "shape_inference": True,
    "target_opset_version": None,
    "rewriter": None,
    "initializers_as_constants": True,
    "include_inline_functions": False,
    "mutable_initializer": False,
    "overwrite_input_shapes": None,
    "unused_output": None,
    "extra_optimizers": None,
}
"""The arguments of the core's `simplify` besides the executor, the model and the limit: what `onnxsim.simplify` passes for
`perform_optimization=False` and nothing else."""


def simplify_bytes(model: bytes, fold_limit: int) -> bytes:
    """Folds constants and shape arithmetic of a serialised model; no graph optimizations.

    fold_limit: bytes of a tensor above which it is not made. Raises ImportError without onnxsim, RuntimeError for a result above 2 GiB,
    and whatever onnxsim raises for a model that it refuses.
    """
    core = load_core()
    if core is None or not _known_call(core):
        return simplify_publicly(model, fold_limit)
    simple = core.simplify(executor=_executor(core), model_bytes=model, tensor_size_threshold=fold_limit, **FIXED)
    if not simple:
        raise RuntimeError("the simplified model is larger than 2 GiB")
    return bytes(simple)


def simplify_publicly(model: bytes, fold_limit: int) -> bytes:
    """`simplify_bytes` through the package's public function. Raises as that does."""
    import onnxsim
    from onnx import ModelProto

    # releases from 0.8 on prove the result equal where a prover is installed, which takes seconds; verification is ours
    unwanted = {"certify": False} if _accepts(onnxsim.simplify, "certify") else {}
    limit = f"{fold_limit}B"
    simple, checked = onnxsim.simplify(ModelProto.FromString(model), perform_optimization=False, tensor_size_threshold=limit, **unwanted)
    if not checked:
        raise RuntimeError("onnxsim's own check of the simplified model failed")
    data: bytes = simple.SerializeToString()
    return data


def _accepts(function: Any, name: str) -> bool:
    """Whether a function, or a decorator around it, has a parameter of that name."""
    from inspect import signature

    while function is not None:
        if name in signature(function, follow_wrapped=False).parameters:
            return True
        function = getattr(function, "__wrapped__", None)
    return False


def load_core() -> ModuleType | None:
    """The extension module, under its own name, so that a later `import onnxsim` shares it; None where there is none of that name."""
    name = f"{PACKAGE}.{CORE}"
    if name in sys.modules:
        return sys.modules[name]
    package = find_spec(PACKAGE)
    spec = PathFinder.find_spec(CORE, package.submodule_search_locations) if package is not None else None
    if spec is None or spec.loader is None:
        return None
    spec.name = spec.loader.name = name  # type: ignore[attr-defined]
    core = module_from_spec(spec)
    sys.modules[name] = core
    spec.loader.exec_module(core)
    return core


def _known_call(core: Any) -> bool:
    """Whether the core's function has the parameters that are passed here, and no other; nanobind states them in the docstring."""
    stated = getattr(getattr(core, "simplify", None), "__doc__", None) or ""
    names = set(re.findall(r"[(,]\s*(\w+): ", stated))
    return hasattr(core, "ModelExecutor") and names == {"executor", "model_bytes", "tensor_size_threshold", *FIXED}


def _executor(core: Any) -> Any:
    """Computes the constant subgraphs that the core hands over, with onnxruntime, single-threaded and as they stand."""

    class Executor(core.ModelExecutor):  # type: ignore[misc]
        def Run(self, model: bytes, inputs: list[bytes]) -> list[bytes]:
            return _run(model, inputs)

    return Executor()


def _run(model: bytes, inputs: list[bytes]) -> list[bytes]:
    import numpy as np
    from onnx import ModelProto, TensorProto, numpy_helper

    from ...devices.cpu_session import open_session
    from ...devices.interruption import run_options
    from ...devices.ort_values import run_session

    session = open_session(model, optimise=False, threads=1)
    names = [value.name for value in ModelProto.FromString(model).graph.input]
    arrays = [numpy_helper.to_array(TensorProto.FromString(data)) for data in inputs]
    outputs = run_session(session, [value.name for value in session.get_outputs()], dict(zip(names, arrays, strict=False)), run_options())
    return [numpy_helper.from_array(np.asarray(value)).SerializeToString() for value in outputs]
