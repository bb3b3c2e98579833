"""Where a model comes from: a file, or a ModelProto in memory, which a gs.Graph becomes. Both have a name for messages (`str`) and can
be read again.

A model in memory is never changed, and never serialised as a whole: it may be larger than one protobuf message can be.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ...passes.mapped.mapped_tensor import DataGone, inlined, whole_size
from ..errors import ModelError, UsageError
from ..exchange.from_gs import is_surgeon_graph, model_of
from .part_of import GRAPH, INITIALIZER, part_of
from .read_light import head_of, refuse_stubs

if TYPE_CHECKING:
    import onnx
    import onnx_graphsurgeon as gs

HELP = "give the path of an .onnx file, an onnx.ModelProto or an onnx_graphsurgeon.Graph"


@dataclass(frozen=True, slots=True, eq=False)
class MemoryModel:
    """A ModelProto that somebody else owns; `name` stands for it in messages."""

    proto: onnx.ModelProto
    name: str

    def __str__(self) -> str:
        return self.name

    def copy(self) -> onnx.ModelProto:
        """The model, for the caller to change."""
        made = type(self.proto)()
        made.CopyFrom(self.proto)
        return made

    def serialised(self) -> Iterator[bytes]:
        """What `SerializeToString` returns, in pieces of one weight at most."""
        yield part_of(self.proto, lambda number: number < GRAPH).SerializeToString()
        graph = self.proto.graph
        before = part_of(graph, lambda number: number < INITIALIZER).SerializeToString()
        after = part_of(graph, lambda number: number > INITIALIZER).SerializeToString()
        sizes = [whole_size(tensor) for tensor in graph.initializer]
        heads = [head_of(INITIALIZER, size) for size in sizes]
        yield head_of(GRAPH, len(before) + sum(map(len, heads)) + sum(sizes) + len(after)) + before
        for head, tensor in zip(heads, graph.initializer, strict=True):
            yield head
            yield inlined(tensor).SerializeToString()
        yield after
        yield part_of(self.proto, lambda number: number > GRAPH).SerializeToString()


Source: TypeAlias = Path | MemoryModel
"""A model to read; `str()` names it in messages."""
State: TypeAlias = tuple[int, int]
"""Of a file: bytes, and nanoseconds of the last change."""
Model: TypeAlias = "str | os.PathLike[str] | onnx.ModelProto | gs.Graph"
"""What a caller of the Python API gives as a model."""


def source_of(model: Model | MemoryModel) -> Source:
    """The source of a model as a caller gives it. Raises UsageError for anything but a path, a ModelProto or a gs.Graph, ModelError for a
    gs.Graph that cannot be written as a model."""
    if is_surgeon_graph(model):
        model = model_of(model)
    if isinstance(model, MemoryModel):
        return model
    if isinstance(model, (str, os.PathLike)):
        path = os.fspath(model)
        if isinstance(path, str):
            return Path(path)
    elif _is_model(model):
        refuse_stubs(model, "<model>")
        return MemoryModel(model, f"<model {model.graph.name}>" if model.graph.name else "<model>")
    kinds = "a path, an onnx.ModelProto or an onnx_graphsurgeon.Graph"
    raise UsageError(f"a model is {kinds}, not {type(model).__name__}", help=_advice(model))


def folder_of(source: Source, weight: str) -> Path:
    """Where the data file of `weight` lies. Raises ModelError for a model in memory: it does not know the file it was read from."""
    if isinstance(source, Path):
        return source.parent
    message = f"the data of weight '{weight}' is in another file, and a model in memory has no folder to find it in"
    raise ModelError(message, where=str(source), help="load the weights too, onnx.load(path), or give the path instead of the model")


def beside(source: Source, ending: str) -> Path:
    """Where a result goes by default: `dir/model.onnx` -> `dir/model.<ending>`. Raises UsageError for a model in memory."""
    if isinstance(source, Path):
        return source.parent / f"{source.stem}.{ending}"
    message = "a model in memory has no folder to put the result beside"
    raise UsageError(message, where=str(source), help=f"say where it goes: output='model.{ending}'")


def states_of(files: Iterable[Path]) -> Mapping[Path, State]:
    """What they are like now."""
    return {file: _state(file) for file in files}


def check_unchanged(before: Mapping[Path, State]) -> None:
    """Raises ModelError for a file that is not as it was."""
    for file, state in before.items():
        if _state(file) != state:
            message = "the file was changed while the model was compiled, so the bundle would have parts of two models"
            raise ModelError(message, where=str(file), help="compile again once nothing writes to it")


def _state(file: Path) -> State:
    try:
        found = file.stat()
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


def _is_model(value: object) -> bool:
    """Without importing onnx: whoever has a ModelProto has imported it."""
    import sys

    onnx = sys.modules.get("onnx")
    return onnx is not None and isinstance(value, onnx.ModelProto)


def _advice(value: object) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "onnx.load_model_from_string(data) makes a model of the bytes of an .onnx file"
    if type(value).__name__ == "GraphProto":
        return "onnx.helper.make_model(graph) makes a model of a graph"
    return HELP


def weights_gone(problem: Exception) -> ModelError | None:
    """Weights that were in their file when the model was read, and are not there any more, as a message for a user; None for any other
    problem."""
    advice = "leave the model and its data files as they are until the command has ended, and run it again"
    return ModelError(str(problem), help=advice) if isinstance(problem, DataGone) else None
