"""Inputs for comparing a decoder step by step: random tokens, and what goes with them for the untouched model, whose past is empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...bundle.manifest import Manifest
from ...inputs.followed import POSITIONS, followed_value, follows
from ...load.bind_shapes import real_inputs

if TYPE_CHECKING:
    import onnx

NOTHING: Mapping[str, Sequence[int]] = {}
FEWEST = 2
"""Whole numbers that any table has, for an input that is looked up in none."""


class StepFeeds:
    """Of one model. axes: by input, the axis that tokens are along; pasts: the shape of each cache that is empty; shapes: of inputs that a
    step takes, where dims that tokens are not along have sizes that the file does not state."""

    def __init__(
        self,
        model: onnx.ModelProto,
        axes: Mapping[str, int],
        pasts: Mapping[str, Sequence[int]],
        shapes: Mapping[str, Sequence[int]] = NOTHING,
    ) -> None:
        self._model, self._axes, self._pasts, self._shapes = model, axes, pasts, shapes
        self._tables = _tables(model)

    def __call__(self, seed: int, tokens: int) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Inputs that a session takes, and all that the model takes, for so many tokens."""
        import numpy as np
        from onnx import helper

        draw = np.random.default_rng(seed)
        given: dict[str, Any] = {}
        whole: dict[str, Any] = {}
        for value in real_inputs(self._model.graph):
            dims, name = list(value.type.tensor_type.shape.dim), value.name
            dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
            shape = list(self._shapes.get(name, [dim.dim_value or 1 for dim in dims]))
            if name in self._pasts:
                whole[name] = np.zeros(self._pasts[name], dtype)
            elif name in self._axes:
                shape[self._axes[name]] = tokens
                whole[name] = given[name] = self._drawn(draw, name, shape, dtype)
            elif follows(value):
                whole[name] = followed_value(value, self._sizes(tokens), 0, tokens)
            else:
                whole[name] = given[name] = np.ones(shape, dtype)
        return given, whole

    def _drawn(self, draw: Any, name: str, shape: list[int], dtype: Any) -> Any:
        if dtype.kind == "f":
            return draw.standard_normal(shape).astype(dtype)
        if POSITIONS in name.lower():
            return draw.integers(0, max(shape) + 1, shape).astype(dtype)
        return draw.integers(0, self._tables.get(name, FEWEST), shape).astype(dtype)

    def _sizes(self, tokens: int) -> dict[str, int]:
        """Of named dims: that of the tokens, and all others that token inputs have, which are 1."""
        found: dict[str, int] = {}
        for value in real_inputs(self._model.graph):
            shape = self._shapes.get(value.name)
            for axis, dim in enumerate(value.type.tensor_type.shape.dim):
                if dim.dim_param and (value.name in self._axes or shape is not None):
                    found[dim.dim_param] = tokens if axis == self._axes.get(value.name) else 1 if shape is None else shape[axis]
        return found


def empty_caches(manifest: Manifest) -> dict[str, tuple[int, ...]]:
    """By cache, its shape without a row; by state that is replaced, its shape."""
    shapes = {slot.tensor: slot.shape for slot in manifest.arena.slots}
    axes = {state.past: state.axis if state.length else None for state in manifest.states}
    return {past: tuple(0 if k == axis else size for k, size in enumerate(shapes[past])) for past, axis in axes.items()}


def stated_shapes(manifest: Manifest) -> dict[str, tuple[int, ...]]:
    """Of inputs other than caches, as a bundle has them."""
    pasts = {state.past for state in manifest.states}
    return {value.name: tuple(value.shape) for value in manifest.model.inputs if value.name not in pasts and value.shape is not None}


def _tables(model: onnx.ModelProto) -> dict[str, int]:
    """Rows of the table in which an input is looked up."""
    rows = {tensor.name: tensor.dims[0] for tensor in model.graph.initializer if tensor.dims}
    looked = [node for node in model.graph.node if node.op_type == "Gather" and node.input[0] in rows]
    return {node.input[1]: rows[node.input[0]] for node in looked}
