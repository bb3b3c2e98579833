"""An image file to the array that a model takes: pixels [3, height, width] or [height, width, 3], or patches [patches, numbers]."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from .open_image import open_image
from .settings import FILTERS, ImageSettings

if TYPE_CHECKING:
    import numpy

COLOURS = 3
MOST_CUT_OFF = 64
"""A resized image has at most so many times the pixels of its middle that is kept: one pixel wide and thousands high, it would take all
memory, and the middle would show next to nothing of it."""


def read_image(path: Path, settings: ImageSettings, shape: Sequence[int], dtype: Any) -> tuple[numpy.ndarray[Any, Any], str]:
    """The array of that shape, and what was done in a sentence. Leading dims of 1 are as many as the shape has.

    Raises UserError as `open_image`, UsageError where what is done does not give that shape (before it is done), MissingExtra without
    Pillow."""
    import numpy

    inner = list(shape)
    while len(inner) > 2 and inner[0] == 1:
        inner = inner[1:]
    image, turned, warned = open_image(path)
    width, height = image.size
    pixels = numpy.asarray(_fitted(image, settings, path, inner), numpy.float64)
    size = pixels.shape[:2]
    if settings.scale is not None:
        pixels = pixels * settings.scale
    if settings.mean is not None and settings.std is not None:
        pixels = (pixels - settings.mean) / settings.std
    laid = _laid_out(pixels, inner, settings)
    if numpy.issubdtype(dtype, numpy.integer) and (settings.scale is not None or settings.mean is not None):
        raise UsageError(
            f"the model takes {numpy.dtype(dtype)}, and the image's levels are scaled", where=str(path), help="--input NAME=FILE"
        )
    said = f"{height}x{width}" + ("" if (height, width) == size else f" to {size[0]}x{size[1]}, {FILTERS[settings.filter]}")
    if settings.crop is not None:
        said += ", its middle"
    if turned:
        said += ", turned as its EXIF orientation says"
    said += "".join(f"; Pillow: {text}" for text in warned)
    return laid.reshape(shape).astype(dtype), said


def _fitted(image: Any, settings: ImageSettings, path: Path, inner: Sequence[int]) -> Any:
    """Resized and cropped. Raises UsageError, before either, where the model does not take what it becomes."""
    width, height = image.size
    size = _resized(height, width, settings, path, inner)
    kept = settings.crop or size
    top, left = (size[0] - kept[0]) // 2, (size[1] - kept[1]) // 2
    if top < 0 or left < 0:
        what = f"the middle of {kept[0]}x{kept[1]} pixels is larger than the image, {size[0]}x{size[1]}"
        raise UsageError(what, where=str(path), help="say what it is resized to: --image-size HEIGHTxWIDTH")
    _check_taken(kept, inner, settings, path)
    if size != (height, width):
        if prod(size) > MOST_CUT_OFF * prod(kept):
            what = f"the image, {height}x{width}, would be resized to {size[0]}x{size[1]} for its middle of {kept[0]}x{kept[1]}: "
            what += f"more than {MOST_CUT_OFF} times as many pixels"
            raise UsageError(what, where=str(path), help="crop the image, or say what it is resized to: --image-size HEIGHTxWIDTH")
        image = image.resize((size[1], size[0]), resample=settings.filter)
    return image if kept == size else image.crop((left, top, left + kept[1], top + kept[0]))


def _resized(height: int, width: int, settings: ImageSettings, path: Path, inner: Sequence[int]) -> tuple[int, int]:
    """Height and width that the image is resized to."""
    if settings.fits_itself:
        what = f"the file of settings leaves the size to each image, and the model takes {list(inner)}"
        raise UsageError(what, where=str(path), help="say what it is resized to: --image-size HEIGHTxWIDTH")
    if settings.shorter is not None:
        least = min(width, height)
        return height * settings.shorter // least, width * settings.shorter // least
    return settings.size or (height, width)


def _check_taken(size: tuple[int, int], inner: Sequence[int], settings: ImageSettings, path: Path) -> None:
    """Raises UsageError where an image of that height and width does not become what the model takes."""
    height, width = size
    if len(inner) == 2:
        _check_patches(size, inner, settings, path)
    elif list(inner) not in ([COLOURS, height, width], [height, width, COLOURS]):
        what = f"the image becomes {COLOURS} colours of {height}x{width} pixels, and the model takes {list(inner)}"
        help = "say what it is resized to: --image-size HEIGHTxWIDTH, or give an array: --input NAME=FILE"
        raise UsageError(what, where=str(path), help=help)


def _check_patches(size: tuple[int, int], inner: Sequence[int], settings: ImageSettings, path: Path) -> None:
    patch, merge, frames, (height, width) = settings.patch, settings.merge, settings.frames, size
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


def _laid_out(pixels: numpy.ndarray[Any, Any], inner: Sequence[int], settings: ImageSettings) -> numpy.ndarray[Any, Any]:
    """pixels: [height, width, colours], of a size that `_check_taken` found right."""
    height, width, _ = pixels.shape
    if len(inner) == 2:
        return _patches(pixels, settings)
    return pixels.transpose(2, 0, 1) if list(inner) == [COLOURS, height, width] else pixels


def _patches(pixels: numpy.ndarray[Any, Any], settings: ImageSettings) -> numpy.ndarray[Any, Any]:
    """As Qwen2-VL and GLM-4V have them (transformers, image_processing_qwen2_vl.py): patches of a square of merge x merge stand together;
    the numbers of a patch are [colour, frame, row, column]."""
    patch, merge, (height, width, _) = settings.patch, settings.merge, pixels.shape
    side = patch * merge
    cut = pixels.reshape(height // side, merge, patch, width // side, merge, patch, COLOURS).transpose(0, 3, 1, 4, 6, 2, 5)
    return cut[..., None, :, :].repeat(settings.frames, axis=5)
