"""docs/language.md says what the checker does: every property, every code, every example is tried."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from autoglmc.compiler.hw.explain_code import STRICT
from autoglmc.grammar import Result, analyse_file, analyse_text, render
from autoglmc.grammar.rule_facts import rule_facts
from autoglmc.grammar.text.code_examples import FOLDER
from autoglmc.grammar.text.codes import CODES
from autoglmc.grammar.words.properties import PROPERTIES
from autoglmc.targets.predicates import PREDICATES

ROOT = Path(__file__).resolve().parent.parent.parent
BAD, FIXED = sorted(FOLDER.glob("*.bad.hw")), sorted(FOLDER.glob("*.fixed.hw"))
TWICE = {"HW0503"}
"""Codes reported at every line of the cycle."""


def tool(name: str) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec and spec.loader
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def emitted() -> set[str]:
    """Every code in the source of the checker."""
    files = [path for folder in ("grammar", "compiler") for path in (ROOT / folder).rglob("*.py") if path.name != "codes.py"]
    return {code for path in files for code in re.findall(r'"(HW\d{4})"', path.read_text("utf-8"))}


def checked(path: Path) -> Result:
    return analyse_file(path, rule_facts(), path.name[:6].upper() in STRICT)


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "language.md").read_text("utf-8") == tool("generate_language").page(), "run tools/generate_language.py"


def test_every_code_is_explained() -> None:
    assert not emitted() - set(CODES), "give these codes a meaning in grammar/text/codes.py"
    assert not set(CODES) - emitted(), "these codes are no longer reported: remove them from grammar/text/codes.py"


def test_every_code_has_an_example() -> None:
    shown = {path.name[:6].upper() for path in BAD} | set(tool("generate_language").NO_FILE)
    assert shown == set(CODES), "write grammar/text/examples/hwNNNN.bad.hw and .fixed.hw, then run tools/generate_language.py"
    assert [path.name.replace(".bad.", ".fixed.") for path in BAD] == [path.name for path in FIXED]


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.name)
def test_a_bad_example_gives_its_code_and_nothing_else(path: Path) -> None:
    code = path.name[:6].upper()
    found = checked(path).diagnostics
    assert {item.code for item in found} == {code}
    assert len(found) == 1 or code in TWICE
    assert {item.severity for item in found} == {CODES[code].severity}


@pytest.mark.parametrize("path", FIXED, ids=lambda path: path.name)
def test_a_fixed_example_is_clean(path: Path) -> None:
    result = checked(path)
    assert (result.target is not None or result.deployment is not None) and not result.diagnostics


def test_examples_on_the_page_are_clean() -> None:
    blocks = re.findall(r"```hw\n(.*?)```", (ROOT / "docs" / "language.md").read_text("utf-8"), re.DOTALL)
    assert blocks
    for text in blocks:
        found = analyse_text(text, "page.hw", rule_facts()).diagnostics
        assert not found, "\n".join(render(item) for item in found)


FILLED = {
    "memory": "size 1 GiB; bandwidth 1 GB/s; shared cpu;",
    "device": "runtime none; peak fp32 1 TFLOPS; dispatch 1 us; launch 1 us; supports all;",
    "link": "via x; zero_copy; handoff 1 us;",
    "table": "supports all;",
}
DEPLOYED = ('target "x86_cpu";', 'model vision "vision.onnx";', 'model decoder "decoder.onnx";', 'state "past.*" = "present.*" max 64;')
UNUSUAL = ("HW0301", "HW0303", "HW0307")
"""About numbers that are fine alone."""


@pytest.mark.parametrize(
    ("block", "name"),
    [(block, name) for block, rows in PROPERTIES.items() if block != "file" for name, p in rows.items() if "…" not in p.example],
)
def test_the_example_of_a_property_is_accepted(block: str, name: str) -> None:
    """In a target that has everything else, the example adds no message."""
    said = {known: FILLED[known] for known in FILLED}
    precision, limits, target, deploy = "", "", "onnx opset 13..21;", ""
    example = PROPERTIES[block][name].example.replace("ort_cpu", "mine").replace("shared npu, cpu;", "shared cpu, npu;")
    match block:
        case "precision":
            precision = example
            said["device"] = (
                "runtime none; peak fp32 1 TFLOPS; dispatch 1 us; launch 1 us; supports fp16, fp32 { Softmax; } peak fp16 1 TFLOPS;"
                " supports int8 { Conv, MatMul; } peak int8 1 TOPS;"
            )
        case "calibration":
            beside = {"rate": "rate Conv 65 GFLOPS;", "holdout": "holdout interval 18 %;", name: ""}
            said["device"] += f" calibration {{ {' '.join(beside.values())} {example} }}"
        case "limits":
            limits = example
        case "deploy":
            kept = [part for part in DEPLOYED if part.split()[:2] != example.split()[:2] and (part.split()[0] != name or name == "model")]
            deploy = " ".join([*kept, example])
        case "target":
            target = f"onnx opset 13..21; {example}" if name != "onnx" else example
        case _:
            head = example.split()[0]
            kept = [part + ";" for part in said[block].split(";") if part.strip() and part.split()[0] != head]
            said[block] = " ".join([*kept, example])
    other = "peak fp16 1 TFLOPS; dispatch 1 us; launch 1 us; runtime none;"
    text = f"""hw 1;
    table mine {{ {said["table"].replace("inherit mine;", "inherit other;")} }}
    table other {{ supports all; }}
    target t {{ {target}
      memory dram {{ {said["memory"].replace("shared cpu;", "shared npu, cpu;")} }}
      device npu : x {{ {said["device"]} }}
      device cpu : y {{ {other} supports all; power active 1 W, idle 1 W; }}
      link npu <-> cpu {{ {said["link"]} }}
      precision {{ {precision} }}
      limits {{ {limits} }}
    }}
    {f"deploy d {{ {deploy} }}" if deploy else ""}"""
    found = [item for item in analyse_text(text, "x.hw", rule_facts()).diagnostics if item.code not in UNUSUAL]
    assert not found, "\n".join(render(item) for item in found)


def test_every_predicate_has_a_sample_that_is_accepted() -> None:
    samples = tool("generate_language").SAMPLES
    assert set(samples) == set(PREDICATES)
    for name, sample in samples.items():
        assert name in sample
