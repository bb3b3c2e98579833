"""In which integers a device may compute quantised operators."""

from __future__ import annotations

from ..dtypes import BITS, FLOATS
from ..model import Device
from ..support import device_dtypes, takes_all


def integer_dtypes(device: Device) -> tuple[str, ...]:
    """Dtypes that it may compute quantised operators in: those of its table, in the order of the file. With `supports all` those that it
    states a peak for, with a sign and without, since multipliers take either and so does their peak (`cost.peak_rate`)."""
    if not takes_all(device):
        return tuple(dtype for dtype in device_dtypes(device) if dtype not in FLOATS)
    plain = [peak.dtype.removeprefix("u") for peak in device.peaks]
    return tuple(dict.fromkeys(name for dtype in plain for name in (f"u{dtype}", dtype) if name in BITS and name not in FLOATS))
