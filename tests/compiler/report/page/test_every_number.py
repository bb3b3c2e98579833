"""Every number that a page shows is one of its data, or counts or sums what is there; and its data are the bundle's and the records'."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from page_bundles import MODELS

from autoglmc.compiler import cli
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.quantities import amount, margin, percent, shown, size, time
from autoglmc.compiler.report.page.measured import read_measured
from autoglmc.compiler.report.page.memory_rows import heaviest, memory_rows
from autoglmc.compiler.report.page.page_data import Beside, page_data
from autoglmc.compiler.report.page.render import render_page
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.targets.dtypes import DTYPE, packed_bytes

NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


class Text(HTMLParser):
    """What a reader sees of the sections, without scripts, and without the axes of drawings."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self._skipped: list[str] = []
        self._in = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in = self._in or tag == "main"
        if tag in ("script", "style") or (tag == "text" and dict(attrs).get("class") == "tick") or self._skipped:
            self._skipped.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self._in = self._in and tag != "main"
        if self._skipped and self._skipped[-1] == tag:
            self._skipped.pop()

    def handle_data(self, data: str) -> None:
        if self._in and not self._skipped:
            self.words.append(data)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any]:
    """A bundle, its data with all that may stand beside it, and the summary of its compilation."""
    folder = tmp_path_factory.mktemp("numbers")
    result = compile_model(MODELS / "lightnet.onnx", "tensor_g2", shapes={"batch": 1}, output=folder / "b", emulate=True)
    np.savez(folder / "x.npz", pixel_values=np.ones((1, 3, 96, 96), np.float32))
    asked = [str(folder / "b"), "--input", str(folder / "x.npz"), "--emulate", "--quiet"]
    assert cli.run(["run", *asked, "--requests", "4", "--pipeline", "--record", str(folder / "run.json")]) == 0
    assert cli.run(["bench", *asked, "--warmup", "1", "--repeat", "4", "--record", str(folder / "bench.json")]) == 0
    bundle = Bundle.load(folder / "b")
    records = tuple((name, read_measured(folder / name, bundle)) for name in ("run.json", "bench.json"))
    facts = json.loads(json.dumps(result.as_json()))
    return folder / "b", page_data(bundle, Beside(compiled=facts, measured=records)), facts


def numbers(value: Any) -> Iterator[float]:
    """Of the data, and how many there are of everything."""
    if isinstance(value, dict | list | tuple):
        yield len(value)
        for one in value.values() if isinstance(value, dict) else value:
            yield from numbers(one)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def words(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list | tuple):
        for one in value if isinstance(value, dict) else ():
            yield str(one)
        for one in value.values() if isinstance(value, dict) else value:
            yield from words(one)
    elif isinstance(value, str):
        yield value


def written(value: float) -> Iterator[str]:
    """A number in every form that the page writes numbers in."""
    yield from (str(value), time(value), size(value), percent(value), f"{value:.3g}", f"{value:.4g}", f"{value * 1000:.4g}", f"{value:.6f}")


def sums(data: Any) -> Iterator[float]:
    """What the page adds up, counts or divides."""
    manifest = data["manifest"]
    for kind in ("segments", "decisions"):
        yield len(manifest[kind])
    judged = [one["judged"] for one in manifest["verification"]["segments"]]
    yield from (judged.count(one) for one in judged)
    yield sum(one["bytes"] for one in data["package"])
    yield from (heaviest(data).count, len(heaviest(data).rows))
    for row in memory_rows(data):
        yield from (row.loading or 0, row.used or 0)


def known(data: Any) -> set[str]:
    found = {token for text in words(data) for token in NUMBER.findall(text)}
    for value in (*numbers(data), *sums(data)):
        found.update(token for text in written(value) for token in NUMBER.findall(text))
    for limit in data["manifest"]["limits"]:
        texts = [shown(limit["kind"], limit["value"]), margin(limit["kind"], limit["margin"]), amount(limit["kind"], limit["value"])]
        found.update(token for text in texts for token in NUMBER.findall(text))
    return found


def shown_numbers(data: Any) -> dict[str, str]:
    """Each number with the text that it stands in; `x` by `y` of shapes, offsets of titles included."""
    text = Text()
    text.feed(render_page(data))
    return {token: word.strip() for word in text.words for token in NUMBER.findall(word)}


def test_every_number_shown_is_in_the_data(given: tuple[Path, Any, Any]) -> None:
    _, data, _ = given
    allowed = known(data)
    allowed |= {token for span in data["predicted"]["spans"] for token in NUMBER.findall(time(span["end"] - span["begin"]))}
    for one in data["measured"]:
        allowed |= {t for line in one["lines"] for s in line["spans"] for t in NUMBER.findall(time(s["end"] - s["begin"]))}
    stray = {token: text for token, text in shown_numbers(data).items() if token not in allowed}
    assert not stray


def test_a_number_of_no_data_is_found(given: tuple[Path, Any, Any]) -> None:
    """The test above can fail."""
    _, data, _ = given
    edited = {**data, "predicted": {**data["predicted"], "seconds": 123.456}}
    assert "123.46" in shown_numbers(edited) and "123.46" not in known(data)


def test_memories_are_those_of_the_compilation(given: tuple[Path, Any, Any]) -> None:
    _, data, facts = given
    assert data["plan"]["memory"] == {name: facts["memory"][name] for name in ("peak", "load_peak", "memories")}
    rows = memory_rows(data)
    assert sum(row.loading or 0 for row in rows) == facts["memory"]["load_peak"]
    for row in rows:
        assert row.terms is not None and row.bytes == sum(row.terms[name] for name in ("weights", "working", "arena", "runtime"))
    alone = memory_rows({**data, "plan": None})
    budgets = [one for one in data["manifest"]["limits"] if one["kind"] == "budget"]
    assert [(row.name, row.bytes, row.budget, row.origin) for row in alone] == [
        (one["subject"], one["value"], one["limit"], one["origin"]) for one in budgets
    ]


def test_differences_are_those_of_the_comparison(given: tuple[Path, Any, Any]) -> None:
    _, data, facts = given
    assert data["plan"]["outputs"] == facts["verification"]["outputs"] != []
    assert data["plan"]["boundaries"] == facts["verification"]["boundaries"] != []
    assert data["plan"]["outputs"][0]["worst"]["index"]
    assert data["plan"]["latency"] == facts["latency"]


def test_weights_are_those_of_the_segment_files(given: tuple[Path, Any, Any]) -> None:
    bundle, data, _ = given
    for segment in data["manifest"]["segments"]:
        graph = onnx.load(bundle / segment["file"], load_external_data=False).graph
        sizes = {one.name: packed_bytes(DTYPE[one.data_type], one.dims) or 0 for one in graph.initializer}
        mine = [one[7] for one in data["operators"] if one[0] == segment["index"]]
        assert mine == [sum(sizes.get(name, 0) for name in dict.fromkeys(node.input)) for node in graph.node]
