"""All kernels of the grid."""

from __future__ import annotations

from .dense import dense
from .kernel_model import KernelModel
from .kinds import kinds
from .light import light
from .narrow import narrow
from .rare import rare


def grid() -> tuple[KernelModel, ...]:
    """All kernels, names unique, always in this order."""
    found = (*dense(), *light(), *kinds(), *rare(), *narrow())
    return tuple({kernel.name: kernel for kernel in found}.values())
