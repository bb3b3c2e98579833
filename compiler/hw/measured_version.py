"""HW0709: a calibration that was measured with another version of its runtime than the one that is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ...grammar import Diagnostic, Resolved, Span
from ...grammar.text.syntax import Statement
from ...targets.model import Device, Target

Installed = Callable[[Device], Mapping[str, str]]
"""By name, in lower case, the versions of what runs a device's segments here; empty where nothing does."""


def other_versions(target: Target, resolved: Resolved, installed_for: Installed) -> Iterator[Diagnostic]:
    """A warning for each calibration of a runtime that is here in another version."""
    for device in target.devices:
        if device.calibration is None or not device.calibration.version:
            continue
        name, _, stated = device.calibration.version.rpartition(" ")
        installed = installed_for(device).get(name.lower(), "")
        span = _span(resolved, device.name)
        if span is not None and stated and installed and not _same(installed, stated):
            message = f"measured with {device.calibration.version}, and {name} {installed} is installed: its rates may differ"
            help = f"run `autoglmc calibrate --target {target.name} --measure`, or install that version"
            yield Diagnostic("HW0709", "warning", span, message, help)


def _same(installed: str, stated: str) -> bool:
    """Builds of one version are the same: 2026.4.0-18345 is 2026.4.0."""
    return installed == stated or (installed.startswith(stated) and not installed[len(stated)].isalnum() and installed[len(stated)] != ".")


def _span(resolved: Resolved, device: str) -> Span | None:
    """Where the device's calibration states its version."""
    for item in _statements(resolved.target):
        if item.head.text == "device" and item.words[:1] == (device,):
            lines = (line for block in _statements(item) if block.head.text == "calibration" for line in _statements(block))
            return next((line.args[0].span for line in lines if line.head.text == "version"), None)
    return None


def _statements(item: Statement | None) -> Iterator[Statement]:
    return (inner for inner in (item.body if item is not None else None) or () if isinstance(inner, Statement))
