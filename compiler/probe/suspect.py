"""A model that onnxruntime's CPU may compute wrong, or fail on, by its own optimisations: whether it does, by which, and what it costs to
do without them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..devices.ort_settings import DEFAULT, OFF, OrtSettings
from ..quantities import time
from .optimiser_fault import Tried, find_settings, told
from .settings_process import Ran
from .value_gap import Ceiling, gap


@dataclass(frozen=True, slots=True, kw_only=True)
class Blamed:
    """settings: with which it is right; None where nothing that can be left out makes it so."""

    settings: OrtSettings | None
    fault: Tried
    cost: str
    """Of leaving that out, in words; "" without settings."""

    def accusation(self, what: str, wrong: bool = True) -> str:
        """onnxruntime's optimiser A computes `what` wrong (y off by 5.3, cosine 0.744). `wrong`: by more than rounding ever explains."""
        names = () if self.settings is None else self.settings.optimizers_off
        if len(names) == 1:
            return f"onnxruntime's optimiser {names[0]} {self._does(what, *(('computes', 'fails on') if wrong else ('rounds', '')))}"
        whose = f"optimisers {', '.join(names[:-1])} and {names[-1]}" if names else "optimisations"
        none = "" if names else ", and no few of them are at fault"
        return f"onnxruntime's {whose} {self._does(what, *(('compute', 'fail on') if wrong else ('round', '')))}{none}"

    def _does(self, what: str, computes: str, fails: str) -> str:
        if self.fault.problem:
            return f"{fails} {what} ({told(self.fault.problem)})"
        how = "wrong" if fails else "further off than is allowed"
        return f"{computes} {what} {how} ({self.fault.words})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    run: Callable[..., Ran]
    """`SettingsProcess.run` of the model and its inputs: takes settings, and `timed`."""
    right: Mapping[str, Any]
    """Its outputs without optimisations."""
    allowed: Ceiling
    may_try: Callable[[int], bool]
    """Counts tries, and says whether there may be so many more."""
    tell: Callable[[], object]
    """Called before the search for what is at fault begins."""

    def blame(self) -> Blamed | None:
        """None where it is right, or may not be tried."""
        fault = self._try(DEFAULT)
        if fault is None or not fault.suspicious:
            return None
        self.tell()
        settings = find_settings(self._try, fault)
        return Blamed(settings=settings, fault=fault, cost="" if settings is None else self._cost(settings, fault))

    def _try(self, settings: OrtSettings) -> Tried | None:
        if not self.may_try(1):
            return None
        ran = self.run(settings)
        if ran.problem:
            return Tried(ran.problem, 0.0)
        found = gap(self.right, ran.outputs, self.allowed)
        return Tried("", found.score, found.words)

    def _cost(self, settings: OrtSettings, fault: Tried) -> str:
        if fault.problem:
            return "unknown, since it does not run otherwise"
        ran = self.run(DEFAULT, settings, timed=True)
        return "unknown" if ran.problem else cost(*ran.seconds)


def cost(before: Sequence[float], after: Sequence[float]) -> str:
    """In words: the medians of runs that took turns, and whether the difference is more than their spread."""
    medians = statistics.median(before), statistics.median(after)
    times = f"{time(medians[0])} before, {time(medians[1])} now, medians of {len(before)} runs in turn"
    (low, _, _), (_, _, high) = (statistics.quantiles(seconds, n=4) for seconds in (after, before))
    if low <= high:
        return f"none beyond the spread of the measurement ({times})"
    return f"{medians[1] / medians[0]:.2f}x of its time ({times})"


def remedy(settings: OrtSettings) -> str:
    """What is done about a segment."""
    if settings.optimizers_off:
        return f"{'they are' if len(settings.optimizers_off) > 1 else 'it is'} disabled for this segment"
    return "it runs without any" if settings == OFF else f"it runs with its {settings.optimisation} ones alone"
