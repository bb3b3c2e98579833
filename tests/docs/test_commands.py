"""Every command line of the documentation is executed, or marked with a reason why not; what is shown below one is what it prints."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from doc_pages import PAGES, ROOT, items
from golden import Golden
from run_page import run_page

NEEDS = sorted({(page, item.needs) for page in PAGES for item in items(ROOT / page) if item.needs})
NOT_RUN = Path(__file__).with_name("not_run.txt")


def installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def check(page: str, place: Path, extra: str, update: bool) -> None:
    """`--update-golden` writes what commands print into the page; a command that fails remains an error."""
    folder = place / "autoglmc"
    folder.mkdir()
    text, wrong = run_page(ROOT / page, folder, extra)
    if update and text != (ROOT / page).read_text(encoding="utf-8"):
        (ROOT / page).write_text(text, encoding="utf-8")
        wrong = [problem for problem in wrong if "the page shows" not in problem]
    assert not wrong, "\n\n".join([*wrong, "`pytest --update-golden` writes what is printed into the page"])


@pytest.mark.parametrize("page", PAGES)
def test_a_page_holds(page: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if any(of == page and installed(module) for of, module in NEEDS):
        pytest.skip("all of it is run with what else it needs")
    check(page, tmp_path, "", request.config.getoption("--update-golden"))


@pytest.mark.parametrize(("page", "module"), NEEDS)
def test_a_page_holds_with_a_runtime(page: str, module: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if not installed(module):
        pytest.skip(f"{module} is not installed")
    check(page, tmp_path, module, request.config.getoption("--update-golden"))


def test_what_is_not_run_is_listed_with_its_reason(golden: Golden) -> None:
    listed = [f"{page}: {item.text}\n    {item.not_run}\n" for page in PAGES for item in items(ROOT / page) if item.not_run]
    golden(NOT_RUN, "".join(listed))


def test_pages_are_found() -> None:
    assert {"README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/language.md", "editors/vscode/README.md"} <= set(PAGES)
