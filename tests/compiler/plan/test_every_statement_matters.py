"""Every statement of the language matters: another value gives another plan, prediction, manifest or verdict, or the file is told that it
has no effect (HW05xx). One case for each row of grammar/words/properties.py and each of its numbers and words; a new row needs one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import pytest
from msgspec import to_builtins
from onnx import helper, numpy_helper
from small_agents import Agent

from autoglmc.compiler.commands.line.deploy import Words, words_of
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.errors import UserError
from autoglmc.compiler.hw.buckets import bucket_shapes
from autoglmc.compiler.hw.stated_calibration import calibration_json
from autoglmc.grammar import analyse_text
from autoglmc.grammar.rule_facts import rule_facts
from autoglmc.grammar.words.properties import PROPERTIES
from autoglmc.targets.model import Target

BLOCKS: Mapping[str, Sequence[str]] = {
    "file": ("hw 1;",),
    "target": ("onnx opset 13..21;",),
    "memory": ("size 64 MiB;", "budget 32 MiB;", "bandwidth 2 GB/s;", "shared npu, cpu;"),
    "device": (
        "runtime none;", "peak fp16 4 GOPS;", "peak fp32 2 GOPS;", "dispatch 1 us;", "launch 1 us;", "power active 2 W, idle 0.1 W;",
        "supports fp16 { MatMul, Softmax, Sin; }", "supports fp32 { Relu, Gelu, Tanh, Mul, Add, Sub, MatMul, Softmax; }",
    ),
    "link": ("zero_copy;", "handoff 1 us;"),
    "precision": (),
    "limits": (),
    "table": ("supports fp16 { Relu, MatMul; }", "supports fp32 { Softmax; }"),
    "calibration": (),
    "deploy": (
        'target "x86_cpu";', 'model vision "vision.onnx";', 'model embed "embed.onnx";', 'model decoder "decoder.onnx";',
        'link vision "features" -> decoder "inputs_embeds" rows image;', 'link embed "inputs_embeds" -> decoder "inputs_embeds";',
        'state "past.*" = "present.*" max 32;', "shapes { prefill: seq 8; decode: seq 1; }",
    ),
}  # fmt: skip
"""Statements of a block that a case adds its own to, in the place of those that begin alike."""


@dataclass(frozen=True)
class Case:
    """A statement and the same with another value."""

    one: str
    other: str
    beside: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Further statements of a block."""
    verify: bool = False
    shown: bool = False
    """Whether it is for people: a record of what was measured, which `autoglmc show` gives."""
    model: Literal["fixed", "dynamic", "counted", "image", "stored"] = "fixed"


HALF_MUL = "supports fp16 { Mul; }"
COUNTING = {
    "device": ["dispatch 1 ns;", "launch 1 ns;", "supports fp32 { NonZero, ReduceSum; }", "supports int64 { Cast; }"],
    "link": ["handoff 1 ns;"],
}
INTEGERS = {"device": ["supports int8, uint16 { MatMul where quantised; }", "peak int8 8 GOPS;"]}
STORED = {"device": ["peak int8 8 GOPS;", "supports int8, fp32 { DequantizeLinear, MatMul, Relu; }"], "link": ["handoff 1 ns;"]}
IMAGE = {"device": ["supports fp32 { Exp, Relu; }"], "link": ["copy 2 GB/s;"]}
CONVOLVED = {"calibration": ["rate Conv 1 GOPS;"], "device": ["supports fp32 { Conv, Exp, Relu; }"], "link": ["handoff 1 ns;"]}
WHOLE = {
    "calibration": ["rate MatMul, Relu, Softmax, Gelu, Sin 1 GB/s;"], "device": ["supports fp32 { Sin; }"], "link": ["handoff 1 ns;"]
}  # fmt: skip
"""All of the model is inside what was measured, so that there is an interval."""
CASES: Mapping[tuple[str, str], Sequence[Case]] = {
    ("file", "hw"): [Case("hw 1;", "hw 2;")],
    ("file", "include"): [Case('include "std/ort_cpu.hw";', 'include "std/nnapi.hw";', {"device": ["inherit ort_cpu;"]})],
    ("file", "table"): [
        Case("table mine { supports fp32 { Sin; } }", "table mine { supports fp32 { Exp; } }", {"device": ["inherit mine;"]})
    ],
    ("file", "target"): [],
    ("file", "amend"): [Case("amend &t.npu { dispatch 2 us; }", "amend &t.npu { dispatch 3 us; }")],
    ("file", "delete"): [Case("delete &t.npu.supports Relu;", "delete &t.npu.supports MatMul;")],
    ("file", "rule"): [
        Case(*(f"rule mine(x) {{ match Relu(x); emit {emit}; error exact; }}" for emit in ("Max(x, 0)", "(x + abs(x)) / 2")),
             {"device": ["rewrite Relu -> mine;", "supports fp32 { Max, Abs, Div; }"]})
    ],
    ("file", "deploy"): [],
    ("target", "name"): [Case('name "One";', 'name "Two";')],
    ("target", "onnx"): [Case("onnx opset 13..21;", "onnx opset 13..17;")],
    ("target", "confidence"): [Case("confidence low;", "confidence medium;"), Case("confidence low;", "confidence high;")],
    ("target", "memory"): [],
    ("target", "device"): [],
    ("target", "link"): [],
    ("target", "precision"): [],
    ("target", "limits"): [],
    ("target", "shapes"): [Case("shapes { all: n 4; }", "shapes { all: n 8; }", model="dynamic")],
    ("deploy", "target"): [Case('target "x86_cpu";', 'target "a16";')],
    ("deploy", "model"): [Case('model vision "vision.onnx";', 'model vision "embed.onnx";')],
    ("deploy", "link"): [
        Case(*(f'link vision "features" -> decoder "inputs_embeds" rows {rows};' for rows in ("image", "picture"))),
        Case(*(f'link embed "inputs_embeds" -> decoder "{name}";' for name in ("inputs_embeds", "position_ids"))),
    ],
    ("deploy", "state"): [
        Case(*(f'state "past.*" = "present.*" max {most};' for most in (32, 64))),
        Case(*(f'state "past.*" = "present.*" max 32{kept};' for kept in ("", " in fp16"))),
    ],
    ("deploy", "given"): [Case('given "position_ids";', 'given "attention_mask";')],
    ("deploy", "shapes"): [Case(*(f"shapes {{ prefill: seq {n}; decode: seq 1; }}" for n in (8, 16)))],
    ("deploy", "size"): [Case("size batch 1;", "size batch 2;")],
    ("memory", "size"): [Case("size 64 MiB;", "size 16 MiB;")],
    ("memory", "budget"): [Case("budget 32 MiB;", "budget 4 KiB;"), Case("budget 32 MiB;", "budget 31 MiB;")],
    ("memory", "bandwidth"): [Case("bandwidth 2 GB/s;", "bandwidth 0.2 GB/s;")],
    ("memory", "resident"): [Case("resident 64 MiB;", "resident 1 KiB;")],
    ("memory", "page"): [Case("page 4 KiB;", "page 64 KiB;")],
    ("memory", "holds"): [Case("holds weights, activations;", "holds weights;")],
    ("memory", "shared"): [Case("shared npu, cpu;", "shared cpu;")],
    ("device", "inherit"): [
        Case("inherit first;", "inherit second;", {"file": ["table first { max rank 4; } table second { max rank 1; }"]})
    ],
    ("device", "runtime"): [Case("runtime none;", "runtime nnapi;")],
    ("device", "peak"): [Case("peak fp32 2 GOPS;", "peak fp32 1 GOPS;")],
    ("device", "sustained"): [Case("sustained 90 %;", "sustained 30 %;")],
    ("device", "dispatch"): [Case("dispatch 1 us;", "dispatch 2 us;")],
    ("device", "launch"): [Case("launch 1 us;", "launch 2 us;")],
    ("device", "align"): [Case("align row 64 B;", "align row 256 B;")],
    ("device", "max"): [Case("max rank 4;", "max rank 1;"), Case("max dim W 65536;", "max dim W 8;")],
    ("device", "static_shapes"): [Case("static_shapes no;", "static_shapes yes;", COUNTING, model="counted")],
    ("device", "layout"): [Case("layout nchw;", "layout nhwc;", IMAGE, model="image")],
    ("device", "power"): [
        Case("power active 2 W, idle 0.1 W;", "power active 3 W, idle 0.1 W;"),
        Case("power active 2 W, idle 0.1 W;", "power active 2 W, idle 0.2 W;"),
    ],
    ("device", "supports"): [Case("supports fp32 { Exp, Sin; }", "supports fp32 { Exp, Cos; }")],
    ("device", "deny"): [Case("deny { MatMul where rank(A) == 2; }", "deny { MatMul where rank(A) == 3; }")],
    ("device", "kernel"): [Case("kernel { MatMul -> Relu; }", "kernel { MatMul -> Softmax; }")],
    ("device", "rewrite"): [
        Case("rewrite Gelu -> native;", "rewrite Gelu -> relu_tanh tol 5e-4;"),
        Case("rewrite Gelu -> relu_tanh tol 1e-3;", "rewrite Gelu -> relu_tanh tol 1e-3 keep fp16 Mul;", {"device": [HALF_MUL]}),
        Case("rewrite Gelu -> relu_tanh tol 5e-4 keep fp16 Tanh;", "rewrite Gelu -> relu_tanh tol 5e-4 keep fp32 Tanh;"),
    ],
    ("link", "via"): [Case("via dma;", "via pages;")],
    ("link", "zero_copy"): [
        Case("zero_copy where dtype == fp32 else copy 1 GB/s;", "zero_copy where dtype == fp16 else copy 1 GB/s;"),
        Case("zero_copy where dtype == int8 else copy 1 GB/s;", "zero_copy where dtype == int8 else copy 2 GB/s;"),
    ],
    ("link", "copy"): [Case("copy 1 GB/s;", "copy 0.5 GB/s;")],
    ("link", "row"): [Case("row 64 B;", "row 256 B;")],
    ("link", "align"): [Case("align 64 B;", "align 4 KiB;")],
    ("link", "length"): [Case("length multiple 64 B;", "length multiple 4 KiB;")],
    ("link", "handoff"): [Case("handoff 1 us;", "handoff 2 us;")],
    ("precision", "default"): [Case("default fp16;", "default fp32;")],
    ("precision", "compute"): [Case("compute fp16 for fp32;", "compute fp16 for fp64;")],
    ("precision", "prefer"): [Case("prefer a8w8 where loss <= 0.1 %;", "prefer a8w8 where loss <= 1 %;")],
    ("precision", "keep"): [
        Case("keep fp32 Softmax;", "keep fp16 Softmax;"),
        Case("keep fp16 Relu on npu;", "keep fp16 Relu on cpu;"),
        Case("keep fp16 MatMul where rank(A) == 2;", "keep fp16 MatMul where rank(A) == 3;"),
        Case("keep a8w8 MatMul on npu;", "keep a8w8 MatMul on cpu;", INTEGERS),
    ],
    ("limits", "latency"): [Case("latency <= 1 s;", "latency <= 1 us;")],
    ("limits", "fps"): [Case("fps >= 1;", "fps >= 1000000;")],
    ("limits", "memory"): [Case("memory peak <= 1 MiB;", "memory peak <= 1 KiB;")],
    ("limits", "power"): [Case("power avg <= 9 W;", "power avg <= 1 mW;"), Case("power peak <= 9 W;", "power peak <= 1 mW;")],
    ("limits", "energy"): [Case("energy <= 1 J;", "energy <= 1 nJ;")],
    ("limits", "package"): [Case("package size <= 1 MiB;", "package size <= 1 KiB;")],
    ("limits", "accuracy"): [
        Case("accuracy cosine >= 0.9;", "accuracy cosine >= 1;", verify=True),
        Case("accuracy top1 drop <= 1 %;", "accuracy top1 drop <= 2 %;"),
    ],
    ("limits", "error"): [Case(f"error {kind} <= 0.1;", f"error {kind} <= 0;", verify=True) for kind in ("abs", "rel")],
    ("limits", "partitions"): [Case("partitions npu <= 4;", "partitions npu <= 0;")],
    ("device", "weights"): [
        Case("weights int4 block 32 symmetric;", "weights int8 for uint16;", INTEGERS),
        Case("weights int8 MatMul;", "weights int8 widened MatMul;", STORED, model="stored"),
    ],
    ("device", "precision"): [Case("precision { keep fp16 MatMul; }", "precision { keep fp32 MatMul; }")],
    ("device", "calibration"): [Case("calibration { rate MatMul 1 GOPS; }", "calibration { rate MatMul 2 GOPS; }")],
    ("calibration", "version"): [Case('version "onnxruntime 1.32.0";', 'version "onnxruntime 1.33.0";', shown=True)],
    ("calibration", "holdout"): [
        Case("holdout interval 18 %;", "holdout interval 19 %;", WHOLE),
        Case("holdout 80 % within 15 %;", "holdout 81 % within 15 %;", shown=True),
        Case("holdout 80 % within 15 %;", "holdout 80 % within 16 %;", shown=True),
        Case("holdout median 5 %;", "holdout median 6 %;", shown=True),
        Case("holdout models 41;", "holdout models 42;", shown=True),
    ],
    ("calibration", "launch"): [Case("launch 1 us;", "launch 2 us;")],
    ("calibration", "dispatch"): [Case("dispatch 1 us;", "dispatch 2 us;")],
    ("calibration", "weights"): [
        Case("weights 2 GB/s beyond 1 KiB;", "weights 1 GB/s beyond 1 KiB;"),
        Case("weights 2 GB/s beyond 1 KiB;", "weights 2 GB/s beyond 2 KiB;"),
    ],
    ("calibration", "activations"): [Case("activations 2 MB/s;", "activations 1 MB/s;", {"calibration": ["rate MatMul 1 GOPS;"]})],
    ("calibration", "block"): [
        Case("block Conv channels 16;", "block Conv channels 32;", CONVOLVED, model="image"),
        *(Case(f"block Conv {axis} 16;", f"block Conv {axis} 32;") for axis in ("rows", "columns", "inner")),
    ],
    ("calibration", "rate"): [
        Case("rate MatMul 1 GOPS;", "rate MatMul 2 GOPS;"),
        Case("rate MatMul 1 GOPS seen 1..24 kOP;", "rate MatMul 1 GOPS seen 0.01..0.1 kOP;"),
        Case("rate MatMul 1 GOPS inner 1..30;", "rate MatMul 1 GOPS inner 1..4;"),
        Case('rate MatMul 1 GOPS of "MatMul";', 'rate MatMul 1 GOPS of "MatMul int8";'),
        Case("rate MatMul 1 GOPS n 20;", "rate MatMul 1 GOPS n 30;", shown=True),
        Case("rate MatMul 1 GOPS within 10 %;", "rate MatMul 1 GOPS within 20 %;", shown=True),
        Case("rate MatMul 1 GOPS where rank(A) == 2;", "rate MatMul 1 GOPS where rank(A) == 3;"),
    ],
    ("calibration", "memory"): [
        Case("memory base 1 MiB, weights 100 %, working 100 %;", "memory base 2 MiB, weights 100 %, working 100 %;"),
        Case("memory base 1 MiB, weights 100 %, working 100 %;", "memory base 1 MiB, weights 200 %, working 100 %;"),
        Case("memory base 1 MiB, weights 100 %, working 100 %;", "memory base 1 MiB, weights 100 %, working 200 %;"),
        Case("memory base 1 MiB, weights 100 %, working 100 %;", "memory base 1 MiB, weights 100 %, working 100 %, weights MatMul 50 %;"),
        Case("memory base 1 MiB, weights 100 %, working 100 %;", "memory base 1 MiB, weights 100 %, working 100 %, buffers MatMul 400 %;"),
    ],
    ("calibration", "power"): [
        Case("power full 2 W, exponent 0.8;", "power full 3 W, exponent 0.8;"),
        Case("power full 2 W, exponent 0.8;", "power full 2 W, exponent 0.5;"),
    ],
}  # fmt: skip
SHOWN = {("target", "name"), ("target", "confidence")}
"""Statements for people, which `autoglmc targets` lists."""
OPENS = {
    *(("file", name) for name in ("target", "deploy")),
    *(("target", name) for name, row in PROPERTIES["target"].items() if row.opens and name != "shapes"),
}
"""Blocks, whose statements are rows of their own."""


def text_of(block: str, statement: str, beside: Mapping[str, Sequence[str]]) -> str:
    """A target that has everything, with these statements in the place of its own."""
    bodies = {name: list(kept) for name, kept in BLOCKS.items()}
    for name, added in [*((name, one) for name, several in beside.items() for one in several), (block, statement)]:
        words = re.match(r"peak \w+|\w+", added)
        head = re.compile(rf"{words[0] if words else added}\b")
        bodies[name] = [kept for kept in bodies[name] if added.startswith("supports") or not head.match(kept)] + [added]
    body = {name: " ".join(kept) for name, kept in bodies.items()}
    head = "hw 1;" if not any(kept.startswith("hw") for kept in bodies["file"]) else ""
    late = [kept for kept in bodies["file"] if kept.startswith(("amend", "delete"))]
    early = " ".join(kept for kept in bodies["file"] if kept not in late)
    return f"""{head} {early}
    target t {{ {body["target"]}
      memory dram {{ {body["memory"]} }}
      device npu : x {{ {body["device"]} {f"calibration {{ {body['calibration']} }}" if body["calibration"] else ""} }}
      device cpu : y {{ runtime none; peak fp32 0.2 GOPS; dispatch 1 us; launch 1 us; power active 1 W, idle 0.1 W; supports all; }}
      link npu <-> cpu {{ {body["link"]} }}
      precision {{ {body["precision"]} }}
      limits {{ {body["limits"]} }}
    }} {" ".join(late)}"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "fixed": write(folder / "m.onnx", 4),
        "dynamic": write(folder / "d.onnx", "n"),
        "counted": counted(folder / "c.onnx"),
        "image": image(folder / "i.onnx"),
        "stored": stored(folder / "s.onnx"),
    }


def image(path: Path) -> Path:
    """Exp -> Relu -> Conv -> Sin of an image: all but Sin, and Conv where it is not listed, for the npu."""
    chain = [("Exp", "x", "a"), ("Relu", "a", "b"), ("Conv", "b", "c"), ("Sin", "c", "y")]
    nodes = [helper.make_node(kind, [source, *(["w"] if kind == "Conv" else [])], [result]) for kind, source, result in chain]
    weight = numpy_helper.from_array(np.full((3, 3, 1, 1), 0.1, np.float32), "w")
    ends = [helper.make_tensor_value_info(n, 1, [1, 3, 40, 40]) for n in ("x", "y")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path)
    return path


def stored(path: Path) -> Path:
    """MatMul -> Relu, the weight in int8."""
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s"], ["d"]),
        helper.make_node("MatMul", ["x", "d"], ["a"]),
        helper.make_node("Relu", ["a"], ["y"]),
    ]
    constants = [numpy_helper.from_array(np.full((400, 100), 3, np.int8), "w"), numpy_helper.from_array(np.array(0.1, np.float32), "s")]
    ends = [helper.make_tensor_value_info(n, 1, [4, s]) for n, s in (("x", 400), ("y", 100))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path)
    return path


def counted(path: Path) -> Path:
    """NonZero -> Cast -> ReduceSum: shapes that depend on values, inside."""
    nodes = [
        helper.make_node("NonZero", ["x"], ["a"]),
        helper.make_node("Cast", ["a"], ["b"], to=1),
        helper.make_node("ReduceSum", ["b"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(n, 1, s) for n, s in (("x", [4, 30]), ("y", [1, 1]))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path)
    return path


def write(path: Path, rows: int | str, weights_of_both: bool = False) -> Path:
    """MatMul -> Relu -> Softmax -> Gelu -> Sin: all but Sin for the npu. `weights_of_both`: the cpu has a weight too."""
    weight = numpy_helper.from_array(np.random.default_rng(3).normal(size=(30, 100)).astype(np.float32), "w")
    chain = [("MatMul", ["x", "w"]), ("Relu", ["a0"]), ("Softmax", ["a1"]), ("Gelu", ["a2"]), ("Sin", ["a3"])]
    nodes = [helper.make_node(kind, inputs, [f"a{k}" if k < 4 else "y"]) for k, (kind, inputs) in enumerate(chain)]
    ends = [helper.make_tensor_value_info(n, 1, [rows, s]) for n, s in (("x", 30), ("y", 100))]
    weights = [weight]
    if weights_of_both:
        nodes[-1].output[0] = "a4"
        nodes.append(helper.make_node("Div", ["a4", "v"], ["y"]))
        weights.append(numpy_helper.from_array(np.full(100, 2, np.float32), "v"))
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path)
    return path


def outcome(target: Target, path: Path, folder: Path, case: Case) -> Any:
    """All that a compilation decides and predicts, less what repeats the file: names of lines, numbers as written, the digest."""
    shapes = bucket_shapes(target, "all") if target.shapes else {}
    try:
        result = compile_model(path, target, output=folder, shapes=shapes, verify=case.verify, emulate=True)
    except UserError as error:
        return type(error).__name__, re.sub(r"t\.hw:\d+", "", error.message)
    manifest = to_builtins(result.manifest)
    manifest["target"].pop("sha256")
    manifest["limits"] = [{k: v for k, v in one.items() if k in ("kind", "subject", "value")} for one in manifest["limits"]]
    facts = result.as_json()
    return _without_places(
        [manifest, {name: facts[name] for name in ("devices", "handoffs", "latency", "arena", "memory", "energy", "confidence")}]
    )


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_places(item) for key, item in value.items() if key not in ("origin", "sha256", "files", "guesses")}
    if isinstance(value, list | tuple):
        return [_without_places(item) for item in value]
    return re.sub(r"t\.hw:\d+", "", value) if isinstance(value, str) else value


ALL = [
    pytest.param(block, name, case, id=f"{block}-{name}-{k}")
    for (block, name), cases in CASES.items()
    for k, case in enumerate(cases)
    if block != "deploy"
]
DEPLOYED = [case for (block, _), cases in CASES.items() if block == "deploy" for case in cases]


def deploy_text(statement: str) -> str:
    """A deployment that has everything, with the statement in the place of its own."""
    head = " ".join(statement.split()[: 2 if statement.startswith(("model", "link")) else 1])
    return f"hw 1; deploy t {{ {' '.join(kept for kept in BLOCKS['deploy'] if not kept.startswith(head))} {statement} }}"


@pytest.mark.parametrize("case", DEPLOYED, ids=lambda case: case.one)
def test_another_value_of_a_deployment_is_another_command_line(case: Case, tmp_path: Path) -> None:
    for name, model in Agent().models().items():
        onnx.save_model(model, tmp_path / f"{name}.onnx")
    found: list[Any] = []
    for statement in (case.one, case.other):
        path = tmp_path / "t.hw"
        path.write_text(deploy_text(statement))
        try:
            found.append(words_of(path, Words((), "")))
        except UserError as problem:
            found.append(problem.message)
    assert isinstance(found[0], Words), found[0]
    assert found[0] != found[1]


@pytest.mark.parametrize(("block", "name", "case"), ALL)
def test_another_value_changes_something_or_is_told(block: str, name: str, case: Case, models: Mapping[str, Path], tmp_path: Path) -> None:
    found = []
    for statement in (case.one, case.other):
        result = analyse_text(text_of(block, statement, case.beside), "t.hw", rule_facts())
        if any(d.code.startswith("HW05") and statement in d.span.source.text[d.span.start :][:200] for d in result.diagnostics):
            return
        assert found or result.target is not None, result.diagnostics
        if result.target is None:
            found.append([(d.code, d.message) for d in result.diagnostics if d.severity == "error"])
        elif case.shown:
            found.append([_without_places(calibration_json(d.calibration)) for d in result.target.devices if d.calibration])
        elif (block, name) in SHOWN:
            found.append((result.target.title, result.target.confidence))
        else:
            found.append(outcome(result.target, models[case.model], tmp_path / f"b{len(found)}", case))
    assert not isinstance(found[0], tuple) or (block, name) in SHOWN, found[0]
    assert found[0] != found[1], f"`{case.one}` and `{case.other}` come to the same, and nothing says so"


def test_every_statement_has_a_case() -> None:
    rows = {(block, name) for block, known in PROPERTIES.items() if block != "table" for name in known}
    assert set(CASES) == rows
    assert {key for key, cases in CASES.items() if not cases} == OPENS
    for (block, name), cases in CASES.items():
        row = PROPERTIES[block][name]
        written = " ".join(f"{case.one} {case.other}" for case in cases)
        unfit = {"opset"} if name == "onnx" else set()
        assert {word for word in row.words if not re.search(rf"\b{word}\b", written)} <= unfit, (block, name)
        assert len(cases) >= len(row.numbers), (block, name)


BIG, SMALL = "size 64 MiB; bandwidth 2 GB/s;", "size 2 MiB; bandwidth 8 GB/s;"
LAYOUTS = {
    "one for all": {"dram": f"{BIG} shared npu, cpu;"},
    "a scratchpad of the npu": {"dram": f"{BIG} shared npu, cpu;", "tcm": f"{SMALL} shared npu;"},
    "a second one for activations": {"dram": f"{BIG} shared npu, cpu;", "sram": f"{SMALL} holds activations; shared npu, cpu;"},
    "flash and SRAM": {"sram": f"{SMALL} holds activations; shared npu, cpu;", "flash": f"{BIG} holds weights; shared npu, cpu;"},
    "two kinds of flash": {
        "sram": f"{SMALL} holds activations; shared npu, cpu;",
        "flash": f"{BIG} holds weights; shared npu, cpu;",
        "otp": f"{SMALL} holds weights; shared npu, cpu;",
    },
    "the npu's own": {"vram": "size 1 GiB; bandwidth 4 GB/s; shared npu;", "dram": f"{BIG} shared npu, cpu;"},
    "weights beside a memory for all": {"dram": f"{BIG} shared npu, cpu;", "flash": f"{BIG} holds weights; shared npu, cpu;"},
    "a cache of the cpu": {"dram": f"{BIG} shared npu, cpu;", "l2": f"{SMALL} holds activations; shared cpu;"},
    "too small for a tensor": {"dram": f"{BIG} shared npu, cpu;", "latch": "size 32 B; bandwidth 8 GB/s; shared npu;"},
    "tightly coupled, SRAM and DRAM": {
        "dram": f"{BIG} shared npu, cpu;",
        "sram": f"{SMALL} shared npu, cpu;",
        "tcm": "size 2 KiB; bandwidth 32 GB/s; holds activations; shared npu;",
    },
    "VTCM": {"dram": f"{BIG} shared npu, cpu;", "vtcm": "size 8 MiB; bandwidth 64 GB/s; holds activations; shared npu;"},
    "as fast, and read beside the first": {"dram": f"{BIG} shared npu, cpu;", "psram": f"{BIG} holds weights; shared npu, cpu;"},
    "its own for activations": {
        "vram": "size 1 GiB; bandwidth 4 GB/s; holds activations; shared npu;",
        "dram": f"{BIG} shared npu, cpu;",
        "rom": f"{SMALL} holds weights; shared npu;",
    },
}


def with_memories(memories: Mapping[str, str]) -> str:
    text = text_of("file", "hw 1;", {"device": ["peak fp16 400 GOPS;", "peak fp32 200 GOPS;"]})  # bandwidth is what limits it
    text = text.replace("peak fp32 0.2 GOPS", "peak fp32 2 GOPS")
    blocks = " ".join(f"memory {name} {{ {body} }}" for name, body in memories.items())
    return re.sub(r"memory dram \{[^}]*\}", blocks, text)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_memory_has_an_effect_or_is_told(layout: str, tmp_path: Path) -> None:
    """Less bandwidth or a smaller budget changes what is planned or predicted, or the memory is named, never both."""
    path = write(tmp_path / "m.onnx", 4, weights_of_both=True)

    def of(memories: Mapping[str, str], number: int) -> tuple[Any, set[str]]:
        result = analyse_text(with_memories(memories), "t.hw", rule_facts())
        assert result.target is not None, result.diagnostics
        told = {d.span.source.text[d.span.start : d.span.end] for d in result.diagnostics if d.code == "HW0513"}
        return outcome(result.target, path, tmp_path / f"b{number}", Case("", "")), told

    before, told = of(LAYOUTS[layout], 0)
    assert not isinstance(before, tuple)
    for number, name in enumerate(LAYOUTS[layout], 1):
        body = LAYOUTS[layout][name]
        slower = re.sub(r"bandwidth \d+ GB/s", "bandwidth 0.01 GB/s", body)
        smaller = re.sub(r"size \d+ [KMG]iB;", r"\g<0> budget 1 KiB;", body)
        changed = [of({**LAYOUTS[layout], name: other}, number)[0] != before for other in (slower, smaller)]
        assert any(changed) != (name in told), (name, changed)
