"""Messages stay readable whatever they quote."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autoglmc.compiler.errors import LONGEST_TEXT, LONGEST_WORD, UserError, clipped


@given(st.lists(st.text(max_size=30), max_size=12).map(" ".join))
def test_a_short_text_is_kept(text: str) -> None:
    assert clipped(text) == text or len(text) > LONGEST_WORD


@given(st.text(st.sampled_from("ab \n\x1b\udc00"), max_size=50), st.integers(1, 200_000))
def test_no_text_is_long(text: str, times: int) -> None:
    long = clipped(text * times)
    assert len(long) <= LONGEST_TEXT + 100 and all(len(word) <= LONGEST_WORD + 50 for word in long.split())


def test_a_long_name_is_shortened_wherever_it_stands() -> None:
    name = "n" * 1_000_000
    error = UserError(f"the model has no input {name!r} here", where=f"{name}.onnx", help=f"try {name}")
    assert len(str(error)) < 3 * LONGEST_WORD + 300
    assert error.message.startswith("the model has no input 'nnn") and error.message.endswith("nnn' here")
    assert "(1,000,002 characters)" in error.message
