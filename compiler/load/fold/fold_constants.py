"""Fold whatever depends on no input: shape arithmetic with onnxsim, on the graph alone, then what meets large weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..hide_weights import Hidden, hide_weights, restore_weights
from .fold_cones import fold_cones
from .gather_first import gather_first
from .lift_constants import constants_to_initializers
from .simplify import fold_shapes

if TYPE_CHECKING:
    import onnx

ROUNDS = 3
"""A shape that depends on the values of a weight makes more constant; no real model needs more rounds than this."""


def fold_constants(model: onnx.ModelProto, hidden: Hidden) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """The folded model with its weights, every tensor typed as far as can be; with notes for the user. Takes over both."""
    notes: dict[str, None] = {}
    for _ in range(ROUNDS):
        model, failed = fold_shapes(model, hidden.names)
        notes.update(dict.fromkeys(failed))
        constants_to_initializers(model.graph)
        restore_weights(model, hidden)
        moved = gather_first(model)
        folding = fold_cones(model)
        if not folding.revealing and not moved:
            break
        hidden = hide_weights(model)
    else:
        model, _ = fold_shapes(model, hidden.names)
        restore_weights(model, hidden)
    return model, (*notes, *folding.notes())
