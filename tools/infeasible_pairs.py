"""Random pairs of a small model and a target whose limits it does not keep, for tools/try_advice.py."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.errors import Infeasible, UserError
from autoglmc.grammar import HwError


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


@dataclass(frozen=True, slots=True)
class Pair:
    """A model and the text of a target; `compile` says why it is refused."""

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
        elif name.startswith("power"):
            limits[f"{name} <="] = f"{need * share:.6g} W"
        elif name == "energy":
            limits["energy <="] = f"{need * share * 1e3:.6g} mJ"
        elif name == "fps":
            limits["fps >="] = f"{need / share:.6g}"
        elif name.startswith("partitions"):
            limits[f"{name} <="] = f"{max(int(need) - dice.randint(0, 2), 0)}"
        elif name == "error abs" and verify:
            limits["error abs <="] = f"{need * share:.6g}"
    if verify and dice.random() < 0.3:
        limits["accuracy cosine >="] = dice.choice(("1", "0.9999999", "0.999"))
    return replace(text, memories=memories, limits=limits)


def needed(model: Path, text: Text, folder: Path, verify: bool) -> dict[str, float] | None:
    """What the fastest plan takes of everything that may be limited; None where there is none."""
    stated = "fps >= 0.001; latency <= 100 s; memory peak <= 32 MiB; power avg <= 100 W; power peak <= 100 W; energy <= 1 J;"
    stated += " package size <= 1 GiB; error abs <= 1e3; partitions cpu <= 99;"
    accelerated = "device npu" in str(text) or ("extends" in text.head and "x86" not in text.head)
    wide = stated + (" partitions npu <= 99;" if accelerated else "")
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
