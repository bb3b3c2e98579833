"""`autoglmc check model.onnx`: five named checks before deployment, each of which runs even if another failed, where it can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from ..activity import doing
from ..devices.interruption import halting, new_run_options
from ..devices.ort_values import run_session
from ..errors import ModelError, UserError, first_line
from ..inputs.generate_inputs import generate_inputs, small_shapes
from ..load.bind_shapes import Shapes, bind_shapes, real_inputs
from ..load.checked_copy import checked_copy, type_outputs
from ..load.function_size import check_functions
from ..load.operands import check_operands
from ..load.read_model import read_model
from ..load.source import MemoryModel, Source
from ..load.structure import all_tensors, check_structure, run_checker
from ..load.versions import check_versions
from ..load.weights import check_weights, size_with_data
from ..quantities import count
from ..reference.open_untouched import Opened, light_copy, open_untouched

if TYPE_CHECKING:
    import onnx

Status = Literal["pass", "fail", "skipped"]
NO_SHAPES: Shapes = MappingProxyType({})
CHECKS = ("format", "versions", "structure", "weights", "forward")

SIZES: tuple[tuple[int, int], ...] = ((32, 32), (64, 48), (512, 64), (16, 224))
"""(length, side) tried in turn for unbound dims: token models take the first, others insist on a frame or image size."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome of one of CHECKS."""

    name: str
    """format, versions, structure, weights or forward."""
    status: Status
    """pass, fail or skipped."""
    message: str
    """What was found; for a failure what is wrong, for a skipped check why it could not run."""
    help: str = ""
    """What to do about a failure; "" where the message says it."""


def check_model(source: Source, shapes: Shapes = NO_SHAPES) -> tuple[CheckResult, ...]:
    """One result per name in CHECKS, in that order. `shapes`: sizes of dims to run the model with, as for compiling.

    Raises UsageError when there is no such file, or no dim or input of a name in `shapes`."""
    try:
        model, data = read_model(source)
    except ModelError as problem:
        skipped = (CheckResult(name, "skipped", "it cannot be read as a model") for name in CHECKS[1:])
        return (_failed("format", problem), *skipped)
    run_with = _bound(model, shapes)
    size = sum(map(len, data))
    results = [
        CheckResult("format", "pass", f"ONNX, {size} bytes, {len(model.graph.node)} operators in the main graph"),
        _run("versions", lambda: check_versions(model, "")),
        _run("structure", lambda: _structure(model)),
        _run("weights", lambda: _weights(model, source)),
    ]
    if results[-1].status == "fail":
        return (*results, CheckResult("forward", "skipped", "its weights are not complete"))
    if _run("operands", lambda: _operands(model)).status == "fail":
        return (*results, CheckResult("forward", "skipped", "onnxruntime would end this process over the operand that is left out"))
    if next(result for result in results if result.name == "structure").status == "fail":
        return (*results, CheckResult("forward", "skipped", "a runtime may hang or crash on a model whose structure is at fault"))
    return (*results, _run("forward", lambda: _forward(model, run_with, source)))


def _run(name: str, check: Callable[[], str]) -> CheckResult:
    try:
        return CheckResult(name, "pass", check())
    except UserError as problem:
        return _failed(name, problem)


def _failed(name: str, problem: UserError) -> CheckResult:
    return CheckResult(name, "fail", problem.message, problem.help)


def _structure(model: onnx.ModelProto) -> str:
    if check_structure(model, ""):
        raise ModelError("its nodes are not in topological order", help="autoglmc sorts them; other tools will refuse the model")
    check_functions(model, "")
    _operands(model)
    bare = _without_weights(model)  # a fault of those has its own name, and they may be larger than a file can be
    type_outputs(bare, "")
    run_checker(checked_copy(bare), "")
    return "onnx.checker passes; names are unique; no cycle"


def _operands(model: onnx.ModelProto) -> str:
    check_operands(model, "")
    return "no operand is left out"


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    from onnx import ModelProto, helper

    bare = ModelProto()
    bare.CopyFrom(model)
    names = {value.name for value in bare.graph.input}
    bare.graph.input.extend(
        helper.make_tensor_value_info(t.name, t.data_type, [max(d, 0) for d in t.dims])
        for t in bare.graph.initializer
        if t.name not in names
    )
    del bare.graph.initializer[:]
    return bare


def _weights(model: onnx.ModelProto, source: Source) -> str:
    external = check_weights(model, source)
    count = sum(1 for _ in all_tensors(model))
    files = sorted({place.location for place in external})
    if not files:
        return f"{count} weights, all inside the {'model' if isinstance(source, MemoryModel) else 'file'}"
    return f"{count} weights, {len(external)} of them in {', '.join(files)}"


def _bound(model: onnx.ModelProto, shapes: Shapes) -> onnx.ModelProto:
    """The model's inputs, with these sizes in the place of dims that it leaves open."""
    from onnx import ModelProto

    inputs = ModelProto()
    inputs.graph.input.extend(real_inputs(model.graph))
    if shapes:
        bind_shapes(inputs, shapes)
    return inputs


def _forward(model: onnx.ModelProto, run_with: onnx.ModelProto, source: Source) -> str:
    """Runs the model once; dims that `run_with` leaves open get the first of SIZES that works."""
    opened, options, size = _open(model, source), new_run_options(), size_with_data(model)
    problem = ""
    tried: list[dict[str, tuple[int, ...]]] = []
    for length, side in SIZES:
        shapes = small_shapes(run_with, length, side)
        if shapes in tried:
            continue
        tried.append(shapes)
        try:
            names, inputs = [value.name for value in model.graph.output], generate_inputs(model, 0, shapes)
            with doing(f"running the model with {_listed(shapes)}", size=size, halt=halting(options)):
                outputs = run_session(opened.session, names, inputs, options)
        except UserError:
            raise
        except Exception as failure:
            problem = problem or first_line(failure)
            continue
        return _describe_run(model, shapes, outputs)
    message, every = f"onnxruntime cannot run it with {_listed(tried[0])}: {problem}", "; ".join(map(_listed, tried))
    raise ModelError(message, help=f"input shapes tried: {every}{'' if len(tried) < 2 else '; --shape gives others'}")


def _describe_run(model: onnx.ModelProto, shapes: dict[str, tuple[int, ...]], outputs: list[object]) -> str:
    import numpy as np

    names = [value.name for value in model.graph.output]
    for name, output in zip(names, outputs, strict=True):
        array = np.asarray(output) if isinstance(output, np.ndarray) else np.zeros(0)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ModelError(
                f"output '{name}' is not finite for {_listed(shapes)}", help="look for a division by zero or an overflow in the model"
            )
    return f"onnxruntime runs it with {_listed(shapes)}: {count(len(outputs), 'output')}, all finite"


def _open(model: onnx.ModelProto, source: Source) -> Opened:
    try:
        with doing("loading the model into onnxruntime", size=size_with_data(model)):
            return open_untouched(*light_copy(model), source.parent if isinstance(source, Path) else None)
    except UserError:
        raise
    except Exception as problem:
        raise ModelError(f"onnxruntime cannot load it: {first_line(problem)}", help="an operator may need a newer onnxruntime") from None


def _listed(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} [{','.join(str(dim) for dim in shape)}]" for name, shape in shapes.items()) or "no input"
