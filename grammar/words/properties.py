"""Every statement a block may hold: its form, what it means, an example. The language page and the editor show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Property:
    example: str
    """A whole statement; blocks as `{ … }`."""
    meaning: str
    dimension: str = ""
    """Of its number: a key of units.DIMENSIONS; "" where it has none."""
    required: bool = False


_SAID: Mapping[str, Mapping[str, Property]] = {
    "file": {
        "hw": Property("hw 1;", "The version of the language; the first statement of every file.", "plain number", True),
        "include": Property('include "std/ort_cpu.hw";', "Reads another file: beside this one, else one that ships."),
        "table": Property("table ort_cpu { … }", "What a kind of device runs, to `inherit`. A file may hold tables and no target."),
        "target": Property("target a16 { … }", "The machine. `target mine extends a16 { … }` keeps what it does not say itself."),
        "amend": Property("amend &a16.npu { dispatch 120 us; }", "Changes a block of a target that is read; its path must exist."),
        "delete": Property("delete &a16.npu.supports Resize;", "Takes a statement or operators away; the path must exist."),
        "rule": Property("rule mine(x) { … }", "A substitution written as mathematics: `match`, `let`, `emit` and the `error` it claims."),
    },
    "target": {
        "name": Property('name "Apple A16 Bionic";', "A title for people."),
        "onnx": Property("onnx opset 13..21;", "The ONNX opsets its runtimes take.", "plain number", True),
        "confidence": Property("confidence low;", "What the author thinks of the numbers: low, medium or high."),
        "memory": Property("memory dram { … }", "A memory, and who shares it.", required=True),
        "device": Property("device npu : ane { … }", "What runs operators; the word after `:` is free text for reports.", required=True),
        "link": Property("link npu <-> cpu { … }", "How a tensor gets from one device to another; `->` for one way."),
        "precision": Property("precision { … }", "Which dtypes are computed in."),
        "limits": Property("limits { … }", "What a deployment must keep."),
        "shapes": Property("shapes { … }", "Sizes to compile for: `decode: seq 1; prefill: seq 16, 64;`; chosen by `--bucket prefill=64`."),
    },
    "memory": {
        "size": Property("size 6 GiB;", "Its size.", "size", True),
        "budget": Property("budget 1.5 GiB;", "What one deployment may hold of it; the size where it is not said.", "size"),
        "bandwidth": Property("bandwidth 51.2 GB/s;", "Bytes a second it delivers.", "bandwidth", True),
        "page": Property("page 16 KiB;", "What allocations are a multiple of, a power of two.", "size"),
        "holds": Property("holds weights, activations;", "Its roles: one of these or both; both where it is not said."),
        "shared": Property("shared npu, cpu;", "The devices that address it.", required=True),
    },
    "device": {
        "inherit": Property("inherit ort_cpu;", "Takes over the operators, chains, rewrites and limits of shape of a table."),
        "runtime": Property("runtime coreml mlprogram ios >= 17;", "What compiles and runs its segments; `none` plans only."),
        "peak": Property("peak fp16 17 TOPS;", "Operations a second in one dtype; a multiply-add counts two.", "rate of operations", True),
        "sustained": Property("sustained 60 %;", "The share of the peaks that real work reaches; 100 % where it is not said.", "share"),
        "dispatch": Property("dispatch 150 us;", "Starting one segment on the device.", "time", True),
        "launch": Property("launch 1 us;", "One kernel inside a running segment; a `kernel` chain counts once.", "time", True),
        "align": Property("align row 64 B;", "The last axis of a tensor is padded to this.", "size"),
        "max": Property("max rank 5;", "The highest rank, or `max dim N 65536, C 65536;` the largest extents.", "plain number"),
        "static_shapes": Property("static_shapes yes;", "Whether every extent must be known when compiling."),
        "power": Property("power active 2 W, idle 0.1 W;", "What it draws.", "power"),
        "supports": Property("supports fp16 { … }", "Operators it runs in a dtype; or `supports all;`.", required=True),
        "deny": Property("deny { … }", "Operators it does not run; stronger than `supports`."),
        "kernel": Property("kernel { … }", "Chains that run as one launch: `Conv -> Relu | Clip; MatMul -> Add -> Gelu?;`."),
        "rewrite": Property("rewrite Gelu -> relu_tanh tol 5e-4;", "What replaces it: a rule, `native`, `decompose`; order is preference."),
    },
    "link": {
        "via": Property("via iosurface;", "The mechanism, for reports."),
        "zero_copy": Property("zero_copy where dtype == fp16 else copy 20 GB/s;", "The tensor stays where it is."),
        "copy": Property("copy 20 GB/s;", "The tensor is copied; beside `zero_copy;` where its buffer turns out not to fit.", "bandwidth"),
        "row": Property("row 64 B;", "Rows of a tensor that crosses are padded to this.", "size"),
        "align": Property("align 16 KiB;", "Where a tensor that crosses may begin.", "size"),
        "length": Property("length multiple 16 KiB;", "What its allocated length is a multiple of.", "size"),
        "handoff": Property("handoff 30 us;", "Synchronisation for one tensor.", "time", True),
    },
    "precision": {
        "default": Property("default fp16;", "The dtype that is computed in where there is a choice."),
        "compute": Property("compute fp16 for fp32;", "Operands of the second dtype may be computed in the first."),
        "keep": Property("keep fp32 Softmax on cpu;", "These operators stay in that dtype, perhaps on one device only."),
    },
    "limits": {
        "latency": Property("latency <= 12 ms;", "Predicted time of one run.", "time"),
        "memory": Property("memory peak <= 250 MiB;", "Predicted bytes held at once.", "size"),
        "power": Property("power avg <= 2.5 W;", "Predicted draw, `avg` or `peak`.", "power"),
        "package": Property("package size <= 60 MiB;", "Bytes of the bundle.", "size"),
        "accuracy": Property("accuracy cosine >= 0.999;", "Measured likeness of every output.", "plain number"),
        "error": Property("error abs <= 1e-2;", "Measured error of every output, `abs` or `rel`.", "plain number"),
        "partitions": Property("partitions npu <= 4;", "Segments on one device.", "plain number"),
    },
}  # fmt: skip
_OF_A_TABLE = ("inherit", "align", "max", "static_shapes", "supports", "deny", "kernel", "rewrite")
PROPERTIES: Mapping[str, Mapping[str, Property]] = {**_SAID, "table": {name: _SAID["device"][name] for name in _OF_A_TABLE}}
"""By block as in schema.BLOCKS, then by name."""
