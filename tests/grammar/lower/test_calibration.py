"""`calibration { … }`: written as text and read back it is the same; its numbers carry its note; upper layers come first; hostile
values are refused where they stand."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from breadth import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from autoglmc.compiler.hw.difference import differences
from autoglmc.grammar import analyse_text
from autoglmc.grammar.editor.complete import complete
from autoglmc.grammar.editor.hover import hover
from autoglmc.grammar.text.format import format_text
from autoglmc.targets.calibration import Calibration
from autoglmc.targets.formula import render
from autoglmc.targets.model import Target

NOTE = "onnxruntime 1.32.0, 1 thread, 41 networks"
BOX = """hw 1;
target box {
  onnx opset 7..23;
  memory dram { size 4 GiB; bandwidth 9 TB/s; shared cpu; }
  device cpu : x86 { runtime ort; peak fp32 9999 TFLOPS; dispatch 1 us; launch 1 us; supports all; %s }
}
"""


def text_of(lines: str) -> str:
    return BOX % f'calibration @measured("{NOTE}") {{ {lines} }}'


def target_of(text: str) -> Target:
    result = analyse_text(text, "box.hw")
    assert result.target is not None, [(found.code, found.message) for found in result.diagnostics]
    return result.target


def read(lines: str) -> Calibration:
    found = target_of(text_of(lines)).host.calibration
    assert found is not None
    return found


def messages(lines: str, strict: bool = False) -> list[tuple[str, str]]:
    return [(one.code, one.message) for one in analyse_text(text_of(lines), "box.hw", strict=strict).diagnostics]


# --- written and read back

COUNTED: Mapping[str, tuple[tuple[str, ...], Mapping[str, str]]] = {
    "operations": (("Conv", "MatMul, Gemm", "com.microsoft::FusedMatMul"), {"OP": "1", "kOP": "1e3", "MFLOP": "1e6", "GOP": "1e9"}),
    "elements": (("Gelu, Erf", "Softmax"), {"E": "1", "kE": "1e3", "ME": "1e6", "GE": "1e9"}),
    "bytes": (("Transpose", "Concat, Slice, Add"), {"B": "1", "kB": "1e3", "MiB": "1048576", "GB": "1e9"}),
}
A_SECOND = {"OP": "OPS", "kOP": "KOPS", "MFLOP": "MFLOPS", "GOP": "GOP/s"}
CONDITIONS = {
    "Conv": ("attr.group > 1", "attr.group > 1 and dim(W, 1) == 1", "dtype(X) in {fp16, bf16}"),
    "MatMul, Gemm": ("const(B)", "dim(A, -2) <= 4 and rank(A) >= 2"),
    "Softmax": ("opset >= 13 and attr.axis != -1",),
    "Transpose": ("bytes(data) >= 4 MiB or rank(data) == 4",),
}
DIGITS = st.one_of(st.integers(1, 10**6).map(str), st.tuples(st.integers(0, 9999), st.integers(1, 999)).map(lambda n: f"{n[0]}.{n[1]:03}"))
SHARES = st.integers(1, 100)


def scaled(digits: str, scale: str) -> float:
    return float(Decimal(digits) * Decimal(scale))


@st.composite
def rates(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A line, and the fields that it should have."""
    measure = draw(st.sampled_from(sorted(COUNTED)))
    operators, units = COUNTED[measure]
    names, unit = draw(st.sampled_from(operators)), draw(st.sampled_from(sorted(units)))
    digits = draw(DIGITS)
    text = f"rate {names} {digits} {A_SECOND.get(unit, f'{unit}/s')}"
    fields: dict[str, Any] = {"operators": tuple(names.split(", ")), "value": scaled(digits, units[unit]), "measure": measure}
    fields |= {"seen": None, "inner": None, "samples": None, "spread": None, "where": None, "kinds": None}
    parts: list[str] = []
    if draw(st.booleans()):
        low, high = sorted(draw(st.tuples(DIGITS, DIGITS)), key=Decimal)
        open_below = draw(st.booleans())
        parts.append(f"seen {'' if open_below else low}..{high} {unit}")
        fields["seen"] = (0.0 if open_below else scaled(low, units[unit]), scaled(high, units[unit]))
    if draw(st.booleans()):
        least, most = sorted(draw(st.tuples(st.integers(1, 4096), st.integers(1, 4096))))
        parts.append(f"inner {least}..{most}")
        fields["inner"] = (float(least), float(most))
    if draw(st.booleans()):
        kinds = draw(st.lists(st.sampled_from(("Conv 2-D", "Conv 1-D dilated", "Add", "com.x::Y both-ways batch")), unique=True))
        parts.append(f'of "{", ".join(kinds)}"')
        fields["kinds"] = tuple(kinds)
    if draw(st.booleans()):
        fields["samples"] = draw(st.integers(1, 10**6))
        parts.append(f"n {fields['samples']}")
    if draw(st.booleans()):
        share = draw(st.integers(0, 300))
        fields["spread"] = scaled(str(share), "0.01")
        parts.append(f"within {share} %")
    where = draw(st.sampled_from(("", *CONDITIONS.get(names, ()))))
    fields["where"] = where or None
    return f"{' '.join((text, *draw(st.permutations(parts))))}{f' where {where}' if where else ''};", fields


def fields_of(rate: Any) -> dict[str, Any]:
    found = {field.name: getattr(rate, field.name) for field in dataclasses.fields(rate) if field.name != "origin"}
    found |= {name: (found[name].low, found[name].high) for name in ("seen", "inner") if found[name] is not None}
    return {**found, "where": None if rate.where is None else render(rate.where)}


@given(st.lists(rates(), max_size=6))
@settings(max_examples=examples(50, 150))
def test_rates_are_read_as_they_are_written(lines: list[tuple[str, dict[str, Any]]]) -> None:
    text = text_of(" ".join(line for line, _ in lines))
    found = target_of(text).host.calibration
    assert found is not None
    assert [fields_of(rate) for rate in found.rates] == [fields for _, fields in lines]
    assert target_of(format_text(text)).digest == target_of(text).digest


@given(SHARES, SHARES, SHARES, st.integers(1, 500), st.integers(-500, 500), st.integers(0, 500), DIGITS)
def test_the_rest_is_read_as_it_is_written(
    share: int, error: int, interval: int, models: int, base: int, weights: int, digits: str
) -> None:
    found = read(f"""version "onnxruntime 1.32.0";
        holdout {share} % within {error} %, 88 % within 20 %, median 5 %, interval {interval} %, models {models};
        launch {digits} us; dispatch {digits} ms; weights {digits} GB/s beyond {models} MiB; activations {digits} MB/s;
        block Conv, ConvTranspose channels {models + 1};
        memory base {base} MiB, weights {weights} %, working {interval} %; power full {digits} W, exponent 0.{models};
        rate Conv 1 GFLOPS;""")
    assert (found.version, found.note) == ("onnxruntime 1.32.0", NOTE)
    assert (found.launch, found.dispatch) == (scaled(digits, "1e-6"), scaled(digits, "1e-3"))
    assert (found.weights_bandwidth, found.weights_beyond) == (scaled(digits, "1e9"), models * 2.0**20)
    assert found.activations_bandwidth == scaled(digits, "1e6")
    assert [(block.operators, block.axis, block.multiple) for block in found.blocks] == [
        (("Conv", "ConvTranspose"), "channels", models + 1)
    ]
    holdout, memory, power = found.holdout, found.memory, found.power
    assert holdout is not None and memory is not None and power is not None
    assert holdout.within == ((scaled(str(share), "0.01"), scaled(str(error), "0.01")), (0.88, 0.2))
    assert (holdout.median, holdout.interval, holdout.models) == (0.05, scaled(str(interval), "0.01"), models)
    assert (memory.base, memory.weights, memory.working) == (base * 2.0**20, scaled(str(weights), "0.01"), scaled(str(interval), "0.01"))
    assert (power.full, power.exponent) == (float(digits), float(f"0.{models}"))


# --- provenance


def test_every_number_carries_the_note_of_its_block() -> None:
    text = text_of(
        'launch 1 us; rate Conv 65 GFLOPS seen 1..29 MOP n 231; rate Gelu 1 GE/s @src("a page") seen ..9 ME; rate Exp 1 GE/s @guess;'
    )
    noted = {fact.path.removeprefix("device.cpu.calibration."): (fact.provenance, fact.note, fact.text) for fact in target_of(text).facts}
    assert noted["launch"] == ("measured", NOTE, "1 us")
    assert noted["rate.Conv.value"] == ("measured", NOTE, "65 GFLOPS") and noted["rate.Conv.seen.low"] == ("measured", NOTE, "1 MOP")
    assert noted["rate.Gelu.value"] == ("src", "a page", "1 GE/s") and noted["rate.Gelu.seen.high"] == ("src", "a page", "9 ME")
    assert noted["rate.Exp.value"][0] == "guess"
    bare = [message for code, message in messages("launch 1 us; rate Conv 65 GFLOPS n 231;", strict=True) if code == "HW0602"]
    assert not any("calibration" in message for message in bare)


def test_a_block_without_a_note_has_no_source_and_a_guess_in_it_is_under_the_limits() -> None:
    text = (BOX % "calibration { rate Conv 65 GFLOPS; rate Gelu 1 GE/s @guess; }").replace("device", "limits { latency <= 1 s; } device")
    found = [(one.code, one.message) for one in analyse_text(text, "box.hw", strict=True).diagnostics]
    assert ("HW0602", "`device.cpu.calibration.rate.Conv.value` does not say where it is from") in found
    assert ("HW0601", "`device.cpu.calibration.rate.Gelu.value` is a guess, and `latency <= 1 s` rests on it") in found


def test_measured_is_a_provenance_of_any_number() -> None:
    facts = target_of(BOX.replace("launch 1 us", 'launch 1 us @measured("a bench")') % "").facts
    assert [(fact.provenance, fact.note) for fact in facts if fact.path == "device.cpu.launch"] == [("measured", "a bench")]


# --- layers


def test_the_layer_above_comes_first_and_keeps_the_notes() -> None:
    below = text_of("launch 1 us; dispatch 2 us; rate Conv 10 GFLOPS; block Conv channels 16;")
    lines = "launch 3 us; rate Conv 20 GFLOPS; block Conv channels 8;"
    above = f'target mine extends box {{ device cpu {{ calibration @measured("later") {{ {lines} }} }} }}'
    target = target_of(below + above)
    found = target.host.calibration
    assert found is not None and (found.note, found.launch, found.dispatch) == ("later", 3e-6, 2e-6)
    assert [rate.value for rate in found.rates] == [2e10, 1e10] and [block.multiple for block in found.blocks] == [8]
    notes = {fact.path.removeprefix("device.cpu.calibration."): fact.note for fact in target.facts}
    assert (notes["launch"], notes["dispatch"], notes["rate.Conv.value"], notes["rate.Conv.2.value"]) == ("later", NOTE, "later", NOTE)
    assert not [one for one in analyse_text(below + above, "box.hw").diagnostics if one.code == "HW0703"], (
        "a layer may hide another's lines"
    )


@pytest.mark.parametrize(
    ("edit", "left"),
    [
        ("delete &box.cpu.calibration;", None),
        ("delete &box.cpu.calibration.rate Erf;", ["Gelu", "Conv"]),
        ("delete &box.cpu.calibration.rate Gelu, Erf;", ["Conv"]),
        ("delete &box.cpu.calibration.rate;", []),
        ("amend &box.cpu.calibration { rate Exp 1 GE/s; }", ["Exp", "Gelu, Erf", "Conv"]),
        ("amend &box.cpu { calibration { rate Exp 1 GE/s; } }", ["Exp", "Gelu, Erf", "Conv"]),
        ("amend &box { device cpu { calibration { rate Exp 1 GE/s; } } }", ["Exp", "Gelu, Erf", "Conv"]),
    ],
)
def test_edits(edit: str, left: list[str] | None) -> None:
    base = text_of("rate Gelu, Erf 1 GE/s; rate Conv 10 GFLOPS; memory base 1 MiB, weights 1 %, working 1 %;")
    found = target_of(base + edit).host.calibration
    assert (None if found is None else [", ".join(rate.operators) for rate in found.rates]) == left
    if found is not None:
        gone = target_of(f"{base}{edit} delete &box.cpu.calibration.memory;").host.calibration
        assert found.memory is not None and gone is not None and gone.memory is None


def test_the_order_of_rates_means_something_and_that_of_the_rest_does_not() -> None:
    a, b, c = "rate Conv 1 GFLOPS where attr.group > 1;", "rate Conv 2 GFLOPS;", "launch 1 us;"
    digests = [target_of(text_of(" ".join(lines))).digest for lines in ((a, b, c), (c, a, b), (b, a, c))]
    assert digests[0] == digests[1] != digests[2]
    other = target_of(text_of(f"{a} {b} {c}").replace(NOTE, "another note"))
    assert other.digest == digests[0], "where a number is from is not what it means"


def test_differences_are_told_line_by_line() -> None:
    old, new = (target_of(text_of(f"launch {n} us; rate Conv {n} GFLOPS; rate Gelu 1 GE/s;")) for n in (1, 2))
    found = [(one.section, one.subject, one.ratio) for one in differences(old, new)]
    assert found == [("calibration of cpu", "launch", 2.0), ("calibration of cpu", "rate Conv", 2.0)]
    (added,) = differences(target_of(BOX % ""), old)
    assert (added.section, added.kind) == ("calibration of cpu", "added")


# --- mistakes


@pytest.mark.parametrize(
    ("line", "code"),
    [
        *((f"rate Conv {value} GFLOPS;", "HW0108") for value in ("0", "-1", "1e400", "-0", "0e5")),
        *((f"rate Conv 1 GFLOPS seen {seen} MOP;", "HW0108") for seen in ("9..1", "0..0", "1..1e400", "1e400..1e400")),
        *((f"rate Conv 1 GFLOPS inner {inner};", "HW0108") for inner in ("9..1", "1.5..2", "1..1e30")),
        *((f"rate Conv 1 GFLOPS n {n};", "HW0108") for n in ("0", "-3", "2.5", "1e18", "1e400")),
        ("rate Conv 1 GFLOPS within -1 %;", "HW0108"),
        ("rate Conv 1 GFLOPS seen 9 MOP;", "HW0001"),
        ("rate Conv 1 GFLOPS seen -1..9 MOP;", "HW0001"),
        ("rate Conv 1 GFLOPS inner 9;", "HW0001"),
        ("rate Conv 1 GFLOPS of Conv;", "HW0001"),
        ("rate Conv 1 GFLOPS of;", "HW0001"),
        ('rate Conv 1 GFLOPS of "Conv 2-D" of "Conv 1-D";', "HW0103"),
        ("rate Conv 1 GFLOPS seen 1..9 kB;", "HW0106"),
        ("rate Conv 1 GFLOPS seen 1..9;", "HW0106"),
        ("rate Conv 1;", "HW0106"),
        ("rate Conv 1 GOP;", "HW0106"),
        ("rate Conv 1 GFLOPZ;", "HW0105"),
        ("rate Conv;", "HW0001"),
        ("rate 1 GFLOPS;", "HW0001"),
        ("rate;", "HW0001"),
        ("rate Conv Gelu 1 GFLOPS;", "HW0001"),
        ("rate Convv 1 GFLOPS;", "HW0401"),
        ("rate Conv 1 GFLOPS n 9 n 9;", "HW0103"),
        ("rate Conv 1 GFLOPS speed 9;", "HW0101"),
        ("rate Conv 1 GFLOPS { }", "HW0001"),
        ("rate Conv 1 GFLOPS where attr.groups > 1;", "HW0403"),
        ("rate Conv, Gelu 1 GB/s where attr.group > 1;", "HW0403"),
        ("rate Conv 1 GFLOPS where attr.group > 2 and attr.group < 1;", "HW0505"),
        ("rate Conv 1 GFLOPS where attr.group > 1 else copy;", "HW0001"),
        ('rate Conv 1 GFLOPS @src("a") n 9 @src("b");', "HW0001"),
        ("rate Conv 1 GFLOPS @measured;", "HW0111"),
        ("launch 1 us; launch 2 us;", "HW0103"),
        ("launch -1 us;", "HW0108"),
        ("launch 1 W;", "HW0106"),
        ("launch 1 us where rank(X) == 1;", "HW0001"),
        ("weights 1 GB/s beyond;", "HW0001"),
        ("weights 1 GB/s beyond 1 us;", "HW0106"),
        ("block Conv depth 16;", "HW0101"),
        ("block Conv channels 0;", "HW0108"),
        ("block Conv channels 1.5;", "HW0108"),
        ("block channels 16;", "HW0401"),
        ("holdout 182 % within 15 %;", "HW0108"),
        ("holdout 82 % near 15 %;", "HW0001"),
        ("holdout median 5 %, median 6 %;", "HW0103"),
        ("holdout;", "HW0001"),
        ("memory base 1 MiB;", "HW0104"),
        ("memory base 1 MiB, base 2 MiB, weights 1 %, working 1 %;", "HW0103"),
        ("memory base 1 %, weights 1 %, working 1 %;", "HW0106"),
        ("memory base 1 MiB, weights 1 %, working 1 %, weights Gather 1 %, weights ai.onnx::Gather 2 %;", "HW0103"),
        ("memory base 1 MiB, weights 1 %, working 1 %, weights Gether 1 %;", "HW0401"),
        ("memory base 1 MiB, weights Gather 1 %, working 1 %;", "HW0104"),
        ("memory base 1 MiB, weights 1 %, working 1 %, buffers 3 %;", "HW0001"),
        ("memory base 1 MiB, weights 1 %, working 1 %, buffers Attention 1 MiB;", "HW0106"),
        ("power full 0 W, exponent 1;", "HW0108"),
        ("power full 1 W, exponent 1e999;", "HW0108"),
        ("speed 5;", "HW0101"),
        ("version 1;", "HW0001"),
    ],
)
def test_a_mistake_is_told_where_it_stands(line: str, code: str) -> None:
    text = text_of(line)
    found = [one for one in analyse_text(text, "box.hw").diagnostics if one.severity == "error"]
    assert code in [one.code for one in found], [(one.code, one.message) for one in found]
    begin = text.index(line.split(" { }")[0].rstrip(";"))
    assert all(begin - 1 <= one.span.start <= begin + len(line) for one in found), [(one.code, one.span.text) for one in found]


def test_a_table_holds_no_calibration() -> None:
    text = "table mine { supports fp32 { Conv; } calibration { launch 1 us; } }"
    (found,) = [one for one in analyse_text(f"hw 1; {text}", "box.hw").diagnostics]
    assert (found.code, found.help) == ("HW0101", "`calibration` belongs in `device`")


# --- the editor


def labels(lines: str) -> list[str]:
    begun = f"hw 1; target t {{ device cpu : x {{ calibration {{ {lines}"
    return [item.label for item in complete(begun, len(begun))]


def test_completion_knows_the_block() -> None:
    assert {"rate", "holdout", "launch", "memory"} <= set(labels("")) and "supports" not in labels("")
    assert {"GFLOPS", "GE/s", "GB/s"} <= set(labels("rate Conv 5 ")) and "MOP" not in labels("rate Conv 5 ")
    assert {"MOP", "ME", "MB"} <= set(labels("rate Conv 5 GFLOPS seen 1..9 ")) and "us" not in labels("rate Conv 5 GFLOPS seen 1..9 ")
    assert labels("memory base 1 MiB, weights 8 ") == ["%"] and labels("launch 1 ")[0] == "s"
    assert {"attr.group", "const"} <= set(labels("rate Conv 5 GFLOPS where "))
    assert {"seen", "inner", "of", "n", "within"} <= set(labels("rate Conv 5 GFLOPS "))
    assert "@measured" in [item.label for item in complete("hw 1; target t { name @", 23)]


def test_hover_explains_a_rate_and_where_it_is_from() -> None:
    text = text_of("rate Gelu 1600 ME/s seen 1..9 kE;")
    for word, shown in (("rate", "Work a second"), ("1600", "1.6 GE/s"), ("@measured", "measured on the device"), ("Gelu", "since opset")):
        found = hover(text, text.index(word) + 1)
        assert found is not None and shown in found[0], word
