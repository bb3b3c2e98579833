"""Whatever a file holds gives diagnostics in bounded time; one slip gives about one of them. `make fuzz` is the long run."""

from __future__ import annotations

from collections import Counter

import pytest
from counted import at_most

from autoglmc.grammar import analyse_text
from autoglmc.grammar.rule_facts import rule_facts
from autoglmc.targets.stock import stock_path

from ..test_language_page import tool

HEAD = "hw 1;\ntarget t { onnx opset 13..21;\n"


def test_mutated_files_give_only_diagnostics() -> None:
    outcome = tool("fuzz_language").fuzz(1500, seed=3)
    assert not outcome.broken
    assert 1000 < outcome.refused < 1500


def test_a_single_fault_is_one_report() -> None:
    faults = list(tool("single_faults").faults(300, seed=2))
    counts = Counter(fault.reports for fault in faults)
    assert counts[1] / counts.total() >= 0.85 and max(counts) <= 8, counts
    assert {fault.kind for fault in faults} == set(tool("single_faults").KINDS)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("hw 1;\n" + "// x\n" * 220_000, "HW0005"),
        (HEAD + "device d : x { supports fp16 { Conv where " + "(" * 65 + "const(W)" + ")" * 65 + "; } } }", "HW0004"),
        ("hw 1;\n" + "a {\n" * 65 + "}\n" * 65, "HW0004"),
        (HEAD + "device d : x { supports fp16 { Conv where " + "const(W) and " * 200 + "const(W); } } }", "HW0004"),
    ],
    ids=["large", "brackets", "blocks", "operators"],
)
def test_too_much_is_refused_before_parsing(text: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from autoglmc.grammar.text import syntax

    def parsed(*_: object) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr(syntax, "parse", parsed)
    assert [item.code for item in analyse_text(text, "x.hw").diagnostics] == [code]


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "device npu : x { supports fp16 {\n" + "Conv where rank(Q) == 4;\n" * 400,
        HEAD + "memory m {\n" + "peak fp16 1 TOPS;\n" * 500,
        HEAD + "".join(f"device d{i} : x {{ }} link d{i} <-> d{i + 1} {{ }}\n" for i in range(300)),
        HEAD + "device npu : x { supports fp16 {\n" + "Conv\n" * 4000,
        HEAD + "}\n" * 8000,
        HEAD + "device npu : x { supports fp16 {\n" + ", ".join(["Conv"] * 3000) + " where rank(Q) == 1; }}}",
    ],
    ids=["conditions", "misplaced", "devices", "semicolons", "braces", "list"],
)
def test_a_file_full_of_mistakes(text: str) -> None:
    """The largest file may have thirty times as much."""
    with at_most(5_000_000):
        assert analyse_text(text, "x.hw", rule_facts()).diagnostics


def test_the_first_messages_of_very_many() -> None:
    """200 of them with every error before any warning, then how many more; no more is looked for after 2,000."""
    lines = "".join(f"device d{number} : x {{ peak fp16 1 TOPS; }}\n" for number in range(700))
    found = analyse_text(f"{HEAD}memory m {{ size 1 GB; }}\n{lines}}}", "x.hw", rule_facts()).diagnostics
    assert len(found) == 201 and {item.severity for item in found} == {"error"}
    assert found[-1].code == "HW0010" and found[-1].message.endswith(
        " more messages are not shown and the rest of the file was not checked"
    )
    starts = [item.span.start for item in found]
    assert starts == sorted(starts)


def test_a_file_full_of_warnings_is_a_target() -> None:
    memories = "".join(f"memory m{number} {{ size {number + 1} GB; bandwidth 1 GB/s; page 4 KiB; shared cpu; }}\n" for number in range(250))
    device = "device cpu : x { runtime ort; peak fp32 10 GFLOPS; dispatch 1 us; launch 1 us; supports fp32 { Add; } }"
    result = analyse_text(f"{HEAD}{memories}{device} }}", "x.hw", rule_facts())
    assert result.target is not None
    last = result.diagnostics[-1]
    # 250 decimal sizes, and pages of all memories but the largest are without effect
    assert (last.code, last.severity, last.message) == ("HW0010", "warning", "299 more messages are not shown")


def test_a_target_whose_head_is_misspelt_does_not_lack_what_it_extends() -> None:
    text = 'hw 1;\ninclude "a16.hw";\ntarget mine extents a16 { device npu : ane { dispatch 1 us; } }\n'
    assert [item.code for item in analyse_text(text, "x.hw", rule_facts()).diagnostics] == ["HW0001"]


def test_a_block_under_a_wrong_name_is_one_report() -> None:
    """`axes` is close to `shapes`; what stands in the block says that it is the memory all devices need."""
    text = stock_path("snapdragon_8gen3").read_text("utf-8").replace("memory dram {", "axes dram {")
    found = analyse_text(text, str(stock_path("snapdragon_8gen3")), rule_facts()).diagnostics
    assert [item.code for item in found if item.severity == "error"] == ["HW0101"]
