"""Changes of the model itself that let a device take an operator: indices of another integer width, an input frozen to a constant."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ...passes.graph.graph import Graph
from ...passes.graph.node import Node
from ...targets.dtypes import ELEMENT, NUMPY
from ...targets.model import Device, Target
from ...targets.operator_view import OperatorView
from ...targets.support import Yes, supports
from ..pipeline.work import Work
from .change import Change

NARROWER = (("int64", "int32"), ("uint64", "uint32"), ("fp64", "fp32"))
SWITCH = 4
"""Elements of the largest graph input that is taken for a setting (a sampling rate, a threshold), which an export could freeze."""


def model_changes(work: Work, views: Sequence[OperatorView], tensors: Sequence[str], device: str) -> Iterator[Change]:
    """Only those after which the device's table takes all of the operators."""
    asked, target = work.target.device(device), work.target
    for wide, narrow in NARROWER:
        if any(t.dtype == wide for t in views[0].inputs.values()) and _accepted(asked, target, [_cast(v, wide, narrow) for v in views]):
            text = f"compute {_plural(len(views), 'it', 'them')} on {narrow} in the model: Cast before, Cast back after"
            note = f"if the values fit {narrow}"
            yield Change("dtype", text, "", note, partial(on_each, partial(_insert_casts, wide, narrow)))
    for label in list(views[0].inputs)[1:]:
        if any(label not in v.inputs or v.inputs[label].const for v in views):
            continue
        fed = dict.fromkeys(name for v in views for name in inputs_behind(work.graph, v.inputs[label].name))
        settings = all((work.graph.tensor(name).elements or SWITCH + 1) <= SWITCH for name in fed)
        if settings and _accepted(asked, target, [_frozen(v, label) for v in views]):
            named = ", ".join(f"`{name}`" for name in fed)
            text = f"freeze {named} to a constant when exporting: {label} is then known" if fed else f"make {label} a constant of the model"
            yield Change("constant", text, "", "every run then uses that value", partial(on_each, partial(_freeze, label)))


def inputs_behind(graph: Graph, tensor: str) -> tuple[str, ...]:
    """The graph inputs that a tensor depends on, in the order of the graph."""
    seen, pending, found = {tensor}, [tensor], set()
    while pending:
        name = pending.pop()
        node = graph.producer(name)
        if node is None:
            found.add(name)
            continue
        fresh = [read for read in node.reads if read not in seen]
        seen.update(fresh)
        pending.extend(fresh)
    return tuple(name for name in graph.inputs if name in found)


def _accepted(device: Device, target: Target, views: Sequence[OperatorView]) -> bool:
    return all(isinstance(supports(device, view, target.precision), Yes) for view in views)


def _cast(view: OperatorView, wide: str, narrow: str) -> OperatorView:
    inputs = {label: replace(t, dtype=narrow) if t.dtype == wide else t for label, t in view.inputs.items()}
    outputs = {label: replace(t, dtype=narrow) if t.dtype == wide else t for label, t in view.outputs.items()}
    return replace(view, inputs=inputs, outputs=outputs)


def _frozen(view: OperatorView, label: str) -> OperatorView:
    return replace(view, inputs={name: replace(t, const=True) if name == label else t for name, t in view.inputs.items()})


def on_each(edit: Callable[[Graph, Node], str | None], work: Work, tensors: Sequence[str]) -> tuple[Work, tuple[str, ...]] | None:
    """`edit` on every operator; it returns the tensor that the operator writes afterwards."""
    made = []
    for tensor in tensors:
        node = work.graph.producer(tensor)
        written = edit(work.graph, node) if node is not None else None
        if written is None:
            return None
        made.append(written)
    work.graph.sweep()
    return replace(work, question=None, placement=None), tuple(made)


def _insert_casts(wide: str, narrow: str, graph: Graph, node: Node) -> str | None:
    """The node on narrower operands, its results cast back; the tensor that it writes."""
    before: list[Node] = []
    reads = []
    for name in node.inputs:
        if name and graph.tensor(name).dtype == wide:
            before.append(graph.node("Cast", [name], to=ELEMENT[narrow]))
            name = before[-1].outputs[0]
        reads.append(name)
    twin = graph.node(node.operator, reads, outputs=len(node.outputs), domain=node.domain)
    twin.attributes = dict(node.attributes)
    graph.infer([*before, twin])
    after: list[Node] = []
    results = {}
    for old, new in zip(node.outputs, twin.outputs, strict=True):
        if graph.tensor(new).dtype != graph.tensor(old).dtype:
            after.append(graph.node("Cast", [new], to=ELEMENT[graph.tensor(old).dtype]))
            new = after[-1].outputs[0]
        results[old] = new
    graph.replace(node, [*before, twin, *after], results)
    return twin.outputs[0]


def _freeze(label: str, graph: Graph, node: Node) -> str | None:
    """The operand as a constant of ones: only its being known matters here, not its value."""
    import numpy as np

    view = graph.view(node).inputs.get(label)
    if view is None or view.dtype not in NUMPY or view.shape is None or None in view.shape:
        return None
    value: np.ndarray[Any, Any] = np.ones([d or 0 for d in view.shape], NUMPY[view.dtype])
    graph.set_input(node, node.inputs.index(view.name), graph.constant(value, "frozen"))
    return node.outputs[0]


def _plural(count: int, one: str, many: str) -> str:
    return one if count == 1 else many
