"""One row a property: what reads, checks, compares, writes, documents and completes properties follows the row, and no list beside it."""

from __future__ import annotations

import dataclasses

import pytest

from autoglmc.compiler.hw.difference import differences
from autoglmc.compiler.hw.skeleton import skeleton
from autoglmc.grammar import analyse_text
from autoglmc.grammar.editor.complete import complete
from autoglmc.grammar.editor.hover import hover
from autoglmc.grammar.lower import device as lower_device
from autoglmc.grammar.words.properties import NO_DEFAULT, PROPERTIES
from autoglmc.grammar.words.property import NumberField, Property
from autoglmc.grammar.words.units import DIMENSIONS, TIMES, WORK
from autoglmc.targets import model

from ..test_language_page import tool

TEXT = """hw 1;
target box {
  onnx opset 13..21;
  memory dram { size 1 GiB; bandwidth 1 GB/s; shared cpu; }
  device cpu : arm64 { runtime ort; peak fp32 1 GFLOPS; dispatch 1 us; launch 1 us; supports all; warmup 5 ms @guess; }
  limits { latency <= 12 ms; }
}
"""
INVENTED = Property(
    "warmup 5 ms;", "Waking the device before its first segment.", "time", (NumberField("warmup", predicts=("latency",)),), NO_DEFAULT
)


@pytest.fixture
def invented(monkeypatch: pytest.MonkeyPatch) -> None:
    """A property that no code knows: its row, and the field of the record that holds it."""
    record = dataclasses.make_dataclass(
        "Device", [("warmup", float)], bases=(model.Device,), frozen=True, slots=True, kw_only=True, namespace={"__module__": __name__}
    )
    monkeypatch.setattr(lower_device, "Device", record)
    monkeypatch.setitem(PROPERTIES["device"], "warmup", INVENTED)  # type: ignore[arg-type]


def messages(text: str, strict: bool = False) -> list[tuple[str, str]]:
    return [(one.code, one.message) for one in analyse_text(text, "box.hw", strict=strict).diagnostics]


def test_without_its_row_the_property_is_unknown() -> None:
    assert messages(TEXT) == [("HW0101", "unknown property `warmup` in device `cpu`")]


@pytest.mark.usefixtures("invented")
def test_lowering_follows_the_row() -> None:
    target = analyse_text(TEXT, "box.hw").target
    assert target is not None and getattr(target.host, "warmup") == 5e-3  # noqa: B009
    assert ("device.cpu.warmup", "5 ms", "guess") in [(fact.path, fact.text, fact.provenance) for fact in target.facts]


@pytest.mark.usefixtures("invented")
def test_checks_follow_the_row() -> None:
    lacking = TEXT.replace("warmup 5 ms @guess; ", "")
    (missing,) = analyse_text(lacking, "box.hw").diagnostics
    assert (missing.code, missing.message, missing.help) == ("HW0104", "device `cpu` has no `warmup`", NO_DEFAULT)
    assert messages(TEXT.replace("warmup 5 ms", "warmup 5 W"))[0][0] == "HW0106"
    assert messages(TEXT.replace("supports all;", "supports all; warmup 1 ms;")) == [("HW0103", "`warmup` is set twice")]
    assert ("HW0601", "`device.cpu.warmup` is a guess, and `latency <= 12 ms` rests on it") in messages(TEXT, strict=True)


@pytest.mark.usefixtures("invented")
def test_comparison_follows_the_row() -> None:
    old, new = (analyse_text(TEXT.replace("warmup 5 ms", f"warmup {value} ms"), "box.hw").target for value in (5, 7))
    assert old is not None and new is not None and old.digest != new.digest
    (one,) = differences(old, new)
    assert (one.section, one.subject, one.old and one.old.text, one.new and one.new.text) == ("device cpu", "warmup", "5 ms", "7 ms")
    (bare,) = differences(old, dataclasses.replace(new, facts=tuple(fact for fact in new.facts if "warmup" not in fact.path)))
    assert bare.new and bare.new.text == "7 ms", "a number without a fact is written in the unit of its row"


@pytest.mark.usefixtures("invented")
def test_a_new_target_follows_the_row() -> None:
    lines = [line.strip() for line in skeleton("box").splitlines() if "warmup" in line]
    assert [line.split(" //")[0].split() for line in lines] == [["warmup", "?", "ms;"]] * 2, "once for each device"
    assert "Waking the device" in lines[0]


@pytest.mark.usefixtures("invented")
def test_documentation_and_highlighting_follow_the_row() -> None:
    assert "| `warmup 5 ms;` | time | yes | Waking the device before its first segment. |" in tool("generate_language").page()
    assert "warmup" in tool("generate_highlighting").block_words()


@pytest.mark.usefixtures("invented")
def test_the_editor_follows_the_row() -> None:
    begun = "hw 1; target t { device npu : x { "
    assert [item.label for item in complete(f"{begun}warm", len(begun) + 4)] == ["warmup"]
    text = f"{begun}warmup 5 "
    assert [item.label for item in complete(text, len(text))] == list(TIMES)
    shown = hover(TEXT, TEXT.index("warmup"))
    assert shown is not None and "Waking the device" in shown[0] and "Required" in shown[0]


# --- the table itself


RECORDS = {"memory": model.Memory, "device": model.Device, "link": model.Link, "limits": model.Limit}
OF_THEIR_OWN_FORM = {("device", "peak")}
"""Its numbers are records, not a field."""


@pytest.mark.parametrize("block", RECORDS)
def test_every_number_is_a_field_of_its_record(block: str) -> None:
    """The type of the field too: sizes are whole bytes, a number without a default may be absent."""
    fields = {field.name: field.type for field in dataclasses.fields(RECORDS[block])}
    for name, row in PROPERTIES[block].items():
        for number in row.numbers if (block, name) not in OF_THEIR_OWN_FORM else ():
            kind = "int" if row.dimension == "size" and block != "limits" else "float"
            absent = "" if row.required or number.default is not None or block == "limits" else " | None"
            assert fields[number.field] == f"{kind}{absent}", (block, name)


@pytest.mark.parametrize(("block", "name"), [(block, name) for block, rows in PROPERTIES.items() for name in rows])
def test_a_row_is_whole(block: str, name: str) -> None:
    row = PROPERTIES[block][name]
    assert row.example.split()[0].rstrip(";") == name and row.meaning.endswith((".", "`."))
    assert not row.dimension or row.dimension in (*DIMENSIONS, *WORK)
    assert not row.numbers or row.dimension
    assert not row.words or row.choice or row.sign, "a message needs a name for the words"
    assert {number.word for number in row.numbers} <= {"", *row.words}
    assert not row.blank or row.blank.startswith(name)


def test_a_table_holds_part_of_a_device() -> None:
    assert PROPERTIES["table"].items() <= PROPERTIES["device"].items() and "peak" not in PROPERTIES["table"]
