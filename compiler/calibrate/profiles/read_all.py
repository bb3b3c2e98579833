"""Profiles and the bundles that they are of, from files to one measurement."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ....targets.model import Device, Target
from ...errors import UsageError
from ...run.bundle import Bundle
from ..records import Measurement
from .of_bundle import Imported, import_profiles
from .other_tools import profile_of
from .rows import ProfileFile, text_of

TIME = re.compile(r"(\d{1,12}(?:\.\d{1,20})?)\s*(us|ms|s)")
UNITS: Mapping[str, float] = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


def parse_latency(text: str) -> float:
    """Seconds of "8.1ms". Raises UsageError."""
    found = TIME.fullmatch(text.strip())
    if found is None or float(found[1]) == 0:
        raise UsageError(f"--latency {text[:40]}: not a time", help="a number with us, ms or s: --latency 8.1ms")
    return float(found[1]) * UNITS[found[2]]


def read_any(path: Path, latency: float | None, model: str = "") -> ProfileFile:
    """A profile in any form that is known. Raises UsageError, ProfileError."""
    return profile_of(text_of(path), str(path), model, latency)


def read_all(profiles: Sequence[Path], bundles: Sequence[Path], latency: float | None, target: Target, device: Device | None) -> Imported:
    """One bundle for all profiles, or one for each, in their order; `device`: the only one of the bundles' segments where None.

    Raises UsageError, BundleError, ProfileError."""
    if len(bundles) not in (1, len(profiles)):
        raise UsageError(f"{len(profiles)} profiles and {len(bundles)} bundles", help="give one --bundle, or one for each --profile")
    if latency is not None and len(profiles) > 1:
        raise UsageError(
            "--latency is of one profile", help="write it into each as a LATENCY row: --convert FILE --latency TIME -o OUT.csv"
        )
    pairs = zip(profiles, bundles if len(bundles) > 1 else list(bundles) * len(profiles), strict=True)
    found = [_one(path, Bundle.load(folder), latency, target, device) for path, folder in pairs]
    first = found[0].measurement
    other = next((one.measurement for one in found if one.measurement.device != first.device), None)
    if other is not None:
        raise UsageError(f"the bundles' segments are on {first.device} and {other.device}", help="--device NAME")
    segments = tuple(segment for one in found for segment in one.measurement.segments)
    environment = {key: value for one in found for key, value in one.measurement.environment.items()}
    whole = Measurement(device=first.device, runtime=first.runtime, environment=environment, segments=segments)
    unjoined = {case: share for one in found for case, share in one.unjoined.items()}
    return Imported(whole, unjoined, sum(one.memory_rows for one in found))


def _one(path: Path, bundle: Bundle, latency: float | None, target: Target, device: Device | None) -> Imported:
    on = sorted({segment.device for segment in bundle.manifest.segments})
    if bundle.manifest.target.name != target.name:
        raise UsageError(f"{bundle.folder} was compiled for {bundle.manifest.target.name}, not for {target.name}")
    if device is None and len(on) > 1:
        raise UsageError(f"{bundle.folder} has segments on {', '.join(on)}", help=f"--device {' or '.join(on)}")
    profile = read_any(path, latency, bundle.folder.name)
    return import_profiles([profile], bundle.folder, bundle.manifest, target, device or target.device(on[0]))
