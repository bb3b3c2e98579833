"""The page in a real browser: nothing on its console, clicks and filters work, hostile names do nothing, nothing asks a network."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from page_bundles import made
from shown_page import CHROMIUM, QUIET, Shown, use

from autoglmc.compiler.report.page.page_data import page_data
from autoglmc.compiler.report.page.render import render_page
from autoglmc.compiler.run.bundle import Bundle


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip("Debian's chromium is not installed")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=str(CHROMIUM), args=list(QUIET))
        yield found
        found.close()


def written(model: str, target: str, folder: Path) -> tuple[Path, Any]:
    data = page_data(Bundle.load(made(model, target, folder)))
    file = folder / "report.html"
    file.write_text(render_page(data), encoding="utf-8")
    return file, data


@pytest.mark.parametrize("model", ["gelu", "lightnet"])
@pytest.mark.parametrize("target", ["a16", "snapdragon_8gen3", "x86_cpu"])
def test_a_page_works(model: str, target: str, browser: Any, tmp_path: Path) -> None:
    file, data = written(model, target, tmp_path)
    shown = Shown(browser, file)
    use(shown.page, data)
    shown.check(file)
    shown.page.close()


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_hostile_names_do_nothing_and_fit(width: int, scheme: str, browser: Any, tmp_path: Path) -> None:
    """A page as wide as the screen, whatever names are as long as; no script of a name runs, shown or chosen."""
    file, data = written("hostile", "tensor_g2", tmp_path)
    shown = Shown(browser, file, viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = shown.page
    for number in range(len(data["manifest"]["segments"])):
        page.click("#up") if page.is_enabled("#up") else None
        page.locator("#list button").nth(number).click()
        page.click("#open")
        for k in range(page.locator("#list button").count()):
            page.locator("#list button").nth(k).click()
            assert page.inner_text("#details h3").startswith("node ")
    assert page.evaluate("typeof window.hurt") == "undefined"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.querySelectorAll('script').length") == 6
    shown.check(file)
    page.close()


def test_every_control_has_a_name(browser: Any, tmp_path: Path) -> None:
    """For a screen reader: what can be reached has words, tables have headings, headings leave no level out."""
    file, _ = written("gelu", "tensor_g2", tmp_path)
    page = Shown(browser, file).page
    page.locator("#list button").first.click()
    nameless = "all => all.filter(e => !(e.textContent.trim() || e.ariaLabel || (e.labels && e.labels.length))).map(e => e.outerHTML)"
    assert page.locator("button, select, input, a, summary").evaluate_all(nameless) == []
    assert page.locator("table:not(:has(thead th[scope=col]))").count() == 0
    levels = page.locator("main h2, main h3, main h4").evaluate_all("all => all.map(e => Number(e.tagName[1]))")
    assert levels[0] == 2 and all(below - above <= 1 for above, below in pairwise(levels))
    assert page.locator("svg.drawing:not([aria-label]), svg.bar:not([aria-label]):not([aria-hidden=true])").count() == 0
    page.close()


def test_a_page_prints_what_is_folded(browser: Any, tmp_path: Path) -> None:
    file, _ = written("gelu", "tensor_g2", tmp_path)
    page = Shown(browser, file).page
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator("main details:not([open])").count() == 0
    assert not page.is_visible("nav") and page.is_visible("#graph")
    assert len(page.pdf()) > 10_000
    page.close()
