"""Calibration samples of a decoder: a text is its tokens; masks, positions and empty caches are added, so that the model reads it whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..inputs.followed import followed_value
from ..load.bind_shapes import Shapes, real_inputs
from .pairs import caches_of
from .request import StateRequest
from .step_inputs import StepInputs, step_inputs

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True)
class WholeTexts:
    """Of one decoder."""

    inputs: StepInputs
    values: Mapping[str, onnx.ValueInfoProto]
    placed: tuple[str, ...]
    """Inputs of positions and masks that every step of the bundle is given (--given)."""
    length: int
    """Tokens that the caches hold at most."""

    @property
    def given(self) -> tuple[str, ...]:
        """Inputs that a sample has arrays for."""
        made = {*self.inputs.followed, *(cache.past for cache in (*self.inputs.caches, *self.inputs.replaced))}
        return tuple(name for name in self.values if name not in made)

    @property
    def stepped(self) -> tuple[str, ...]:
        """Inputs that a step of the bundle is given: of a completed sample."""
        return tuple(dict.fromkeys((*self.given, *self.placed)))

    @property
    def caches(self) -> frozenset[str]:
        """Outputs that are caches."""
        return frozenset(cache.present for cache in (*self.inputs.caches, *self.inputs.replaced))

    def completed(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """With every input of the model. Raises UsageError for inputs that have different numbers of tokens, or none."""
        import numpy as np
        from onnx import helper

        lengths = {name: sample[name].shape[axis] for name, axis in self.inputs.axes.items()}
        if len(set(lengths.values())) != 1 or not min(lengths.values()):
            raise UsageError(f"a calibration sample has {lengths} tokens", help="one number of them, at least 1, in all inputs")
        tokens = min(lengths.values())
        if tokens > self.length:
            what = f"a calibration sample has {tokens} tokens, and the caches hold {self.length}"
            raise UsageError(what, help="give shorter texts, or a larger --max-length")
        named = {name: size for name, size in self.inputs.given.items() if isinstance(size, int)}
        sizes = {**named, self.inputs.tokens: tokens, self.inputs.batch: 1}
        fed = {name: followed_value(self.values[name], sizes, 0, tokens) for name in self.inputs.followed}
        for cache in (*self.inputs.caches, *self.inputs.replaced):
            kind = self.values[cache.past].type.tensor_type
            axis = None if cache in self.inputs.replaced else cache.axis
            each = (dim.dim_value or sizes.get(dim.dim_param, 1) for dim in kind.shape.dim)
            shape = [0 if k == axis else size for k, size in enumerate(each)]
            fed[cache.past] = np.zeros(shape, helper.tensor_dtype_to_np_dtype(kind.elem_type))
        return {**sample, **fed}


def whole_texts(model: onnx.ModelProto, request: StateRequest, shapes: Shapes, where: str) -> WholeTexts:
    """Raises as `caches_of` and `step_inputs`."""
    inputs = step_inputs(model, caches_of(model, request, where), shapes, where)
    assert request.length is not None, "the caller has looked: it has caches"
    return WholeTexts(inputs, {value.name: value for value in real_inputs(model.graph)}, request.given, request.length)
