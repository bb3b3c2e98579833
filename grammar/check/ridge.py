"""HW0307: a peak and a bandwidth that do not go together, because one of the two has a slip in its unit."""

from __future__ import annotations

from collections.abc import Sequence

from ...targets.model import Device, Memory
from ..lower.context import Context

SMALL, SLOW = 64 << 20, 10e9
"""Bytes and bytes a second: memory of a microcontroller, or a scratchpad on the chip."""
TYPICAL, TYPICAL_SMALL = (1.0, 10_000.0), (0.005, 10_000.0)
"""Operations per byte at which a device becomes compute-bound: an application processor or accelerator on DRAM (a desktop's cores some 10,
a phone's NPU some 500); a core without SIMD, or an accelerator beside its own SRAM, takes far fewer."""


def check_ridge(device: Device, memories: Sequence[Memory], context: Context) -> None:
    """`memories`: those that the device shares. Judged against the one that it is planned with: a scratchpad beside that, or flash, says
    nothing of its peaks."""
    working = [memory for memory in memories if "activations" in memory.holds]
    if not working:
        return
    home = max(working, key=lambda memory: (memory.budget, memory.name))
    low, high = TYPICAL_SMALL if home.size < SMALL or home.bandwidth < SLOW else TYPICAL
    ridges = {peak.dtype: peak.rate * device.sustained / home.bandwidth for peak in device.peaks}
    usual = [ridge for ridge in ridges.values() if low <= ridge <= high]
    for dtype, ridge in ridges.items():
        if not any(1 / 100 <= ridge / other <= 100 for other in usual):  # a slower dtype beside a usual one is no slip of the unit
            message = f"`{device.name}` needs {ridge:.3g} operations per byte of `{home.name}` to be compute-bound; "
            message += f"{low:g} to {high:.0f} is typical"
            span = context.spans[f"device.{device.name}.peak.{dtype}"]
            context.report.add("warning", "HW0307", span, message, "check the units of peak and bandwidth")
            break
