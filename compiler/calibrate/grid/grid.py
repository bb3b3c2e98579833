"""The kernels of the grid as cases to be measured."""

from __future__ import annotations

from pathlib import Path

from ..measure.measure import Case
from .dense import dense
from .kernel_model import KernelModel
from .light import light
from .narrow import narrow


def grid() -> tuple[KernelModel, ...]:
    """All kernels, names unique, always in this order."""
    found = (*dense(), *light(), *narrow())
    return tuple({kernel.name: kernel for kernel in found}.values())


def grid_cases(folder: Path) -> tuple[Case, ...]:
    """Writes their models into a folder."""
    import onnx

    cases = []
    for number, kernel in enumerate(grid()):
        path = folder / f"{number:03}.onnx"
        onnx.save_model(kernel.proto, path)
        cases.append(Case(network=kernel.name.split()[0], case=kernel.name, path=path, single=True))
    return tuple(cases)
