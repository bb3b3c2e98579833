"""What an attempt of the search may not use: the target with its denials, disabled rules, and the plan to take."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...passes.place.placed import Placement
from ...targets.model import OperatorRule, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    denials: tuple[tuple[str, OperatorRule], ...] = ()
    """(device, operators kept off it under a condition), as a `deny` line of the target would say it."""
    disabled: frozenset[str] = frozenset()
    """Rules not to use at all: those of --disable, and those whose result a device gets wrong."""
    forms: frozenset[str] = frozenset()
    """Approximations too coarse for the error limits of the target."""
    plan: Placement | None = None
    """A plan to take instead of the fastest."""

    @property
    def without(self) -> frozenset[str]:
        """Names of all rules that are not to be used."""
        return self.disabled | self.forms

    def applied_to(self, target: Target) -> Target:
        """The target with the denials written into its devices."""
        if not self.denials:
            return target
        more = {device.name: tuple(rule for name, rule in self.denials if name == device.name) for device in target.devices}
        return replace(target, devices=tuple(replace(device, denies=(*device.denies, *more[device.name])) for device in target.devices))
