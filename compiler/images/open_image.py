"""An image file to red, green and blue of 8 bits, the right way up."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from ..activity import doing
from ..errors import UsageError, UserError, first_line
from ..extras import need

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""Others are refused: Pillow hands EPS to Ghostscript, and its readers of rarer ones are little tested against hostile files."""
ORIENTATION = 0x0112
"""The EXIF tag; 1 is upright (EXIF 2.32, 4.6.4)."""


def open_image(path: Path) -> tuple[Any, bool, tuple[str, ...]]:
    """A Pillow image of mode RGB, whether the file's EXIF orientation turned or mirrored it, and what Pillow warned of.

    Raises UsageError where there is no file, UserError for one that is no image of FORMATS or has more than 8 bits of grey, MissingExtra
    without Pillow."""
    library, turn = need("PIL.Image", "--image"), need("PIL.ImageOps", "--image").exif_transpose
    if not path.is_file():
        raise UsageError(f"there is no file {path}", help=f"--image FILE: {', '.join(FORMATS)}")
    try:
        with (
            warnings.catch_warnings(record=True) as caught,
            doing(f"reading {path.name}", size=path.stat().st_size),
            library.open(path, formats=FORMATS) as image,
        ):
            warnings.simplefilter("always")
            _check_levels(image.mode, path)
            turned = image.getexif().get(ORIENTATION, 1) in range(2, 9)
            upright = (turn(image) if turned else image).convert("RGB")
            return upright, turned, tuple(dict.fromkeys(str(one.message).partition("\n")[0] for one in caught))
    except UserError:
        raise
    except Exception as problem:  # Pillow's readers share no base class, and a corrupt file raises whatever it meets
        what = f"{path.name} cannot be read as an image: {first_line(problem)}"
        raise UserError(what, where=str(path), help=f"these are read: {', '.join(FORMATS)}") from None


def _check_levels(mode: str, path: Path) -> None:
    """Pillow cuts grey of more than 8 bits off at 255 where it becomes RGB, and which level is white is not known."""
    if mode == "F" or mode.startswith("I"):
        what = f"{path.name} has grey levels of more than 8 bits (Pillow's mode {mode}), and colours from 0 to 255 are needed"
        raise UserError(what, where=str(path), help="save it with 8 bits for each colour, or give an array: --input NAME=FILE")
