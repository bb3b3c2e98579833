"""What a condition may ask about, and the kinds of answers there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .operator_view import AttributeValue, TensorView

Scalar = bool | int | float | str
Value = Scalar | tuple[Scalar, ...] | None


@dataclass(frozen=True, slots=True)
class Absent:
    """The value of a question about something that is not there; every comparison with it is false."""

    what: str


@dataclass(frozen=True, slots=True)
class Every:
    """Several labelled values of which a comparison must hold for each."""

    items: tuple[tuple[str, Scalar | None], ...]


Answer = Value | Absent | Every

AXES: Mapping[int, str] = {0: "", 1: "W", 2: "HW", 3: "CHW", 4: "NCHW", 5: "NCDHW"}


def axis_letter(rank: int, axis: int) -> str:
    """Letter of an axis counted from the last (W, H, C, N; D between C and H at rank 5), or "dim 0" above rank 5."""
    return AXES[rank][axis] if rank in AXES else f"dim {axis}"


def axis_of_letter(rank: int, letter: str) -> int | None:
    """Position of that letter's axis in a tensor of this rank; None where the tensor has no such axis."""
    position = AXES.get(rank, "").find(letter)
    return position if position >= 0 else None


@dataclass(frozen=True, slots=True)
class Environment:
    """What a condition may ask: the tensors of an operator by schema name, its attributes, variables, the device."""

    tensors: Mapping[str, TensorView] = field(default_factory=dict)
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    variables: Mapping[str, Scalar | None] = field(default_factory=dict)
    native: Callable[[str], bool] | None = None

    def operand(self, name: str) -> tuple[TensorView, ...]:
        """The tensors of one operand: none if left out, several if variadic."""
        first = self.tensors.get(name)
        if first is None:
            return ()
        found = [first]
        while (more := self.tensors.get(f"{name}.{len(found)}")) is not None:
            found.append(more)
        return tuple(found)
