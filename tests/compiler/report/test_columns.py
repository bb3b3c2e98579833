"""The width of a screen that is not a terminal."""

from __future__ import annotations

import pytest

from autoglmc.compiler.report.columns import NARROWEST, columns_of_environment


@pytest.mark.parametrize(
    ("said", "width"),
    [
        ("80", 80),
        ("40", 40),
        ("30", NARROWEST),
        ("1", NARROWEST),
        ("0", 0),
        ("", 0),
        ("abc", 0),
        ("-5", 0),
        ("8 0", 0),
        ("9" * 5000, 999999),
    ],
)
def test_columns(said: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", said)
    assert columns_of_environment() == width
