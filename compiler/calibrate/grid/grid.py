"""All kernels of the grid."""

from __future__ import annotations

from .dense import dense
from .kernel_model import KernelModel
from .light import light
from .narrow import narrow


def grid() -> tuple[KernelModel, ...]:
    """All kernels, names unique, always in this order."""
    found = (*dense(), *light(), *narrow())
    return tuple({kernel.name: kernel for kernel in found}.values())
