"""The page in a real browser: nothing on its console, clicks and filters work, hostile names do nothing, nothing asks a network."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from page_bundles import made

from autoglmc.compiler.report.page.page_data import page_data
from autoglmc.compiler.report.page.render import render_page
from autoglmc.compiler.run.bundle import Bundle

CHROMIUM = Path("/usr/bin/chromium")
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
SECTIONS = ("summary", "partition", "timeline", "memory", "numbers", "history")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip("Debian's chromium is not installed")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=str(CHROMIUM), args=list(QUIET))
        yield found
        found.close()


class Shown:
    """A page that is open, and what it said and asked for."""

    def __init__(self, browser: Any, file: Path, **how: Any) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page = browser.new_page(**how)
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(file.as_uri())

    def check(self, file: Path) -> None:
        assert self.said == []
        assert [url for url in self.asked if not url.startswith("data:")] == [file.as_uri()]


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
    page = shown.page
    for section in SECTIONS:
        assert page.locator(f"#{section}").bounding_box()["height"] > 40
    assert page.locator("#graph canvas").count() >= 1
    _look_at_operators(page, data)
    _filter_decisions(page, data)
    _change_colours(page)
    shown.check(file)
    page.close()


def _look_at_operators(page: Any, data: Any) -> None:
    """By the list, as the keyboard reaches it."""
    manifest = data["manifest"]
    last = len(manifest["segments"]) - 1
    page.locator("#list button").nth(last).focus()
    page.keyboard.press("Enter")
    assert f"Segment {last}" in page.inner_text("#details h3")
    page.click("#open")
    mine = [one for one in data["operators"] if one[0] == last]
    assert f"{len(mine)} operator" in page.inner_text("#graph-told")
    assert page.locator("#list button").count() == min(len(mine), 200)
    page.locator("#list button").first.click()
    assert page.inner_text("#details h3") == mine[0][4]
    assert page.locator("#list button").first.get_attribute("aria-pressed") == "true"
    page.fill("#find", "no operator has this name")
    assert page.locator("#list button").count() == 0
    page.click("#up")
    page.fill("#find", data["operators"][-1][4])
    page.locator("#list button").last.click()
    assert page.inner_text("#details h3") in {one[4] for one in data["operators"]}
    page.click("#up")
    for number, handoff in enumerate(manifest["handoffs"]):
        page.locator("#list button").nth(last + 1 + number).click()
        assert f"({handoff['bytes']})" in page.inner_text("#details")


def _filter_decisions(page: Any, data: Any) -> None:
    decisions = data["manifest"]["decisions"]
    rows = page.locator("#decisions tbody tr")
    assert rows.count() == min(len(decisions), 200)
    page.select_option("#decision-taken", "true")
    assert rows.count() == min(sum(one["taken"] for one in decisions), 200)
    page.select_option("#decision-taken", "false")
    assert rows.count() == min(sum(not one["taken"] for one in decisions), 200)
    page.select_option("#decision-taken", "")
    if decisions:
        page.select_option("#decision-rule", decisions[0]["rule"])
        assert rows.count() == min(sum(one["rule"] == decisions[0]["rule"] for one in decisions), 200)
        page.select_option("#decision-rule", "")
    page.fill("#decision-text", "no decision says this")
    assert rows.count() == 0 and page.inner_text("#decision-count").startswith("0 of")
    page.fill("#decision-text", "")


def _change_colours(page: Any) -> None:
    for colour in ("time", "precision", "dtype", "device"):
        page.select_option("#colour", colour)
        assert page.locator("#graph-legend i").count() >= 1
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != ground
    for button in ("#zoom-in", "#zoom-out", "#fit"):
        page.click(button)


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
    assert page.locator("svg.drawing:not([aria-label]), svg.bar:not([aria-label])").count() == 0
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
