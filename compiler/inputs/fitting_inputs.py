"""Generated inputs that the untouched model takes: one that indexes, divides or reshapes by an input refuses most of what is generated.

Inputs that the model itself refuses, or for which it computes outputs of another shape than it declares, say nothing about a bundle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import ModelError

if TYPE_CHECKING:
    import onnx

Values = Mapping[str, Any]
LONGEST_REASON = 300
"""Characters of a runtime's message."""


class Runner(Protocol):
    """The untouched model."""

    def run(self, inputs: Values) -> dict[str, Any]:
        """Outputs by name. Raises ModelError for inputs that the model refuses."""
        ...


@dataclass(slots=True)
class MadeUp:
    """Generates inputs, and keeps those that the untouched model takes."""

    model: onnx.ModelProto
    reference: Runner
    shapes: Mapping[str, tuple[int, ...]]
    """Full shapes of the inputs that the model leaves open."""
    inputs: tuple[str, ...]
    outputs: Mapping[str, tuple[int, ...] | None] = field(default_factory=dict)
    """Shapes that the bundle has memory for; an output that is missing here may have any."""
    unfit: list[str] = field(default_factory=list)
    """Why inputs could not be used, each reason once."""

    def attempt(self, seed: int) -> tuple[Values, dict[str, Any]] | None:
        """Generated inputs and the model's outputs for them; None where it does not take these, and `unfit` says why."""
        from .generate_inputs import generate_inputs

        try:
            made = generate_inputs(self.model, seed, self.shapes)
            values = {name: made[name] for name in self.inputs if name in made}
            expected = self.reference.run(values)
        except ModelError as refusal:
            self._note(refusal.message.splitlines()[0][:LONGEST_REASON])
            return None
        if problem := misfit(self.model, self.outputs, expected):
            self._note(problem)
            return None
        return values, expected

    def _note(self, reason: str) -> None:
        if reason not in self.unfit:
            self.unfit.append(reason)


def misfit(model: onnx.ModelProto, kept: Mapping[str, tuple[int, ...] | None], outputs: Values) -> str:
    """An output with memory in the bundle (`kept`: shapes) whose shape is another one than the model declares; "" if there is none."""
    for value in model.graph.output:
        shape = kept.get(value.name)
        if shape is None or not hasattr(outputs[value.name], "shape"):
            continue
        stated = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        found = outputs[value.name].shape
        if stated == list(shape) and found != shape:
            return f"the model computes {value.name} in shape {list(found)}, but declares {stated}"
    return ""
