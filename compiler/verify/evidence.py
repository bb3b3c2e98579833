"""What a comparison proves: which outputs responded to the inputs, what was never exercised, and why equality may prove nothing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..inputs.trials import Trials
    from .trial import Trial


class Evidence:
    """Of one comparison. fixed: outputs that no input value reaches; random: tensors that are drawn, and by which operator."""

    def __init__(self, trial: Trial, trials: Trials, fixed: frozenset[str], random: Mapping[str, str]) -> None:
        self.trial, self.fixed, self.random = trial, fixed, random
        self.unfit = trials.unfit
        self.coverage = trials.coverage

    @cached_property
    def unresponsive(self) -> tuple[str, ...]:
        """Outputs that an input reaches, but that were the same on every set."""
        if not self.trial.labels:
            return ()
        live = [name for name in self.trial.untouched.outputs if name not in self.fixed and name not in self.random]
        return tuple(name for name in live if not self.coverage.outputs.get(name, False))

    @property
    def exercised(self) -> float:
        """The share of outputs that an input can reach which responded."""
        live = [name for name in self.trial.untouched.outputs if name not in self.fixed]
        return 1 - len(self.unresponsive) / len(live) if live else 1.0

    @property
    def not_exercised(self) -> tuple[str, ...]:
        """A sentence for each thing that no input set reached."""
        return self.coverage.not_exercised if self.trial.labels else ()

    @property
    def lacking(self) -> list[str]:
        """Why the comparison proves nothing, or not enough."""
        return [*self._unfit(), *self._drawn(), *self._empty(), *self._silent()]

    def _unfit(self) -> list[str]:
        if self.trial.labels:
            return []
        return [f"the model takes none of the generated inputs ({self.unfit[0]}), so nothing was compared: give some that it takes"]

    def _drawn(self) -> list[str]:
        outputs = self.trial.untouched.outputs
        return [f"output {name} is random ({self.random[name]}), so it cannot be compared" for name in outputs if name in self.random]

    def _silent(self) -> list[str]:
        return [f"output {name} does not depend on any input, so its equality proves nothing" for name in self.unresponsive]

    def _empty(self) -> list[str]:
        """Outputs for which the model itself computes no finite number on any input set."""
        import numpy

        def finite(name: str, values: Mapping[str, object]) -> bool:
            value = values[name]
            if isinstance(value, (list, tuple)) or value is None or numpy.asarray(value).dtype.kind != "f":
                return True
            array = numpy.asarray(value)
            return not array.size or bool(numpy.isfinite(array).any())

        outputs = self.trial.untouched.outputs if self.trial.labels else ()
        never = [name for name in outputs if not any(finite(name, values) for values in self.trial.expected)]
        return [
            f"output {name} of the model itself has no finite number on any input set, so its equality proves nothing" for name in never
        ]
