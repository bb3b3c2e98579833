"""docs/conformance.md: how the operator cases fared, and the cases that onnxruntime itself cannot load or gets wrong."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

from conformance import RUNTIME, limit

if TYPE_CHECKING:
    from conformance import Answer
    from operator_cases import Case

HEAD = """# Conformance to the ONNX operators

Written by `make conformance`, which puts every operator case of the ONNX standard (`onnx.backend.test.case.node`, onnx {onnx}: {count}
cases) through the compiler for every stock target. Each bundle runs on onnxruntime {ort}, which stands in for the devices that are not
here, and must give the outputs that the case itself states, within the tolerances of the standard's own test runner (relative 1e-3,
absolute 1e-7, bfloat16 2^-6; equal shapes, dtypes, strings). Tensors go to onnxruntime by address, so that it is also asked about
dtypes which its Python interface does not convert (bfloat16, fp8, 4 and 2 bits). Answers are kept in `.cache/conformance` until the
code changes, so that a run that was ended goes on; `make conformance TARGETS=x86_cpu,a16` runs some targets alone.

{results}

A case that onnxruntime loads and gets right must compile and be right{limited}. The other {others} are below with what the
runtime says and what the compiler answers: `no worse` means that it compiles and the bundle's answer differs from the case as
onnxruntime's own does, or is drawn at random. With verification on (the default of the command line) a model that onnxruntime cannot
load is refused before a bundle is written, in the runtime's words; verification that finds no inputs which the model takes, or outputs
drawn at random, says so and refuses nothing.

## Which opset a segment declares

A segment for the `ort` runtime declares the model's own opset (or the first one that has every operator the rewrites put there): load
has asked the installed onnxruntime whether it takes it. The `onnx opset a..b` range of a target is what its *other* runtimes read.
Their segments are declared inside the range, and an operator whose meaning at the declared opset is another than in the model (a
changed default, an attribute or dtype that came later, a version known to reinterpret it) is not offered to that device; the CPU runs
it. So a model of opset 26 still reaches an NPU that reads up to 21, with those of its operators that mean the same there.
`passes/graph/versions.py` holds the rule.

## What onnxruntime {ort} cannot load or gets wrong

| operator | opset | cases | onnxruntime | compiler |
|---|---|---|---|---|
"""
LONGEST = 160
NOISE = (
    (r"/\S*/onnxruntime/\S+", ""),  # source paths
    (r"\S+\.(h|cc):\d+ ", ""),
    (r"^\w+: ", ""),  # the exception's type
    (r"^error: ", ""),
    (r"\[ONNXRuntimeError\] : \d+ : \w+ : ", ""),
    (r" at: .*", ""),  # of our own messages: a temporary path
    (r" \(node:.*", ""),
    (r" with name.*", ""),
    (r"Name:'[^']*' Status Message:", ""),
    (r"Error in execution: Non-zero status code returned while running ", "while running "),
    (r"First \d+ mismatch.*|Mismatch at index.*|ACTUAL.*", ""),
    (r"\s+", " "),
)


LIMITED = """
## What a target's own numbers exclude

Nothing takes over here from the devices of a target that is only planned for: what is outside the opsets that it reads or does not fit
its memory is refused, with that number. An operator is outside where it is younger than the range, or means something else at its end,
or takes a dtype there that it did not know.

| target | limit | cases |
|---|---|---|
"""


def table(cases: Sequence[Case], answers: Sequence[Answer]) -> str:
    """The whole page."""
    limits = _limits(cases, answers)
    alone = {a.case: a for a in answers if a.target == "onnxruntime"}
    compiled: dict[str, list[Answer]] = {}
    for a in answers:
        if a.target != "onnxruntime":
            compiled.setdefault(a.case, []).append(a)
    rows: dict[tuple[str, int, str, str], list[str]] = {}
    for case in cases:
        if alone[case.name].verdict == "right":
            continue
        what = "cannot" if alone[case.name].verdict == "refused" else "other values"
        said = f"{what}: {shortened(alone[case.name].message)}"
        rows.setdefault((_operators(case), _opset(case), said, _ours(compiled.get(case.name, []), said)), []).append(case.name)
    head = HEAD.format(
        onnx=version("onnx"),
        ort=version("onnxruntime"),
        count=len(cases),
        results=_results(answers),
        others=sum(a.verdict != "right" for a in alone.values()),
        limited=", unless the target itself excludes it (below)" if limits else "",
    )
    lines = [f"| {kinds} | {opset} | {_names(names)} | {said} | {ours} |" for (kinds, opset, said, ours), names in sorted(rows.items())]
    return head + "\n".join(lines) + "\n" + (LIMITED + "\n".join(limits) + "\n" if limits else "")


def _limits(cases: Sequence[Case], answers: Sequence[Answer]) -> list[str]:
    """By target and limit, which operators' cases it excludes of those that onnxruntime gets right; memories case by case."""
    operators = {case.name: _operators(case) for case in cases}
    right = {a.case for a in answers if a.target == RUNTIME and a.verdict == "right"}
    rows: dict[tuple[str, str], list[str]] = {}
    for a in answers:
        if a.case in right and (excluded := limit(a)):
            rows.setdefault((a.target, excluded), []).append(a.case)
    return [
        f"| `{target}` | {excluded} | {_names(names) if len(names) == 1 else f'{len(names)}: {_counted(names, operators)}'} |"
        for (target, excluded), names in sorted(rows.items())
    ]


def _counted(names: Sequence[str], operators: Mapping[str, str]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in sorted(Counter(operators[name] for name in names).items()))


def shortened(message: str) -> str:
    """A runtime's message without paths, codes and numbers that differ from run to run."""
    for pattern, instead in NOISE:
        message = re.sub(pattern, instead, message.replace("\n", " "))
    message = message.strip(" ;:").replace("|", "/").replace("<", "‹").replace(">", "›")
    return message if len(message) <= LONGEST else f"{message[:LONGEST]}…"


def _results(answers: Sequence[Answer]) -> str:
    lines = ["| | right | refused | other values | crashed |", "|---|---|---|---|---|"]
    for target in sorted({a.target for a in answers}, key=lambda name: (name != "onnxruntime", name)):
        count = Counter(a.verdict for a in answers if a.target == target)
        label = "onnxruntime alone" if target == "onnxruntime" else f"`{target}`"
        lines.append(f"| {label} | " + " | ".join(str(count[v]) for v in ("right", "refused", "wrong", "crashed")) + " |")
    return "\n".join(lines)


def _ours(answers: Sequence[Answer], said: str) -> str:
    """One answer for all targets where they agree."""
    found: dict[str, list[str]] = {}
    for a in answers:
        text = shortened(a.message).removeprefix("onnxruntime cannot run 00-cpu.onnx: ")
        words = {"right": "right", "wrong": "no worse", "crashed": f"CRASH: {text}"}.get(a.verdict, text)
        known = a.verdict == "refused" and text[:40] in said
        found.setdefault("refused in the runtime's words" if known else words, []).append(a.target)
    return "; ".join(f"{text}" if len(found) == 1 else f"{text} ({', '.join(sorted(names))})" for text, names in sorted(found.items()))


def _operators(case: Case) -> str:
    """A case with many operators is the function body of the one it is named after."""
    names = case.operators.split(", ")
    return ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:3])} … ({len(names)} operators)"


def _names(names: Sequence[str]) -> str:
    return f"{len(names)}: " + ", ".join(name.removeprefix("test_") for name in names)


def _opset(case: Case) -> int:
    return next((o.version for o in case.model.opset_import), 1)
