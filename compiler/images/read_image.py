"""An image file to the array that a model takes: pixels [3, height, width] or [height, width, 3], or patches [patches, numbers]."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..activity import doing
from ..errors import UsageError, UserError, first_line
from ..extras import need
from .settings import FILTERS, ImageSettings

if TYPE_CHECKING:
    import numpy

COLOURS = 3


def read_image(path: Path, settings: ImageSettings, shape: Sequence[int], dtype: Any) -> tuple[numpy.ndarray[Any, Any], str]:
    """The array of that shape, and what was done in a sentence. Leading dims of 1 are as many as the shape has.

    Raises UserError for a file that is no image, UsageError where what is done does not give that shape, MissingExtra without Pillow."""
    import numpy

    inner = list(shape)
    while len(inner) > 2 and inner[0] == 1:
        inner = inner[1:]
    library = need("PIL.Image", "--image")
    image = _opened(library, path)
    width, height = image.size
    pixels = numpy.asarray(_fitted(library, image, settings, path, inner), numpy.float64)
    size = pixels.shape[:2]
    if settings.scale is not None:
        pixels = pixels * settings.scale
    if settings.mean is not None and settings.std is not None:
        pixels = (pixels - settings.mean) / settings.std
    laid = _laid_out(pixels, inner, settings, path)
    if numpy.issubdtype(dtype, numpy.integer) and (settings.scale is not None or settings.mean is not None):
        raise UsageError(
            f"the model takes {numpy.dtype(dtype)}, and the image's levels are scaled", where=str(path), help="--input NAME=FILE"
        )
    said = f"{height}x{width}" + ("" if (height, width) == size else f" to {size[0]}x{size[1]}, {FILTERS[settings.filter]}")
    if settings.crop is not None:
        said += ", its middle"
    return laid.reshape(shape).astype(dtype), said


def _opened(library: Any, path: Path) -> Any:
    if not path.is_file():
        raise UsageError(f"there is no file {path}", help="--image FILE: a PNG, JPEG or another format that Pillow reads")
    try:
        with doing(f"reading {path.name}", size=path.stat().st_size), library.open(path) as image:
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, library.DecompressionBombError) as problem:
        raise UserError(f"{path.name} cannot be read as an image: {first_line(problem)}", where=str(path)) from None


def _fitted(library: Any, image: Any, settings: ImageSettings, path: Path, inner: Sequence[int]) -> Any:
    """Resized and cropped."""
    width, height = image.size
    if settings.fits_itself:
        what = f"the file of settings leaves the size to each image, and the model takes {list(inner)}"
        raise UsageError(what, where=str(path), help="say what it is resized to: --image-size HEIGHTxWIDTH")
    size = settings.size
    if settings.shorter is not None:
        least = min(width, height)
        size = height * settings.shorter // least, width * settings.shorter // least
    if size is not None and size != (height, width):
        image = image.resize((size[1], size[0]), resample=library.Resampling(settings.filter))
    if settings.crop is None:
        return image
    width, height = image.size
    top, left = (height - settings.crop[0]) // 2, (width - settings.crop[1]) // 2
    if top < 0 or left < 0:
        what = f"the middle of {settings.crop[0]}x{settings.crop[1]} pixels is larger than the image, {height}x{width}"
        raise UsageError(what, where=str(path), help="say what it is resized to: --image-size HEIGHTxWIDTH")
    return image.crop((left, top, left + settings.crop[1], top + settings.crop[0]))


def _laid_out(pixels: numpy.ndarray[Any, Any], inner: Sequence[int], settings: ImageSettings, path: Path) -> numpy.ndarray[Any, Any]:
    """pixels: [height, width, colours]. Raises UsageError where they do not become what the model takes."""
    height, width, _ = pixels.shape
    if len(inner) == 2:
        return _patches(pixels, inner, settings, path)
    if list(inner) == [COLOURS, height, width]:
        return pixels.transpose(2, 0, 1)
    if list(inner) == [height, width, COLOURS]:
        return pixels
    what = f"the image becomes {COLOURS} colours of {height}x{width} pixels, and the model takes {list(inner)}"
    raise UsageError(
        what, where=str(path), help="say what it is resized to: --image-size HEIGHTxWIDTH, or give an array: --input NAME=FILE"
    )


def _patches(pixels: numpy.ndarray[Any, Any], inner: Sequence[int], settings: ImageSettings, path: Path) -> numpy.ndarray[Any, Any]:
    """As Qwen2-VL and GLM-4V have them (transformers, image_processing_qwen2_vl.py): patches of a square of merge x merge stand together;
    the numbers of a patch are [colour, frame, row, column]."""
    patch, merge, frames, (height, width, _) = settings.patch, settings.merge, settings.frames, pixels.shape
    if not patch:
        what = f"the model takes {inner[0]} patches of {inner[1]} numbers, and how an image is cut into patches is not said"
        raise UsageError(what, where=str(path), help="give a preprocessor_config.json with patch_size: --image-config FILE")
    side = patch * merge
    made = [height // patch * (width // patch), COLOURS * frames * patch * patch]
    if height % side or width % side or made != list(inner):
        what = f"{height}x{width} pixels are {made[0]} patches of {made[1]} numbers, and the model takes {inner[0]} of {inner[1]}"
        if height % side or width % side:
            what = f"{height}x{width} pixels cannot be cut into squares of {side}x{side}"
        raise UsageError(what, where=str(path), help="say what it is resized to: --image-size HEIGHTxWIDTH")
    cut = pixels.reshape(height // side, merge, patch, width // side, merge, patch, COLOURS).transpose(0, 3, 1, 4, 6, 2, 5)
    assert prod(cut.shape[:4]) == inner[0]
    return cut[..., None, :, :].repeat(frames, axis=5)
