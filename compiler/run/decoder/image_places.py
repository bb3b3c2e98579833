"""Where images go in a prompt: its placeholder tokens, as many for each image as it has rows in the decoder's input."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import UsageError
from ...quantities import count


def image_places(ids: Sequence[int], placeholder: int | None, images: int, rows: int) -> tuple[list[int], list[range]]:
    """The prompt with `rows` placeholders for each image, and their places, image by image.

    ids: has one placeholder for each image, in whose place there are then `rows` of them, or all of them, those of an image side by side.
    Raises UsageError for another number (with no images, for any), where those of an image are not side by side, and for images without a
    placeholder. With neither, the prompt is words alone."""
    if placeholder is None and not images:
        return list(ids), []
    if placeholder is None:
        raise UsageError("which token holds the places of an image is not said", help="name its id: image_token=ID, or --image-token")
    found = [place for place, token in enumerate(ids) if token == placeholder]
    if found and not images:
        what = f"the prompt has {count(len(found), 'image token')} (id {placeholder}) for 0 images"
        raise UsageError(what, help="give as many images, or leave the image tokens out of the prompt")
    if len(found) == images:
        ids = [token for one in ids for token in [one] * (rows if one == placeholder else 1)]
        found = [place for place, token in enumerate(ids) if token == placeholder]
    if len(found) != images * rows:
        what = f"the prompt has {count(len(found), 'image token')} (id {placeholder}) for {count(images, 'image')} of {count(rows, 'row')}"
        several = f", or {images * rows} of them, {rows} side by side for each image" if rows > 1 else ""
        raise UsageError(what, help=f"write {images}, one where each image is to be{several}")
    places = [range(found[k], found[k] + rows) for k in range(0, len(found), rows)]
    torn = next((k for k, place in enumerate(places) if found[k * rows : (k + 1) * rows] != list(place)), None)
    if torn is not None:
        what = f"the {rows} image tokens of image {torn} are not side by side: other tokens stand between them"
        raise UsageError(what, help="write one for each image, or all of its tokens in a row")
    return list(ids), places
