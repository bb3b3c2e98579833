"""What an attempt of the search may not use: the target with its denials, disabled rules, and the plan to take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...passes.place.placed import Placement
from ...passes.place.segment import Segment
from ...passes.rule.rewrite import Decision
from ...targets.model import Device, OperatorRule, Target
from ..bundle.blobs.blob_cache import content_key
from ..devices.ort_settings import OrtSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsOfSegment:
    """What onnxruntime's CPU leaves out for a segment, because it makes it wrong or fails on it."""

    key: str
    """Of the segment's content, so that the settings hold in whatever plan it comes back."""
    settings: OrtSettings
    decision: Decision
    wrong: bool = True
    """By more than rounding ever explains, so that this stays whatever comes. Else it is taken back where the bundle is refused again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    denials: tuple[tuple[str, OperatorRule], ...] = ()
    """(device, operators kept off it under a condition), as a `deny` line of the target would say it."""
    barred: frozenset[str] = frozenset()
    """Devices that get no operator: those given up, and idle ones that could not be judged here."""
    disabled: frozenset[str] = frozenset()
    """Rules not to use at all: those of --disable, and those whose result a device gets wrong."""
    forms: frozenset[str] = frozenset()
    """Approximations too coarse for the error limits of the target."""
    plan: Placement | None = None
    """A plan to take instead of the fastest."""

    settings: tuple[SettingsOfSegment, ...] = ()

    def settings_for(self, segments: Sequence[Segment]) -> dict[int, SettingsOfSegment]:
        """By index, of the segments that have some."""
        known = {one.key: one for one in self.settings}
        keys = {segment.index: key_of(segment) for segment in segments} if known else {}
        return {index: known[key] for index, key in keys.items() if key in known}

    @property
    def without(self) -> frozenset[str]:
        """Names of all rules that are not to be used."""
        return self.disabled | self.forms

    def applied_to(self, target: Target) -> Target:
        """The target with the denials written into its devices, and empty tables for those barred."""
        if not self.denials and not self.barred:
            return target
        return replace(target, devices=tuple(map(self._constrained, target.devices)))

    def _constrained(self, device: Device) -> Device:
        if device.name in self.barred:
            return replace(device, supports=())
        return replace(device, denies=(*device.denies, *(rule for name, rule in self.denials if name == device.name)))


def key_of(segment: Segment) -> str:
    """Equal for segments of equal content, wherever they stand in a plan."""
    model = segment.without_weights()
    model.graph.name = ""
    return content_key(model, segment.constants)
