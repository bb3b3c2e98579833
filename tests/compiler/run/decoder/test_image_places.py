"""Where images go in a prompt, and every number of placeholders that does not fit."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoglmc.compiler.errors import UsageError
from autoglmc.compiler.run.decoder.image_places import image_places
from autoglmc.compiler.run.decoder.linked_tokens import Parts

TOKEN = 99


@given(parts=st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=2, max_size=5), rows=st.integers(1, 4))
def test_one_placeholder_or_all_of_them_are_the_same_prompt(parts: list[list[int]], rows: int) -> None:
    """Text between images may be empty: two of them side by side are two of them."""

    def prompt(each: int) -> list[int]:
        return [token for k, part in enumerate(parts) for token in [*([TOKEN] * each if k else []), *part]]

    images = len(parts) - 1
    short, long = (image_places(prompt(each), TOKEN, images, rows) for each in (1, rows))
    assert short == long and short[0] == prompt(rows)
    assert [len(place) for place in short[1]] == [rows] * images
    assert [place for each in short[1] for place in each] == [k for k, token in enumerate(short[0]) if token == TOKEN]


def test_without_images_a_prompt_is_words_alone() -> None:
    assert image_places([1, TOKEN], None, 0, 0) == ([1, TOKEN], [])
    assert image_places([1, 2], TOKEN, 0, 4) == ([1, 2], [])


@pytest.mark.parametrize(
    ("ids", "placeholder", "images", "said"),
    [
        ([1, 2], TOKEN, 1, r"the prompt has 0 image tokens \(id 99\) for 1 image of 4 rows"),
        ([1, TOKEN], TOKEN, 2, r"the prompt has 1 image token \(id 99\) for 2 images of 4 rows"),
        ([TOKEN] * 7, TOKEN, 2, r"the prompt has 7 image tokens \(id 99\) for 2 images of 4 rows"),
        ([TOKEN, TOKEN, 1, TOKEN, TOKEN], TOKEN, 1, "the 4 image tokens of image 0 are not side by side"),
        ([1, TOKEN, TOKEN], TOKEN, 0, r"the prompt has 2 image tokens \(id 99\) for 0 images"),
        ([1, 2], None, 1, "which token holds the places of an image is not said"),
    ],
)
def test_other_numbers_are_refused_with_both(ids: list[int], placeholder: int | None, images: int, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        image_places(ids, placeholder, images, 4)


def test_an_array_alone_for_several_inputs_is_refused() -> None:
    parts = object.__new__(Parts)
    parts.encoder, parts.unclear, parts.image_inputs = "vision", "", {name: ((4,), None) for name in ("pixels", "places")}
    with pytest.raises(UsageError, match="image 0 is one array, and 'vision' takes 2 inputs: pixels, places"):
        parts.images(cast(Any, None), [[1.0]])
