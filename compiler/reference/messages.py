"""What the child process is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .rounding import Chains


@dataclass(frozen=True, slots=True)
class Open:
    """A model to evaluate from now on."""

    path: str | None
    """Where it lies; None where it comes as `data`."""
    data: bytes
    memory: int
    """Bytes that the process may take; 0 for any."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The model as the child sees it."""

    outputs: tuple[str, ...]
    made: tuple[str, ...]
    """Tensors of the main graph that an operator writes."""
    refused: str
    """Why onnxruntime does not load the model, its optimisations off; "" if it does."""
    problem: str
    """Why nothing can be evaluated at all; "" otherwise."""
    size: int = 0
    """Bytes, weights included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One set of inputs, and what to do with it."""

    inputs: Mapping[str, Any]
    tensors: tuple[str, ...] = ()
    """Wanted besides the outputs."""
    own: bool = True
    """Run by onnxruntime, in the model's own dtypes."""
    optimised: bool = False
    """And with onnxruntime's optimisations."""
    exact: bool = True
    """Evaluated in float64."""
    half: bool = False
    """And with every number rounded to fp16."""
    floats: bool = False
    """And with the steps that activations were quantised to left out, and taken otherwise (float_source.py), in float64."""
    noise: int = 0
    """And that many times with random rounding in the declared dtypes."""
    first: int = 0
    """Of the seeds of that."""
    chained: Chains = ""
    """Those sums then being added up one term after the other, however long they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Values by tensor name; what was not asked for is None or empty."""

    own: Mapping[str, Any] | None = None
    own_problem: str = ""
    """Why onnxruntime refuses these inputs."""
    optimised: Mapping[str, Any] | None = None
    exact: Mapping[str, Any] | None = None
    exact_problem: str = ""
    """Why there is no float64 result."""
    points: frozenset[tuple[str, str]] = frozenset()
    """Sides of operators that the values reached."""
    work: int = 0
    """Elementary operations that evaluating it took."""
    half: Mapping[str, Any] | None = None
    floats: Mapping[str, Any] | None = None
    """None, too, where the model quantises no activations."""
    steps: tuple[Mapping[str, Any], ...] = ()
    """With the steps of activations taken otherwise; asked for by `floats`, too."""
    noise: tuple[Mapping[str, Any], ...] = ()
    faults: Mapping[str, str] = field(default_factory=dict)
    """Operators that onnxruntime computes wrong, and how."""
    unchecked: Mapping[str, str] = field(default_factory=dict)
    """Operators whose value rests on one implementation, and why."""
