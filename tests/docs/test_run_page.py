"""The test of the documentation finds what is wrong with a page."""

from __future__ import annotations

from pathlib import Path

import pytest
from run_page import run_page


def run(place: Path, text: str) -> tuple[str, list[str]]:
    page, folder = place / "page.md", place / "autoglmc"
    page.write_text(text, encoding="utf-8")
    folder.mkdir()
    return run_page(page, folder)


def fence(kind: str, *lines: str) -> str:
    return "\n".join([f"```{kind}", *lines, "```", ""])


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (fence("console", "$ exit 1"), "page.md:2: `exit 1` exits with 1, not 0"),
        (fence("console", "$ true   # exits with 1"), "exits with 0, not 1"),
        (fence("console", "$ echo 2", "3"), "below `echo 2` the page shows\n3\nand printed is\n2"),
        (fence("console", "$ printf '1\\n2\\n'", "1"), "below"),
        (fence("console", "$ printf '1\\n2\\n'", "0", "…"), "below"),
        (fence("console times-vary", "$ echo 'best 2 us'", "worst 3 us"), "below"),
        (fence("python", "raise ValueError"), "exits with 1"),
        (fence("", "autoglmc targets"), "neither in a ```console block nor marked"),
        ("    autoglmc targets\n", "neither in a ```console block nor marked"),
        ("Say `autoglmc targets\n--nothing` here.\n", "`autoglmc targets --nothing` exits with 2"),
        (f"<!-- file: a -->\n{fence('', 'one', 'one')}<!-- edit: a -->\n{fence('diff', '-one', '+two')}", "stand 2 times in a"),
    ],
)
def test_what_is_wrong_is_found(text: str, wrong: str, tmp_path: Path) -> None:
    _, found = run(tmp_path, text)
    assert len(found) == 1 and wrong in found[0]


@pytest.mark.parametrize(
    "text",
    [
        fence("console", "$ false   # exits with 1", "$ echo 'a b' \\", "    c", "a b c"),
        fence("console", "$ printf '1\\n2\\n'", "1", "…"),
        fence("console times-vary", "$ echo 'best  12.5 us, 3.1 MiB'", "best 1 us,   2.5 KiB"),
        f"<!-- not run: it would fail -->\n{fence('console', '$ false')}",
        f"<!-- needs: no_such_module -->\n{fence('console', '$ false')}",
        f"<!-- file: a -->\n{fence('', 'one')}<!-- edit: a -->\n{fence('diff', '-one', '+two')}{fence('console', '$ cat a', 'two')}",
        "A bare name, `autoglmc run`, is asked for its help.\n",
    ],
)
def test_what_is_right_passes(text: str, tmp_path: Path) -> None:
    assert run(tmp_path, text) == (text, [])


def test_what_is_printed_takes_the_place_of_what_is_shown(tmp_path: Path) -> None:
    before = fence("console", "$ printf '1\\n2\\n3\\n'", "0", "…", "$ echo 4", "5", "") + "text\n"
    text, found = run(tmp_path, before)
    assert len(found) == 2
    assert text == fence("console", "$ printf '1\\n2\\n3\\n'", "1", "…", "$ echo 4", "4", "") + "text\n"
