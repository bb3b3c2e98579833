"""What the outputs should be on one input set, and how they may be rounded: from the reference's answers to samples for the judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..reference.messages import Answer
from .terms import Sample


@dataclass(frozen=True, slots=True)
class Expectation:
    """Values by tensor name."""

    label: str
    """Of the input set."""
    expected: Mapping[str, Any]
    own: Mapping[str, Any]
    """In the model's own dtypes."""
    roundings: tuple[Mapping[str, Any], ...]
    """`own` first, then the other ways to round."""
    optimised: Mapping[str, Any] | None
    floats: Mapping[str, Any] | None = None
    """Before activations were quantised; None where the model quantises none."""
    steps: tuple[Mapping[str, Any], ...] = ()
    """And with their steps taken otherwise."""

    @staticmethod
    def of(label: str, answer: Answer, rounded: Answer, more: tuple[Mapping[str, Any], ...] = ()) -> Expectation:
        """answer: of the untouched model; rounded: of the same inputs, rounded in other ways; more: further ways."""
        assert answer.own is not None
        half = () if rounded.half is None else (rounded.half,)
        ways = (answer.own, *rounded.noise, *half, *more)
        return Expectation(label, expected_of(answer), answer.own, ways, rounded.optimised, rounded.floats, rounded.steps)

    def sample(self, name: str, got: Any) -> Sample:
        """A tensor beside what was got for it."""
        other = None if self.optimised is None else self.optimised[name]
        floats = None if self.floats is None else self.floats[name]
        steps = tuple(way[name] for way in self.steps)
        return Sample(self.label, self.expected[name], got, tuple(way[name] for way in self.roundings), other, floats, steps)


def expected_of(answer: Answer) -> Mapping[str, Any]:
    """What is right: the float64 evaluation, or where there is none what onnxruntime says."""
    found = answer.exact if answer.exact is not None else answer.own
    assert found is not None
    return found
