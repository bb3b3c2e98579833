"""What caches of fewer bits than the model's change: the untouched model with every row of a cache rounded before anything reads it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from ...bundle.entries import views
from ...devices.views import numpy_dtype
from ...errors import VerifyError
from ...load.bind_shapes import real_inputs
from ...load.read_model import read_model
from ...load.source import MemoryModel, Source
from ...load.weights import check_weights, load_external
from ...reference.recall import Recalling
from ...reference.store import default_store
from ..trial import Untouched

if TYPE_CHECKING:
    import onnx

    from ...bundle.manifest import Manifest


class StoredCaches:
    """The untouched model with caches as a bundle keeps them, beside the untouched one."""

    def __init__(self, source: Source, dtypes: Mapping[str, str], opened: ExitStack) -> None:
        """opened: ends its process."""
        self._where, self._dtypes = str(source), dtypes
        self._model = Untouched(opened.enter_context(Recalling(with_stored_caches(source, dtypes), default_store())), ())

    def ways(self, inputs: Mapping[str, Any], noise: int) -> tuple[Mapping[str, Any], ...]:
        """What it computes, rounded in its own dtypes and at random. noise: one of NOISE."""
        answer = self._model.answer(inputs)
        assert answer.own is not None
        return (answer.own, *self._model.roundings(inputs, half=False, noise=noise).noise)

    def check(self, expected: Mapping[str, Any]) -> None:
        """expected: outputs of the untouched model. Raises VerifyError for a cache with numbers that its dtype does not hold."""
        import numpy as np

        for name, dtype in self._dtypes.items():
            finite = np.abs(expected[name][np.isfinite(expected[name])])
            most = float(np.finfo(numpy_dtype(dtype)).max)
            if finite.size and finite.max() > most:
                what = f"the cache '{name}' has values up to {finite.max():.3g}, and {dtype} holds {most:g} at most"
                raise VerifyError(what, where=self._where, help="leave out --cache-dtype: the model's own dtype holds them")


def stored_caches(source: Source, model: onnx.ModelProto, manifest: Manifest, opened: ExitStack) -> StoredCaches | None:
    """None where the bundle keeps its caches in the dtypes of the model. model: without weights."""
    dtypes = narrower_caches(model, manifest)
    return StoredCaches(source, dtypes, opened) if dtypes else None


def narrower_caches(model: onnx.ModelProto, manifest: Manifest) -> dict[str, str]:
    """The dtype in the bundle of each cache that has another one in the model, by output."""
    from onnx import helper

    slots = {slot.tensor: slot.dtype for slot in views(manifest)[0].arena.slots}
    given = {value.name: helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type) for value in real_inputs(model.graph)}
    return {state.present: slots[state.past] for state in manifest.states if numpy_dtype(slots[state.past]) != given[state.past]}


def with_stored_caches(source: Source, dtypes: Mapping[str, str]) -> MemoryModel:
    """dtypes: by output that is a cache."""
    model, _ = read_model(source)
    if check_weights(model, source):
        load_external(model, source)
    for name, dtype in dtypes.items():
        _round(model.graph, name, dtype)
    return MemoryModel(model, f"{source} with caches in {', '.join(dict.fromkeys(dtypes.values()))}")


def _round(graph: onnx.GraphProto, present: str, dtype: str) -> None:
    """In place. Whatever reads the cache reads it rounded; nothing changes where nothing of this graph makes it."""
    from onnx import helper

    makers = {output: k for k, node in enumerate(graph.node) for output in node.output}
    name = present
    while name in makers and graph.node[makers[name]].op_type == "Identity":
        name = graph.node[makers[name]].input[0]
    if name not in makers:
        return
    own = next(value.type.tensor_type.elem_type for value in graph.output if value.name == present)
    node, raw, narrow = graph.node[makers[name]], f"{name}.unrounded", f"{name}.{dtype}"
    kept = helper.np_dtype_to_tensor_dtype(numpy_dtype(dtype))
    node.output[list(node.output).index(name)] = raw
    casts = helper.make_node("Cast", [raw], [narrow], to=kept), helper.make_node("Cast", [narrow], [name], to=own)
    nodes = [*graph.node[: makers[name] + 1], *casts, *graph.node[makers[name] + 1 :]]
    del graph.node[:]
    graph.node.extend(nodes)
