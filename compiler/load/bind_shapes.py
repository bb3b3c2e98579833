"""Give dynamic dims a size: `--shape batch=1,seq=32` by the dim's name, `--shape x=1x3x48x320` by the input's."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ..errors import UsageError, did_you_mean
from .structure import all_graphs

if TYPE_CHECKING:
    import onnx

Shapes = Mapping[str, int | tuple[int, ...]]

LARGEST = 2**31 - 1
NAMELESS = frozenset({"", "?", "*", "-1", "None", "none", "unk", "unknown"})
PLAIN = re.compile(r"[^\s,=]+")
FORM = "write --shape batch=1,seq=32 or --shape x=1x3x48x320"


def parse_shapes(words: Iterable[str]) -> dict[str, int | tuple[int, ...]]:
    """{"batch": 1, "x": (1, 3, 48, 320)} from the values of every --shape; raises UsageError."""
    found: dict[str, int | tuple[int, ...]] = {}
    for word in words:
        for part in word.split(","):
            name, equals, size = (text.strip() for text in part.rpartition("="))
            if not equals or not name or not re.fullmatch(r"[0-9]+(x[0-9]+)*", size):
                raise UsageError(f"cannot read --shape '{word}'", help=FORM)
            sizes = tuple(int(text) for text in size.split("x"))
            if max(sizes) > LARGEST or min(sizes) == 0:
                raise UsageError(f"--shape {part.strip()}: a dim must be from 1 to {LARGEST}", help=FORM)
            value: int | tuple[int, ...] = sizes if len(sizes) > 1 else sizes[0]
            if found.setdefault(name, value) != value:
                raise UsageError(f"--shape gives '{name}' twice, as {_show(found[name])} and as {_show(value)}", help=FORM)
    return found


def bind_shapes(model: onnx.ModelProto, shapes: Shapes) -> None:
    """Writes the sizes into the graph's inputs, and wherever else a bound dim's name occurs, in place; raises UsageError."""
    _name_apart(model.graph)
    inputs = {value.name: value for value in real_inputs(model.graph)}
    symbols = {dim.dim_param for value in inputs.values() for dim in _dims(value) if dim.dim_param}
    bound: dict[str, int] = {}
    for name, given in shapes.items():
        if isinstance(given, int) and name in symbols:
            _agree(bound, name, given)
        elif name in inputs:
            _bind_input(inputs[name], (given,) if isinstance(given, int) else tuple(given), bound)
        elif name in symbols:
            raise UsageError(f"--shape {name}={_show(given)}: '{name}' is one dim, not an input", help=f"write --shape {name}=N")
        else:
            raise UsageError(
                f"--shape {name}={_show(given)}: the model has no dim or input of that name", help=_choices(name, inputs, symbols)
            )
    _replace_symbols(model.graph, bound)
    for value in inputs.values():
        if value.type.HasField("tensor_type") and not value.type.tensor_type.HasField("shape"):
            help = f"--shape {value.name}=1x3x224x224 gives it one"
            raise UsageError(f"input '{value.name}' has no shape, not even a number of dims", help=help)


def unbound_dims(model: onnx.ModelProto) -> tuple[str, ...]:
    """The dims of graph inputs that have no size: by name, or as "input x dim 0" for those without one."""
    return tuple(
        dict.fromkeys(
            dim.dim_param or f"input {v.name} dim {i}" for v in real_inputs(model.graph) for i, dim in enumerate(_dims(v)) if _open(dim)
        )
    )


def shape_flags(model: onnx.ModelProto) -> str:
    """The --shape that would bind every open dim: by name where a dim has one that can be typed, else the whole input, N for a size."""
    named: dict[str, None] = {}
    inputs: dict[str, None] = {}
    for value in real_inputs(model.graph):
        names = [dim.dim_param for dim in _dims(value) if _open(dim)]
        if all(PLAIN.fullmatch(name) for name in names):
            named.update(dict.fromkeys(f"{name}=N" for name in names))
        elif names:
            inputs[f"{value.name}={'x'.join('N' if _open(dim) else str(dim.dim_value) for dim in _dims(value))}"] = None
    flags = [",".join(named), *inputs]
    return " ".join(f"--shape {shlex.quote(flag)}" for flag in flags if flag)


def real_inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """The inputs a caller must feed: those without an initializer as default."""
    defaults = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in defaults]


def _dims(value: onnx.ValueInfoProto) -> list[onnx.TensorShapeProto.Dimension]:
    return list(value.type.tensor_type.shape.dim)


def _open(dim: onnx.TensorShapeProto.Dimension) -> bool:
    return not dim.HasField("dim_value") or dim.dim_value < 0


def _name_apart(graph: onnx.GraphProto) -> None:
    """Clears names that mean "unknown", such as "?": two dims of such a name need not be equal."""
    for part in all_graphs(graph):
        for value in (*part.input, *part.output, *part.value_info):
            for dim in _dims(value):
                if dim.HasField("dim_param") and dim.dim_param.strip() in NAMELESS:
                    dim.ClearField("dim_param")


def _bind_input(value: onnx.ValueInfoProto, given: tuple[int, ...], bound: dict[str, int]) -> None:
    """Sizes for one input; a name that occurs twice in it with two sizes is used by the exporter for "any", and binds nothing else."""
    dims = _dims(value)
    flag = f"--shape {value.name}={_show(given)}"
    if not value.type.HasField("tensor_type"):
        raise UsageError(f"{flag}: input '{value.name}' is not a tensor")
    if not value.type.tensor_type.HasField("shape"):
        dims = [value.type.tensor_type.shape.dim.add() for _ in given]
    if len(dims) != len(given):
        raise UsageError(f"{flag}: input '{value.name}' has {len(dims)} dims, not {len(given)}", help=f"its shape is {_declared(value)}")
    for dim, size in zip(dims, given, strict=True):
        if not _open(dim) and dim.dim_value not in (0, size):
            raise UsageError(
                f"{flag}: input '{value.name}' has the fixed shape {_declared(value)}", help="only dynamic dims can be given a size"
            )
        if dim.dim_param and len({s for d, s in zip(dims, given, strict=True) if d.dim_param == dim.dim_param}) == 1:
            _agree(bound, dim.dim_param, size)
    for dim, size in zip(dims, given, strict=True):
        dim.dim_value = size


def _agree(bound: dict[str, int], name: str, size: int) -> None:
    if bound.setdefault(name, size) != size:
        raise UsageError(
            f"--shape gives dim '{name}' two sizes, {bound[name]} and {size}", help="the inputs that share a dim must agree on it"
        )


def _replace_symbols(graph: onnx.GraphProto, bound: Mapping[str, int]) -> None:
    """Sizes for bound names; -1, as some exporters write "any", becomes a dim without a size."""
    for part in all_graphs(graph):
        for value in (*part.input, *part.output, *part.value_info):
            for dim in _dims(value):
                if dim.dim_param in bound:
                    dim.dim_value = bound[dim.dim_param]
                elif dim.HasField("dim_value") and dim.dim_value < 0:
                    dim.ClearField("dim_value")


def _choices(name: str, inputs: Mapping[str, onnx.ValueInfoProto], symbols: set[str]) -> str:
    shapes = ", ".join(f"{value.name} {_declared(value)}" for value in inputs.values())
    hint = did_you_mean(name, [*symbols, *inputs])
    return f"{hint}{' ' if hint.endswith('?') else '; ' if hint else ''}the inputs are {shapes}"


def _declared(value: onnx.ValueInfoProto) -> str:
    return "[" + ", ".join(str(dim.dim_param or ("?" if _open(dim) else dim.dim_value)) for dim in _dims(value)) + "]"


def _show(size: int | tuple[int, ...]) -> str:
    return "x".join(str(dim) for dim in size) if isinstance(size, tuple) else str(size)
