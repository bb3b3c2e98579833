"""Links of the documentation lead somewhere, the index lists every page, and every example is run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from doc_pages import PAGES, ROOT, items

LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    heads = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    path, dead = ROOT / page, []
    for target, anchor in LINK.findall(FENCE.sub("", path.read_text(encoding="utf-8"))):
        if target.startswith(("http:", "https:")):
            continue
        file = (path.parent / target).resolve() if target else path
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            dead.append(f"{target}#{anchor}" if anchor else target)
    assert dead == []


def test_the_index_lists_every_page() -> None:
    linked = {(ROOT / "docs" / target).resolve() for target, _ in LINK.findall((ROOT / "docs" / "README.md").read_text(encoding="utf-8"))}
    pages = {path for pattern in ("*.md", "*.txt", "*.json", "guides/*") for path in (ROOT / "docs").glob(pattern)}
    assert pages - linked == {ROOT / "docs" / "README.md"}


def test_every_example_is_run() -> None:
    run = " ".join(item.text for item in items(ROOT / "examples" / "README.md") if item.kind == "command" and not item.not_run)
    assert [path.name for path in sorted((ROOT / "examples").glob("*.py")) if f"python examples/{path.name}" not in run] == []
