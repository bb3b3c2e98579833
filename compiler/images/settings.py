"""What is done with an image before a model sees it: as a preprocessor_config.json says, and as the user says over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import UsageError, UserError
from ..text.json_files import read_settings

FILE = "preprocessor_config.json"
STATED = "say it with --image-size HEIGHTxWIDTH, --image-mean R,G,B and --image-std R,G,B"
FILTERS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
"""By number, as Pillow and the file have them."""
BICUBIC = 3
"""Pillow's own default, for a size that the user states where no file says which filter to use."""
LEVELS = 1 / 255


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSettings:
    """In this order: resized, cropped, scaled, normalised, cut into patches; what is None is not done."""

    size: tuple[int, int] | None = None
    """Height and width that it is stretched to."""
    shorter: int | None = None
    """Pixels that its shorter side gets, its shape being kept."""
    filter: int = BICUBIC
    crop: tuple[int, int] | None = None
    """Height and width of the middle that is taken."""
    scale: float | None = None
    """Levels from 0 to 255 are multiplied by it."""
    mean: tuple[float, float, float] | None = None
    """Of red, green and blue, once scaled."""
    std: tuple[float, float, float] | None = None
    patch: int = 0
    """Pixels a side of a patch; 0 where the file speaks of none."""
    merge: int = 1
    """Patches a side of a square whose patches stand together."""
    frames: int = 1
    """Frames of a film that a patch has: an image is all of them."""
    fits_itself: bool = False
    """The file leaves the size to each image."""


def settings_of(
    file: Path | None,
    *,
    size: tuple[int, int] | None = None,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
) -> ImageSettings:
    """file: a preprocessor_config.json. size, mean and std say it in its place; mean and std are of levels from 0 to 1.

    Raises UsageError where they do not say all, UserError for a file that cannot be read."""
    if (mean is None) != (std is None):
        raise UsageError("--image-mean and --image-std go together", help=STATED)
    if file is None and (size is None or mean is None):
        missing = " and ".join(name for name, given in (("--image-size", size), ("--image-mean and --image-std", mean)) if given is None)
        what = f"how an image is resized and normalised is not said: {missing} or --image-config FILE is missing"
        raise UsageError(what, help=f"give the model's {FILE}, or {STATED}; an array (.npy) goes in as it is with --input NAME=FILE")
    found = ImageSettings() if file is None else _read(file, sized=size is not None, normalised=mean is not None)
    if size is not None:
        found = replace(found, size=size, shorter=None, crop=None, fits_itself=False)
    return found if mean is None else replace(found, scale=LEVELS, mean=mean, std=std)


def _read(path: Path, *, sized: bool, normalised: bool) -> ImageSettings:
    """sized, normalised: what the user says instead of the file."""
    if not path.is_file():
        raise UsageError(f"there is no file {path}", help=f"give the model's {FILE}, or {STATED}")
    given = _Given(path, read_settings(path))
    patch = given.number("patch_size") or 0
    found = ImageSettings(
        patch=patch,
        merge=given.number("merge_size") or 1,
        frames=given.number("temporal_patch_size") or 1,
        filter=given.filter(),
    )
    if not sized:
        found = given.sized(found)
    return found if normalised else given.normalised(found)


class _Given:
    def __init__(self, path: Path, found: Mapping[str, Any]) -> None:
        self._path, self._found = path, found

    def sized(self, made: ImageSettings) -> ImageSettings:
        size, crop = self._found.get("size"), self._found.get("crop_size")
        middle = _pair(crop) if self._found.get("do_center_crop") is True else None
        if self._found.get("do_center_crop") is True and middle is None:
            raise self._unclear("crop_size", crop, "--image-size HEIGHTxWIDTH")
        if self._found.get("do_resize") is False:
            return replace(made, crop=middle)
        if isinstance(size, dict) and (whole := _pair(size)) is not None:
            return replace(made, size=whole, crop=middle)
        if made.patch and made.merge > 1:
            return replace(made, fits_itself=True)
        shorter = size.get("shortest_edge") if isinstance(size, dict) and len(size) == 1 else None
        if not _count(shorter) or middle is None:
            raise self._unclear("size", size, "--image-size HEIGHTxWIDTH")
        return replace(made, shorter=shorter, crop=middle)

    def normalised(self, made: ImageSettings) -> ImageSettings:
        scale = self._found.get("rescale_factor")
        if self._found.get("do_rescale") is False:
            scale = None
        elif not isinstance(scale, (int, float)) or isinstance(scale, bool):
            raise self._unclear("rescale_factor", scale, "--image-mean R,G,B --image-std R,G,B, of levels from 0 to 1")
        if self._found.get("do_normalize") is False:
            return replace(made, scale=scale)
        mean, std = (_three(self._found.get(name)) for name in ("image_mean", "image_std"))
        if mean is None or std is None or not all(std):
            name = "image_mean" if mean is None else "image_std"
            raise self._unclear(name, self._found.get(name), "--image-mean R,G,B --image-std R,G,B, of levels from 0 to 1")
        return replace(made, scale=scale, mean=mean, std=std)

    def filter(self) -> int:
        given = self._found.get("resample", BICUBIC)
        if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given < len(FILTERS):
            raise self._unclear("resample", given, f"a number from 0 to {len(FILTERS) - 1} in the file")
        return given

    def number(self, name: str) -> int | None:
        """Raises UserError for what is no whole number of at least 1."""
        given = self._found.get(name)
        if given is not None and not _count(given):
            raise self._unclear(name, given, "a whole number in the file")
        return given

    def _unclear(self, name: str, given: object, instead: str) -> UserError:
        said = f"says {name} is {given!r}" if name in self._found else f"does not say {name}"
        return UserError(f"{self._path.name} {said}: what is to be done with an image is not clear", where=str(self._path), help=instead)


def _count(given: object) -> bool:
    return isinstance(given, int) and not isinstance(given, bool) and given > 0


def _pair(given: object) -> tuple[int, int] | None:
    """Height and width."""
    if isinstance(given, dict) and _count(given.get("height")) and _count(given.get("width")):
        return given["height"], given["width"]
    return None


def _three(given: object) -> tuple[float, float, float] | None:
    if isinstance(given, Sequence) and len(given) == 3 and all(isinstance(one, (int, float)) for one in given):
        return float(given[0]), float(given[1]), float(given[2])
    return None
