"""A format that is a folder: built beside its place, then put there whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ..activity import half_written

Made = TypeVar("Made")


def in_folder(output: Path, write: Callable[[Path], Made]) -> tuple[Made, int]:
    """What `write` returns, and the bytes of the folder that it wrote."""
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".autoglmc-") as work, half_written(work):
        place = Path(work) / f"made{output.suffix.lower()}"
        made = write(place)
        size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
        os.replace(place, output)
    return made, size
