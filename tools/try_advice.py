"""Follows the advice of infeasible compilations, and looks for what it missed: every change printed is typed into the target's text.

    python tools/try_advice.py --pairs 200 --seed 0

A pair is a small model and a target whose text says less than the plan needs, drawn by seed until the compilation is infeasible. Two
judges, which share nothing with what finds the advice but the compiler itself: one edits the text as a reader would and compiles it; the
other tries every limit and every memory's budget alone on a ladder of values, up to what the language permits, and says where one would
have done.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.errors import Infeasible, UserError
from autoglmc.grammar import HwError

RUNGS, MEASURED_RUNGS = 24, 6
WIDEST = 1e4
"""Times the value of a limit, where the ladder ends."""
CLOSE = 1.05
"""Times what a ladder found, up to which advice counts as the smallest."""
UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "s": 1, "ms": 1e-3, "us": 1e-6, "W": 1, "mW": 1e-3, "": 1}


@dataclass(frozen=True, slots=True)
class Text:
    """A target file in pieces: what it says of memories and limits, and the rest."""

    head: str
    memories: dict[str, dict[str, str]]
    """Of the file's own memory blocks: statements by their first word."""
    limits: dict[str, str]
    """`latency <=`: its value."""

    def __str__(self) -> str:
        blocks = [f"  memory {n} {{ {' '.join(f'{k} {v};' for k, v in body.items())} }}" for n, body in self.memories.items()]
        limits = " ".join(f"{head} {value};" for head, value in self.limits.items())
        return self.head.replace("// here", "\n".join([*blocks, f"  limits {{ {limits} }}"]))


def edited(text: str, statement: str) -> str:
    """The file with what a message says typed into it: a limit in place of that limit, a budget in its memory."""
    memory = re.fullmatch(r"memory (\w+) \{ (budget [^;]*;) \}", statement)
    if memory is not None:
        name, line = memory.groups()
        block = re.search(rf"memory {name} \{{[^}}]*\}}", text)
        if block is None:
            return re.sub(r"  limits \{", lambda m: f"  {statement}\n{m[0]}", text, count=1)
        body, found = re.subn(r"budget [^;]*;", line, block[0])
        return text.replace(block[0], body if found else block[0].replace("{", f"{{ {line}", 1))
    head = re.fullmatch(r"(.*?) *(<=|>=) *(\S.*)", statement)
    assert head is not None, statement
    changed, found = re.subn(rf"\b{head[1]} *[<>]=? *[^;]*;", f"{statement};", text)
    assert found == 1, f"`{statement}` belongs nowhere in\n{text}"
    return changed


@dataclass(frozen=True, slots=True)
class Pair:
    model: Path
    text: Text
    verify: bool
    folder: Path

    def compile(self, text: str) -> UserError | HwError | None:
        path = self.folder / "phone.hw"
        path.write_text(text)
        try:
            compile_model(self.model, path, output=self.folder / "out", verify=self.verify, emulate=True)
        except (UserError, HwError) as problem:
            return problem
        return None


@dataclass(slots=True)
class Judged:
    """What came of one pair."""

    printed: int = 0
    together: int = 0
    failed: tuple[str, ...] = ()
    singles: tuple[str, ...] = ()
    """Limits whose change alone does, by the ladder."""
    missed: bool = False
    looser: tuple[str, ...] = ()
    """Advice that the ladder beats by more than CLOSE."""


def judge(pair: Pair, problem: Infeasible) -> Judged:
    found, original = Judged(), str(pair.text)
    advised: dict[str, str] = {}
    for sentence in problem.relaxations:
        statements = re.findall(r"`([^`]*)`", sentence)
        if not statements:
            continue
        found.printed += 1
        found.together += len(statements) > 1
        text = original
        for statement in statements:
            text = edited(text, statement)
        refusal = pair.compile(text)
        if refusal is not None:
            found.failed += (f"{' and '.join(statements)}: {str(refusal).splitlines()[0]}",)
        if len(statements) == 1:
            advised[_head(statements[0])] = statements[0]
    for head, ladder in ladders(pair):
        least = next((statement for statement in ladder if pair.compile(edited(original, statement)) is None), None)
        if least is None:
            continue
        found.singles += (least,)
        if head in advised and _beats(least, advised[head]):
            found.looser += (f"{advised[head]} where {least} does",)
    found.missed = bool(found.singles) and not advised
    return found


def _head(statement: str) -> str:
    return re.split(r" *(?:[<>]=?|budget)", statement)[0]


def _value(statement: str) -> float:
    number, unit = re.search(r"([0-9.e+-]+) ?([A-Za-z]*);? *\}?$", statement).groups()  # type: ignore[union-attr]
    return float(number) * UNITS[unit]


def _beats(least: str, advised: str) -> bool:
    if ">" in least:
        return 1 - _value(least) < (1 - _value(advised)) / CLOSE
    return _value(advised) > CLOSE * _value(least)


def ladders(pair: Pair) -> Iterator[tuple[str, list[str]]]:
    """For each limit and budget alone: statements from just looser than the file's to the loosest that the language permits."""
    rungs = MEASURED_RUNGS if pair.verify else RUNGS
    for head, value in pair.text.limits.items():
        here = _value(value)
        if ">" in head:
            lacking = (max(1 - here, 1e-9) * 10 ** (8 * k / rungs) for k in range(1, rungs))
            yield _head(head), [f"{head} {1 - share:.12g}" for share in lacking if share < 1]
        elif head.startswith("partitions"):
            yield _head(head), [f"{head} {int(here) + k}" for k in range(1, 12)]
        else:
            unit = " ".join(value.split()[1:])
            top = WIDEST
            yield _head(head), [f"{head} {here * top ** (k / rungs) / UNITS[unit]:.9g} {unit}".strip() for k in range(1, rungs + 1)]
    for name, body in pair.text.memories.items():
        if "budget" in body and "size" in body:
            here, top = _value(body["budget"]), _value(body["size"])
            if here < top:
                steps = [here * (top / here) ** (k / rungs) for k in range(1, rungs)] + [top]
                yield f"memory {name} {{", [f"memory {name} {{ budget {int(b)} B; }}" for b in steps]


# --- models and targets


def models(folder: Path, dice: random.Random, given: Sequence[Path]) -> Path:
    """A given model or one of a few layers."""
    if given and dice.random() < 0.3:
        return dice.choice(given)
    rng, width, nodes, weights = np.random.default_rng(dice.randrange(1 << 30)), dice.choice((8, 32, 64)), [], []
    last, kept = "x", ["x"]
    for k in range(dice.randint(2, 9)):
        kind = dice.choice(("MatMul", "MatMul", "Relu", "Erf", "Sigmoid", "Add", "Tanh", "Gelu"))
        reads = [last]
        if kind == "MatMul":
            weights.append(numpy_helper.from_array((rng.standard_normal((width, width)) / width**0.5).astype(np.float32), f"w{k}"))
            reads.append(f"w{k}")
        elif kind == "Add":
            reads.append(dice.choice(kept))
        last = f"t{k}"
        nodes.append(helper.make_node(kind, reads, [last], name=f"n{k}"))
        kept.append(last)
    value = [dice.choice((4, 64)), width]
    io = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, value) for name in ("x", last)]
    graph = helper.make_graph(nodes, "g", io[:1], io[1:], weights)
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


OPERATORS = ("MatMul", "Relu", "Erf", "Sigmoid", "Add", "Tanh", "Mul", "Conv", "Softmax", "Div", "Sub")


def target(dice: random.Random) -> Text:
    """Room for anything; an accelerator or two, one or two memories, sometimes a stock target extended."""
    if dice.random() < 0.2:
        stock = dice.choice(("a16", "snapdragon_8gen3", "tensor_g2", "x86_cpu"))
        return Text(f'hw 1;\ninclude "{stock}.hw";\ntarget phone extends {stock} {{\n// here\n}}\n', {}, {})
    names = ["npu", "gpu"][: dice.randint(1, 2)]
    every = ", ".join([*names, "cpu"])
    memories = {"dram": {"size": "64 MiB", "bandwidth": "20 GB/s", "shared": every, "page": "4 KiB"}}
    if dice.random() < 0.4:
        memories = {
            "sram": {"size": "64 MiB", "bandwidth": "4 GB/s", "holds": "activations", "shared": every},
            "flash": {"size": "64 MiB", "bandwidth": "0.5 GB/s", "holds": "weights", "shared": every},
        }
    elif dice.random() < 0.3:
        memories["scratch"] = {"size": "16 MiB", "bandwidth": "100 GB/s", "shared": "npu"}
    blocks = []
    for name in names:
        operators = ", ".join(dice.sample(OPERATORS, dice.randint(2, 7)))
        rewrite = "rewrite Gelu -> sigmoid tol 2e-2;" if dice.random() < 0.4 else ""
        blocks.append(
            f"  device {name} : x {{ runtime none; peak fp32 {dice.choice((50, 500))} GFLOPS; dispatch {dice.choice((1, 20))} us;"
            f" launch 1 us; power active {dice.choice((0.5, 2, 6))} W, idle 0.01 W; supports fp32 {{ {operators}; }} {rewrite} }}"
        )
        blocks.append(f"  link {name} <-> cpu {{ via shared; zero_copy; handoff {dice.choice((1, 10))} us; }}")
    blocks.append(
        "  device cpu : y { runtime ort; peak fp32 5 GFLOPS; dispatch 1 us; launch 1 us; power active 1 W, idle 0.01 W; supports all; }"
    )
    body = "\n".join(blocks)
    return Text(f"hw 1;\ntarget phone {{\n  onnx opset 13..21;\n// here\n{body}\n}}\n", memories, {})


KIBI = 1024


def tightened(text: Text, needs: dict[str, float], dice: random.Random, verify: bool) -> Text:
    """One to three statements below (sometimes above) what the unlimited plan needs."""
    limits, memories = {}, {name: dict(body) for name, body in text.memories.items()}
    choices = [name for name, value in needs.items() if value > 0]
    for name in dice.sample(choices, min(dice.randint(1, 3), len(choices))):
        need, share = needs[name], dice.choice((0.2, 0.6, 0.9, 0.99, 1.2))
        if name.startswith("budget "):
            memory = memories.get(name.split()[1])
            if memory is not None:
                size = need * dice.choice((0.95, 1.05, 4))  # the memory itself may be too small
                memory["size"], memory["budget"] = f"{max(int(size), 64)} B", f"{max(min(int(need * share), int(size)), 32)} B"
        elif name == "latency":
            limits["latency <="] = f"{need * share * 1e6:.6g} us"
        elif name in ("memory peak", "package size"):
            limits[f"{name} <="] = f"{max(int(need * share), 16)} B"
        elif name == "power avg":
            limits["power avg <="] = f"{need * share:.6g} W"
        elif name.startswith("partitions"):
            limits[f"{name} <="] = f"{max(int(need) - dice.randint(0, 2), 0)}"
        elif name == "error abs" and verify:
            limits["error abs <="] = f"{need * share:.6g}"
    if verify and dice.random() < 0.3:
        limits["accuracy cosine >="] = dice.choice(("1", "0.9999999", "0.999"))
    return replace(text, memories=memories, limits=limits)


def needed(model: Path, text: Text, folder: Path, verify: bool) -> dict[str, float] | None:
    """What the fastest plan takes of everything that may be limited; None where there is none."""
    wide = "latency <= 100 s; memory peak <= 32 MiB; power avg <= 100 W; package size <= 1 GiB; error abs <= 1e3; partitions cpu <= 99;"
    wide += " partitions npu <= 99;" if "device npu" in str(text) or ("extends" in text.head and "x86" not in text.head) else ""
    path = folder / "wide.hw"
    path.write_text(str(text).replace("limits {  }", f"limits {{ {wide} }}"))
    try:
        found = compile_model(model, path, output=folder / "wide", verify=verify, emulate=True)
    except (UserError, HwError):
        return None
    return {f"{record.kind} {record.subject}".strip(): record.value or 0.0 for record in found.manifest.limits}


def pairs(count: int, seed: int, given: Sequence[Path], folder: Path) -> Iterator[tuple[int, Pair, Infeasible]]:
    """Infeasible pairs; equal seeds draw equal ones."""
    number = made = 0
    while made < count:
        dice, number = random.Random(f"{seed}/{number}"), number + 1
        place = folder / str(number)
        place.mkdir()
        model, text, verify = models(place, dice, given), target(dice), dice.random() < 0.2
        needs = needed(model, text, place, verify)
        if needs is None:
            continue
        pair = Pair(model, tightened(text, needs, dice, verify), verify, place)
        problem = pair.compile(str(pair.text))
        if isinstance(problem, Infeasible):
            made += 1
            yield number - 1, pair, problem


def try_advice(count: int, seed: int, given: Sequence[Path], tell: bool) -> Counter[str]:
    """Counts over that many pairs."""
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for number, pair, problem in pairs(count, seed, given, Path(folder)):
            judged = judge(pair, problem)
            found.update(
                {
                    "pairs": 1,
                    "with advice": judged.printed > 0,
                    "changes printed": judged.printed,
                    "changes of several limits": judged.together,
                    "changes that fail": len(judged.failed),
                    "pairs where one limit would do": bool(judged.singles),
                    "of them without such advice": judged.missed,
                    "changes that are not the smallest": len(judged.looser),
                }
            )
            if tell and (judged.failed or judged.missed or judged.looser):
                how = ", verified" if pair.verify else ""
                print(f"--- {seed}/{number} ({pair.model.name}{how})\n{pair.text}\n{problem}\n{judged}", flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Follows the advice of infeasible compilations.")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", type=Path, nargs="*", default=(), help="ONNX files to draw from besides generated ones")
    arguments = parser.parse_args()
    start = time.process_time()
    found = try_advice(arguments.pairs, arguments.seed, arguments.models, tell=True)
    for what, count in found.items():
        print(f"{count:6d} {what}")
    print(f"seed {arguments.seed}, {time.process_time() - start:.0f} s")
    return 1 if found["changes that fail"] or found["of them without such advice"] else 0


if __name__ == "__main__":
    sys.exit(main())
