"""Texts that end a generation are found wherever tokens are cut, and no part of one is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoglmc.compiler.errors import UsageError
from autoglmc.compiler.text.stop_texts import StopTexts

TEXT = st.text("ab\n", max_size=20)


def until(text: str, stops: list[str]) -> str:
    """What is shown of the whole text: one character after the other, the first moment at which one of them stands at the end."""
    for end in range(1, len(text) + 1):
        found = [stop for stop in stops if text[:end].endswith(stop)]
        if found:
            return text[: end - max(map(len, found))]
    return text


@given(pieces=st.lists(TEXT, max_size=8), stops=st.lists(st.text("ab\n", min_size=1, max_size=5), max_size=3))
def test_what_is_shown_does_not_depend_on_pieces(pieces: list[str], stops: list[str]) -> None:
    filter, expected, shown = StopTexts(stops), until("".join(pieces), stops), ""
    for piece in pieces:
        shown += filter.add(piece)
        assert expected.startswith(shown)
    assert shown + filter.rest() == expected
    assert filter.found == (expected != "".join(pieces))


def test_text_is_shown_as_soon_as_it_is_no_stop_text() -> None:
    filter = StopTexts(["END"])
    assert [filter.add(piece) for piece in ("a", "E", "N", "x", "EN", "D and more")] == ["a", "", "", "ENx", "", ""]
    assert filter.found and filter.rest() == ""


def test_an_empty_stop_text_is_refused() -> None:
    with pytest.raises(UsageError, match="stops nothing"):
        StopTexts(["a", ""])
