"""Names of a model are text on the page, whatever is in them."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser

import pytest
from page_bundles import HOSTILE, made

from autoglmc.compiler.report.page.page_data import page_data
from autoglmc.compiler.report.page.render import render_page
from autoglmc.compiler.run.bundle import Bundle


class Elements(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.comments = 0
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_comment(self, data: str) -> None:
        self.comments += 1

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module", params=["x86_cpu", "tensor_g2"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Elements]:
    bundle = made("hostile", request.param, tmp_path_factory.mktemp("hostile"))
    renamed = bundle.rename(bundle.with_name("a<b>&'\" b"))
    text = render_page(page_data(Bundle.load(renamed)))
    parsed = Elements()
    parsed.feed(text)
    return text, parsed


def test_no_name_makes_an_element(page: tuple[str, Elements]) -> None:
    _, parsed = page
    assert parsed.tags["script"] == 6  # the data, two libraries, three of ours
    assert not {"img", "iframe", "object", "embed", "textarea", "base"} & set(parsed.tags)
    assert (parsed.tags["title"] > 1, parsed.tags["style"], parsed.tags["html"], parsed.comments) == (True, 1, 1, 0)


def test_no_attribute_runs_anything(page: tuple[str, Elements]) -> None:
    _, parsed = page
    assert not [name for name, _ in parsed.attributes if name.startswith("on")]
    assert {value for name, value in parsed.attributes if name in ("href", "src")} <= {
        "data:,", "#summary", "#partition", "#timeline", "#memory", "#numbers", "#history",
    }  # fmt: skip


def test_names_are_there_as_text(page: tuple[str, Elements]) -> None:
    _, parsed = page
    text = "".join(parsed.text)
    assert f"{HOSTILE[0]} 0" in text  # the model's input


def test_nothing_turns_the_direction_of_the_page(page: tuple[str, Elements]) -> None:
    text, _ = page
    assert not set("\u202e\u202d\u2066\u2067\u2068") & set(text)


def test_no_network_is_named(page: tuple[str, Elements]) -> None:
    text, _ = page
    assert "default-src 'none'" in text and "sourceMappingURL" not in text
    named = [(name, value) for name, value in page[1].attributes if "://" in value]
    assert set(named) <= {("xmlns", "http://www.w3.org/2000/svg")}
