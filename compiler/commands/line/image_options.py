"""The options of `autoglmc generate` that put images into a prompt."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ...errors import UsageError
from .options import FILE

IMAGE = "An image, for the model of the bundle that sees images; it goes where the prompt has its placeholder token. Repeatable, in order."
INPUT = "An array for an input of that model, a .npy file, as it is. Repeatable: the second one of a name is that of the second image."
TOKEN = "The placeholder token, by its name or id [default: the one that the model's files call the image token]."
CONFIG = "How --image is resized, normalised and cut: the model's preprocessor_config.json [default: the one beside the tokenizer]."
SIZE = "Resize --image to this, in place of what the file says."
MEAN = "Mean of red, green and blue, as levels from 0 to 1, in place of what the file says."
RELEASE = "Give the memory of the model that sees images back before tokens are made, once it has seen the last one."
STD = "Standard deviation of red, green and blue, likewise."
COLOURS = 3
Taken = tuple[tuple[int, ...], Any]
"""Shape and numpy dtype of an input."""


class ImageSize(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases
    """448x448: height and width."""

    name = "HEIGHTxWIDTH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        sides = str(value).lower().split("x")
        if len(sides) != 2 or not all(side.isdecimal() and 0 < int(side) <= 1 << 15 for side in sides):
            self.fail(f"{value!r} is not a height and a width in pixels: write it like 448x448", param, ctx)
        return int(sides[0]), int(sides[1])


class Colours(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases
    """0.48,0.46,0.41, or one number for all three."""

    name = "R,G,B"

    def __init__(self, least: float) -> None:
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        words = str(value).split(",")
        try:
            found = tuple(float(word) for word in (words * COLOURS if len(words) == 1 else words))
        except ValueError:
            found = ()
        if len(found) != COLOURS or not all(self._least <= one <= 1 for one in found):
            self.fail(f"{value!r} is not three numbers from {self._least:g} to 1: write them like 0.48,0.46,0.41", param, ctx)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """What is asked for."""

    images: tuple[Path, ...]
    inputs: tuple[str, ...]
    image_token: str | None
    image_config: Path | None
    image_size: tuple[int, int] | None
    image_mean: tuple[float, float, float] | None
    image_std: tuple[float, float, float] | None
    release_encoder: bool

    @property
    def any(self) -> bool:
        return bool(self.images or self.inputs)

    def check(self) -> None:
        """Raises UsageError for options that only apply to images where there are none."""
        about = ("image_config", "image_size", "image_mean", "image_std")
        idle = [name for name in about if getattr(self, name) is not None and not self.images]
        idle += ["image_token"] if self.image_token is not None and not self.any else []
        if idle:
            given = f"--{idle[0].replace('_', '-')}"
            raise UsageError(f"{given} only applies to --image, which is not given", help=f"give --image FILE, or leave out {given}")

    def read(self, wanted: Mapping[str, Taken], beside: Path, note: Callable[[str], object]) -> list[dict[str, Any]]:
        """Arrays by name for each image. wanted: what the model takes. beside: the folder of the tokenizer. note: told what was done.

        Raises UsageError for an input that the model does not have, and where it is not clear which one --image is; as `read_image`."""
        arrays = dict(self._arrays(list(wanted)))
        if self.images:
            left = [name for name in wanted if name not in arrays]
            if len(left) != 1:
                raise _unplaced(left, list(wanted))
            arrays[left[0]] = self._images(wanted[left[0]], beside, note)
        images = max(map(len, arrays.values()), default=0)
        few = next((name for name, given in arrays.items() if len(given) not in (1, images)), None)
        if few is not None:
            raise UsageError(f"input {few!r} is given {len(arrays[few])} times for {images} images", help="give it once for each, or once")
        return [{name: given[min(k, len(given) - 1)] for name, given in arrays.items()} for k in range(images)]

    def _arrays(self, names: Sequence[str]) -> Iterator[tuple[str, list[Any]]]:
        from ...errors import did_you_mean
        from ...run.array_files import read_array

        paths: dict[str, list[Path]] = {}
        for word in self.inputs:
            name, equals, file = word.partition("=")
            if not equals or not file:
                raise UsageError(f"cannot read --input '{word}'", help="write --input NAME=FILE.npy")
            if name not in names:
                help = did_you_mean(name, names) or f"it takes {', '.join(names)}"
                raise UsageError(f"the model that sees images has no input {name!r}", where=f"--input {word}", help=help)
            paths.setdefault(name, []).append(Path(file))
        for name, files in paths.items():
            yield name, [read_array(file) for file in files]

    def _images(self, taken: Taken, beside: Path, note: Callable[[str], object]) -> list[Any]:
        from ...images.read_image import read_image
        from ...images.settings import FILE as CONFIG_FILE
        from ...images.settings import settings_of

        found = beside / CONFIG_FILE
        config = self.image_config or (found if found.is_file() else None)
        settings = settings_of(config, size=self.image_size, mean=self.image_mean, std=self.image_std)
        made = []
        for path in self.images:
            array, said = read_image(path, settings, *taken)
            note(f"{path}: {said}" + ("" if config is None else f", by {config}"))
            made.append(array)
        return made


def _unplaced(left: Sequence[str], wanted: Sequence[str]) -> UsageError:
    """left: the inputs, of those wanted, that no --input gives."""
    if not left:
        return UsageError(
            f"--image has no input to fill: --input already gives {', '.join(wanted)}", help="leave out --image or an --input"
        )
    what = f"--image fills one input, and {len(left)} are not given by --input: {', '.join(left)}"
    return UsageError(what, help="give all but one of them with --input NAME=FILE.npy")


def image_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds them; the command gets `pictures`."""
    options = (
        click.option("--image", "images", multiple=True, type=FILE, metavar="FILE", help=IMAGE),
        click.option("--input", "inputs", multiple=True, metavar="NAME=FILE", help=INPUT),
        click.option("--image-token", metavar="TOKEN", help=TOKEN),
        click.option("--image-config", type=FILE, metavar="FILE", help=CONFIG),
        click.option("--image-size", type=ImageSize(), help=SIZE),
        click.option("--image-mean", type=Colours(0.0), help=MEAN),
        click.option("--image-std", type=Colours(1e-6), help=STD),
        click.option("--release-encoder", is_flag=True, help=RELEASE),
    )

    @functools.wraps(command)
    def called(*arguments: Any, **named: Any) -> Any:
        own = {name: named.pop(name) for name in Pictures.__dataclass_fields__}
        return command(*arguments, pictures=Pictures(**own), **named)

    for option in reversed(options):
        called = option(called)
    return called
