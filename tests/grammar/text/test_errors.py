"""Every check has a file that trips it; its whole output is a golden text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from golden import Golden

from autoglmc.grammar import HwError, Result, analyse_text, as_json, parse_target, render
from autoglmc.targets.rule_spec import RuleFacts

FOLDER = Path(__file__).parents[1] / "errors"
CASES = sorted(FOLDER.glob("*.hw"))
RULES = (
    RuleFacts(name="relu_tanh", matches=("Gelu",), emits=("Relu", "Tanh", "Mul", "Add", "Sub"), error=2.8e-4),
    RuleFacts(name="tanh", matches=("Gelu",), emits=("Tanh", "Mul", "Add"), error=2.8e-4),
    RuleFacts(name="to_add", matches=("Sum",), emits=("Add",), error=0.0),
    RuleFacts(name="to_sum", matches=("Add",), emits=("Sum",), error=0.0),
)
CODES = (
    *(f"HW{n:04}" for n in (1, 2, 3, 4, 7, 8, 9)),
    *(f"HW{n:04}" for n in (101, 102, 103, 104, 105, 106, 107, 108, 110, 111, 201, 202, 203, 204, 205, 206, 207)),
    *(f"HW{n:04}" for n in (301, 302, 303, 304, 305, 306, 307, 308, 309, 401, 402, 403, 404)),
    *(f"HW{n:04}" for n in (501, 502, 503, 504, 505, 506, 507, 508, 509, 510, 511, 512, 513, 514, 601, 602)),
    *(f"HW{n:04}" for n in range(701, 709)),
)


def analyse(case: Path) -> Result:
    return analyse_text(case.read_text("utf-8"), case.name, RULES, strict=case.stem.startswith("hw06"))


def output(case: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(case.parent)
    return "\n".join(render(diagnostic) for diagnostic in analyse(case).diagnostics)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_golden(case: Path, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    said = output(case, monkeypatch)
    golden(case.with_suffix(".txt"), said)
    code = re.match(r"hw\d{4}", case.stem)
    assert code is None or f"[{code[0].upper()}]" in said


def test_every_code_has_a_case() -> None:
    covered = {code for code in CODES if any(case.stem.startswith(code.lower()) for case in CASES)}
    assert covered == set(CODES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_sorted_and_once(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(case.parent)
    diagnostics = analyse(case).diagnostics
    found = [(d.span.source.name, d.span.start, d.code, d.message) for d in diagnostics]
    assert found == sorted(set(found))


def test_json_carries_what_the_text_says() -> None:
    with pytest.raises(HwError) as caught:
        parse_target("hw 1;\ntarget t { name Box; }\n", "t.hw")
    first = as_json(caught.value.diagnostics[0])
    assert (first["file"], first["line"], first["code"], first["severity"]) == ("t.hw", 2, "HW0104", "error")
    wrong = next(as_json(d) for d in caught.value.diagnostics if d.code == "HW0001")
    assert (wrong["line"], wrong["column"], wrong["end_column"]) == (2, 17, 20)
    assert "name" in wrong["message"]


def test_warnings_do_not_fail_but_are_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    text = (FOLDER / "hw0107_decimal_memory.hw").read_text("utf-8")
    target = parse_target(text, "x.hw", RULES, warn=lambda diagnostic: heard.append(diagnostic.code))
    assert heard == ["HW0107", "HW0513"] and target.memories[0].size == 6_000_000_000


def test_a_file_that_is_too_large() -> None:
    with pytest.raises(HwError) as caught:
        parse_target("x" * (1 << 20) + ";", "big.hw")
    assert [d.code for d in caught.value.diagnostics] == ["HW0005"]


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    from autoglmc.grammar import load_target

    path = tmp_path / "blob.hw"
    path.write_bytes(b"hw 1;\n\xff\xfe")
    with pytest.raises(HwError) as caught:
        load_target(path)
    assert [d.code for d in caught.value.diagnostics] == ["HW0006"]
