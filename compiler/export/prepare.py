"""From a model's file to what is converted: checked, every dim bound, constants folded, what exporters scattered one operator again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...passes.graph.graph import Graph
from ...passes.stages import recover, simplify, spell_out
from ..errors import UsageError
from ..load.bind_shapes import Shapes, shape_flags
from ..load.load_model import load_model
from ..load.source import Source
from ..pipeline.whole_model import graph_model

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A model that is the same for every format."""

    model: onnx.ModelProto
    """Operators of ONNX alone, weights inline, every shape known."""
    sha256: str
    """Of the source, with its external data."""
    operators: int
    """Of the source."""
    metadata: Mapping[str, str]
    notes: tuple[str, ...]
    """What was done on the way that a user may want to know."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of the inputs."""
        return {value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim) for value in self.model.graph.input}


def prepare(source: Source, shapes: Shapes | None = None, whole: Collection[str] | None = None) -> Prepared:
    """whole: operators that the format has; those that stand for several and are not among them are written as the several. None: all.

    Raises ModelError for a model that is damaged or not supported, UsageError for a wrong path or shape, or a dim without a size."""
    loaded = load_model(source, shapes)
    if loaded.unbound:
        message = f"dynamic dims without a size: {', '.join(loaded.unbound)}; the file is written for one size"
        raise UsageError(message, where=str(source), help=f"bind them: {shape_flags(loaded.proto)}")
    operators = len(loaded.proto.graph.node)
    graph = Graph(loaded.proto)
    recover(graph)
    simplify(graph)
    if whole is not None:
        spell_out(graph, whole)
    return Prepared(model=graph_model(graph), sha256=loaded.sha256, operators=operators, metadata=loaded.metadata, notes=loaded.notes)
