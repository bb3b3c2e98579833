"""Golden texts: what is compared with a file, and written into it by `pytest --update-golden`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import unified_diff
from pathlib import Path

import pytest

Golden = Callable[[str | Path, str], None]
"""The fixture `golden`: golden(name or path, text) asserts that the file holds the text; a name is of a file beside the test."""


def compare(path: Path, text: str, update: bool) -> None:
    """Fails where the file differs or is missing, and then shows the text; with `update` writes the file first."""
    if update:
        path.write_text(text, encoding="utf-8")
    if not path.is_file():
        pytest.fail(f"there is no golden file {path}; `pytest --update-golden` would write:\n{text}", pytrace=False)
    known = path.read_text(encoding="utf-8")
    if text != known:
        difference = "".join(unified_diff(known.splitlines(True), text.splitlines(True), "golden", "now"))
        pytest.fail(f"differs from {path}; if the new text is right: pytest --update-golden\n{difference}", pytrace=False)


def refuse_in_ci(update: bool, environment: Mapping[str, str]) -> None:
    """Raises pytest.UsageError: an update makes every golden test pass, which proves nothing."""
    if update and environment.get("CI", "").lower() in ("1", "true", "yes"):
        raise pytest.UsageError("--update-golden is refused in CI, where it would make every golden test pass: run it on your machine")
