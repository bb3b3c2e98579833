"""A page of `report` in a real browser: what is looked at by tests, and on more models by tools/browser_check.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CHROMIUM = Path("/usr/bin/chromium")
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
SECTIONS = ("summary", "partition", "timeline", "memory", "numbers", "history")
MOST_LISTED = 200
"""Operators that the list beside the graph has at once; decisions, in their table."""


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


def use(page: Any, data: Any) -> None:
    """Looks at every section and does what a reader does with a mouse and a keyboard. Raises AssertionError where something is not as the
    data say."""
    for section in SECTIONS:
        assert page.locator(f"#{section}").bounding_box()["height"] > 40, section
    assert page.locator("#graph canvas").count() >= 1
    _look_at_operators(page, data)
    _filter_decisions(page, data)
    _change_colours(page)


def _look_at_operators(page: Any, data: Any) -> None:
    """By the list, as the keyboard reaches it."""
    manifest = data["manifest"]
    last = len(manifest["segments"]) - 1
    page.locator("#list button").nth(min(last, MOST_LISTED - 1)).focus()
    page.keyboard.press("Enter")
    page.fill("#find", f"segment {last} on")
    page.locator("#list button").first.click()
    assert f"Segment {last}" in page.inner_text("#details h3")
    page.click("#open")
    mine = [one for one in data["operators"] if one[0] == last]
    assert f"{len(mine)} operator" in page.inner_text("#graph-told")
    assert page.locator("#list button").count() == min(len(mine), MOST_LISTED)
    page.locator("#list button").first.click()
    assert page.text_content("#details h3") == mine[0][4]
    assert page.locator("#list button").first.get_attribute("aria-pressed") == "true"
    _look_at_reasons(page, data, data["operators"].index(mine[0]))
    page.fill("#find", "no operator has this name")
    assert page.locator("#list button").count() == 0
    page.click("#up")
    page.fill("#find", data["operators"][-1][4][:80])
    page.locator("#list button").last.click()
    assert page.text_content("#details h3") in {one[4] for one in data["operators"]}
    page.click("#up")
    for number, handoff in enumerate(manifest["handoffs"][: MOST_LISTED - last - 1]):
        page.locator("#list button").nth(last + 1 + number).click()
        assert f"({handoff['bytes']})" in page.inner_text("#details")


def _look_at_reasons(page: Any, data: Any, number: int) -> None:
    """What devices say of the operator that is shown, or that nobody asked them."""
    text = page.inner_text("#details")
    if data["why"] is None:
        assert "Not in the bundle" in text
        return
    row = data["why"]["operators"][number]
    assert row is not None
    subject = data["why"]["subjects"][row[0]]
    assert page.locator("#details .device").count() == len(subject["devices"])
    assert page.locator("#details .device .s-kept").count() == sum(one["here"] for one in subject["devices"])
    assert page.locator("#details ul.reasons li").count() == sum(len(one["say"]) for one in subject["devices"]) + len(subject["tried"])


def _filter_decisions(page: Any, data: Any) -> None:
    decisions = data["manifest"]["decisions"]
    rows = page.locator("#decisions tbody tr")
    assert rows.count() == min(len(decisions), MOST_LISTED)
    if decisions:
        for value, found in (("true", True), ("false", False)):
            page.select_option("#decision-taken", value)
            assert rows.count() == min(sum(one["taken"] is found for one in decisions), MOST_LISTED)
        page.select_option("#decision-taken", "")
        page.select_option("#decision-rule", decisions[0]["rule"])
        assert rows.count() == min(sum(one["rule"] == decisions[0]["rule"] for one in decisions), MOST_LISTED)
        page.select_option("#decision-rule", "")
    page.fill("#decision-text", "no decision says this")
    assert rows.count() == 0 and (not decisions or page.inner_text("#decision-count").startswith("0 of"))
    assert page.locator("#attempts li:visible").count() == 0
    page.fill("#decision-text", "")
    assert page.locator("#attempts li:visible").count() == len(data["manifest"]["search"])


def _change_colours(page: Any) -> None:
    for colour in ("time", "precision", "dtype", "device"):
        page.select_option("#colour", colour)
        assert page.locator("#graph-legend i").count() >= 1
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != ground
    for button in ("#zoom-in", "#zoom-out", "#fit"):
        page.click(button)
