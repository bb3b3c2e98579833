"""What a message says to write of a limit, read back by the language: it allows what is needed, and hardly more."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from autoglmc.compiler.hw.amended_target import amended_target
from autoglmc.compiler.hw.bounds import Bound, bounds_of, permitted
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.grammar import parse_target
from autoglmc.grammar.words.properties import PROPERTIES
from autoglmc.targets.model import Target

TEXT = """hw 1;
target box {
  onnx opset 13..21;
  memory dram { size 1 TiB; budget 1 B; bandwidth 50 GB/s; shared cpu; }
  device cpu : x { runtime ort; peak fp32 100 GFLOPS; dispatch 1 us; launch 1 us; power active 1 W, idle 0.1 W; supports all; }
%s}
"""
KINDS = [
    (kind, word)
    for kind, row in PROPERTIES["limits"].items()
    for word in (row.words or (("cpu",) if "device" in row.takes else ("",)))
]  # fmt: skip
"""Every limit that the language has."""


def read(statement: str) -> Target:
    limits = "" if statement.startswith("budget") else f"  limits {{ {statement}; }}\n"
    return parse_target((TEXT % limits).replace("budget 1 B", "budget 1 TiB" if limits else statement), "box.hw")


def bound(kind: str, subject: str, value: float) -> Bound:
    row = PROPERTIES["memory"]["budget"] if kind == "budget" else PROPERTIES["limits"][kind]
    return Bound(kind, subject, row.sign_of(subject) != ">=", value)


@pytest.mark.parametrize(("kind", "subject"), [("budget", "dram"), *KINDS])
@settings(max_examples=15)
@given(st.data())
def test_every_spelling_reads_back_as_enough_and_the_first_as_hardly_more(kind: str, subject: str, data: st.DataObject) -> None:
    size = kind in ("budget", "memory", "package")
    top = {"accuracy": 0.99999999, "partitions": 500.0}.get(kind, 1e9 if size else 1e3)
    numbers = st.integers(1, int(top)).map(float) if size or kind == "partitions" else st.floats(1e-7, top)
    stated, needed = data.draw(numbers), data.draw(numbers)
    one = bound(kind, subject, stated)
    assume(one.beyond(needed))
    for k, (allowed, statement) in enumerate(one.spellings(needed)):
        target = read(statement)
        found = target.memories[0].budget if kind == "budget" else target.limits[0].value
        assert found == pytest.approx(allowed, rel=1e-15, abs=1) if kind == "budget" else found == allowed
        assert (found >= needed if one.most else found <= needed) or (kind == "budget" and found >= int(needed))
        assert k or abs(found - needed) <= max(1e-3 * abs(needed), 1)
        assert one.beyond(found)


def test_as_many_digits_as_make_a_change_of_what_is_near() -> None:
    assert next(bound("accuracy", "cosine", 0.99999).spellings(0.9999892))[1] == "accuracy cosine >= 0.9999892"
    assert next(bound("latency", "", 1e-6).spellings(3.2912e-4))[1] == "latency <= 0.3292 ms"
    assert next(bound("error", "abs", 0.0).spellings(0.0130004))[1] == "error abs <= 0.01301"


def test_a_target_in_a_file_is_amended_as_its_text_would_be(tmp_path: Path) -> None:
    (tmp_path / "box.hw").write_text(TEXT % "  limits { latency <= 1 ms; error abs <= 1; }\n")
    path = tmp_path / "box.hw"
    box = load_target(path)
    made = amended_target(path, box, [("limits", "latency <= 3 ms"), ("memory dram", "budget 2 GiB"), ("limits", "error abs <= 2")])
    assert made is not None
    assert {b.key: b.value for b in bounds_of(made)} == {("budget", "dram"): 2**31, ("latency", ""): 3e-3, ("error", "abs"): 2}
    assert made.devices == box.devices and (made.name, made.title) == (box.name, box.title)
    assert [limit.origin for limit in made.limits] == [limit.origin for limit in box.limits]
    for wrong in [
        ("memory dram", "budget 2 TiB"),
        ("limits", "latency <= 0 ms"),
        ("limits", "accuracy cosine >= 1.5"),
        ("limits", "fbs >= 1"),
    ]:
        assert amended_target(path, box, [wrong]) is None  # HW0301, HW0108, HW0108, HW0101
    assert amended_target(path, box, [("memory dram", "budget 1 MiB"), ("limits", "memory peak <= 2 MiB")]) is None  # HW0302
    assert amended_target(tmp_path / "gone.hw", box, []) is None


def test_what_a_target_without_a_file_may_say_is_what_the_language_lets_in() -> None:
    target = parse_target(TEXT % "  limits { memory peak <= 1 B; }\n", "box.hw")
    (budget, peak) = bounds_of(target)
    assert permitted(target) and not permitted(peak.at(target, 2.0))  # HW0302
    assert permitted(peak.at(budget.at(target, 4.0), 2.0))
    assert budget.at(target, 2.0**50).memories[0].budget == 2**40  # never more than the size
    assert not permitted(bound("accuracy", "cosine", 0.5).at(read("accuracy cosine >= 0.5"), 1.5))
    assert not permitted(bound("latency", "", 1.0).at(read("latency <= 1 s"), 0.0))


@pytest.mark.parametrize(("kind", "subject"), [("budget", "dram"), *KINDS])
@pytest.mark.parametrize("stated", [1e-12, 1.0, 1e3])
def test_without_a_bound_more_is_allowed_than_any_model_takes_however_little_was_stated(kind: str, subject: str, stated: float) -> None:
    """A million times one byte is less than a small model."""
    size = kind in ("budget", "memory", "package")
    one = bound(kind, subject, max(stated, 1.0) if size else stated)
    assert one.unlimited >= 2.0**40 if size else abs(one.unlimited) >= 1e6
    assert one.beyond(one.unlimited)
