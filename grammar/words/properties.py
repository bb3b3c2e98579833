"""Every statement that a block of a .hw file may hold, one row each. All that reads, shows or explains a property reads its row.

A row says how the statement is written, what it means, which number of which dimension it sets, whether it is required, and which
words may follow its name. From the rows come the lowering of numbers, missing and unknown properties, duplicates, `autoglmc diff`,
`autoglmc new-target`, docs/language.md, the highlighting of editors, completion and hover. A number of a memory, device or link
takes a row here and a field of the record in targets/model.py; a statement of a new form also takes a reader in grammar/lower/.
"""

from __future__ import annotations

from collections.abc import Mapping

from .calibration_properties import CALIBRATION
from .deploy_properties import DEPLOY
from .property import ENERGY, SPACE, TIME, NumberField, Property

NO_DEFAULT = "there is no silent default; write the number, or mark it `@guess`"


_FILE: Mapping[str, Property] = {
    "hw": Property(
        "hw 1;", "The version of the language; the first statement of every file.", "plain number",
        required="write `hw 1;` as the first statement", blank="",
    ),
    "include": Property('include "std/ort_cpu.hw";', "Reads another file: beside this one, else one that ships.", repeated=True, blank=""),
    "table": Property(
        "table ort_cpu { … }", "What a kind of device runs, to `inherit`. A file may hold tables and no target.",
        opens="table", named=True, blank="",
    ),
    "target": Property(
        "target a16 { … }", "The machine. `target mine extends a16 { … }` starts from all that `a16` states.",
        opens="target", named=True, blank="",
    ),
    "deploy": Property(
        "deploy agent { … }", "Models that become one bundle, for the option `--deploy`. A file may hold it and no target.",
        opens="deploy", named=True, blank="",
    ),
    "amend": Property(
        "amend &a16.npu { dispatch 120 us; }", "Changes a block of a target that was read; its path must exist.",
        opens="amend", repeated=True, blank="",
    ),
    "delete": Property(
        "delete &a16.npu.supports Resize;", "Removes a statement or operators; the path must exist.", repeated=True, blank="",
    ),
    "rule": Property(
        "rule mine(x) { … }", "A substitution written as mathematics: `match`, `let`, `emit` and the `error` it claims.", blank="",
    ),
}  # fmt: skip
_TARGET: Mapping[str, Property] = {
    "name": Property('name "Apple A16 Bionic";', "The full name, in quotes.", blank="name ?;"),
    "onnx": Property(
        "onnx opset 13..21;", "The ONNX opsets its runtimes take.", "plain number",
        required="state which ONNX opsets its runtimes take: `onnx opset 13..21;`", words=("opset",), choice="a property of `onnx`",
    ),
    "confidence": Property(
        "confidence low;", "What the author thinks of the numbers: low, medium or high.",
        words=("low", "medium", "high"), choice="a degree of confidence",
    ),
    "memory": Property(
        "memory dram { … }", "A memory, and who shares it.",
        required="write `memory dram { size …; bandwidth …; shared …; }`", opens="memory", named=True, blank="",
    ),
    "device": Property(
        "device npu : ane { … }", "What runs operators; the word after `:` is free text for reports.",
        required="write `device cpu : x86 { … }`", opens="device", named=True, blank="",
    ),
    "link": Property(
        "link npu <-> cpu { … }", "How a tensor gets from one device to another; `->` for one direction.",
        takes=("device",), opens="link", named=True, blank="",
    ),
    "precision": Property(
        "precision { … }", "Which dtypes are computed in, which forms operators prefer or keep.",
        opens="precision", blank="precision { default fp16; }",
    ),
    "limits": Property(
        "limits { … }", "What a deployment must keep.",
        opens="limits", blank="limits { latency <= ? ms; memory peak <= ? MiB; accuracy cosine >= ?; }",
    ),
    "shapes": Property(
        "shapes { … }", "Sizes to compile for: `decode: seq 1; prefill: seq 16, 64;`; chosen by `--bucket prefill=64`.",
        opens="shapes", blank="",
    ),
}  # fmt: skip
_MEMORY: Mapping[str, Property] = {
    "size": Property("size 6 GiB;", "Its size.", "size", (NumberField("size"),), NO_DEFAULT),
    "budget": Property(
        "budget 1.5 GiB;", "What one deployment may hold of it; the whole size if not stated.", "size",
        (NumberField("budget", default="size"),),
    ),
    "resident": Property(
        "resident 300 MiB;", "Weights that sessions may hold in private memory, as `--resident`; any number if not stated.", "size",
        (NumberField("resident", predicts=SPACE),),
    ),
    "bandwidth": Property(
        "bandwidth 51.2 GB/s;", "Bytes per second it delivers.", "bandwidth", (NumberField("bandwidth", predicts=TIME),), NO_DEFAULT,
    ),
    "page": Property(
        "page 16 KiB;", "Allocations are a multiple of this power of two.", "size",
        (NumberField("page", default=1, power_of_two=True, predicts=SPACE),),
    ),
    "holds": Property(
        "holds weights, activations;", "Its roles: one of these or both; both if not stated.",
        words=("weights", "activations"), choice="a kind of data", listed=True,
    ),
    "shared": Property(
        "shared npu, cpu;", "The devices that address it.",
        required="name the devices that address it: `shared npu, cpu;`", takes=("device",), listed=True,
    ),
}  # fmt: skip
_DEVICE: Mapping[str, Property] = {
    "inherit": Property(
        "inherit ort_cpu;", "Takes over the operators, kernels, rewrites and shape limits of a table.",
        takes=("table",), repeated=True, in_table=True, blank="",
    ),
    "runtime": Property(
        "runtime coreml mlprogram ios >= 17;", "What compiles and runs its segments; `none` plans only.", takes=("runtime",),
        blank="runtime ?;",
    ),
    "peak": Property(
        "peak fp16 17 TOPS;", "Operations per second in one dtype; a multiply-add counts as two.", "rate of operations",
        (NumberField("peak", predicts=TIME),), NO_DEFAULT, takes=("dtype",), keyed=True, blank="peak ? ? TOPS;",
    ),
    "sustained": Property(
        "sustained 60 %;", "The share of the peaks that real work reaches; 100 % if not stated.", "share",
        (NumberField("sustained", default=1.0, most=1.0, predicts=TIME),),
    ),
    "dispatch": Property(
        "dispatch 150 us;", "Starting one segment on the device.", "time", (NumberField("dispatch", predicts=TIME),), NO_DEFAULT,
    ),
    "launch": Property(
        "launch 1 us;", "One kernel inside a running segment; a `kernel` chain counts once.", "time",
        (NumberField("launch", predicts=TIME),), NO_DEFAULT,
    ),
    "align": Property(
        "align row 64 B;", "The last axis of a tensor is padded to this.", "size",
        (NumberField("row_align", "row", default=1, predicts=SPACE),), words=("row",), choice="a kind of alignment", in_table=True,
    ),
    "max": Property(
        "max rank 5;", "The highest rank, or `max dim N 65536, C 65536;` the largest extents.", "plain number",
        words=("rank", "dim"), choice="a limit", keyed=True, in_table=True,
    ),
    "static_shapes": Property(
        "static_shapes yes;", "Whether every extent must be known when compiling.", words=("yes", "no"), choice="an answer", in_table=True,
    ),
    "layout": Property(
        "layout nhwc;", "How a tensor of rank 4 that crosses lies in memory: `nchw` as in ONNX if not stated, or channels last.",
        words=("nchw", "nhwc"), choice="an order of the axes", in_table=True,
    ),
    "power": Property(
        "power active 2 W, idle 0.1 W;", "What it draws while it computes, and for the rest of a run; nothing while idle if not stated.",
        "power", (NumberField("active_power", "active", predicts=ENERGY), NumberField("idle_power", "idle", zero=True, predicts=ENERGY)),
        words=("active", "idle"), choice="a state",
    ),
    "supports": Property(
        "supports fp16 { … }", "Operators it runs in a dtype, `supports fp32 { all; }` for all of ONNX; or `supports all;`.",
        required="list what it runs: `supports fp16 { Conv; }`, or `supports all;`",
        takes=("dtype",), opens="operators", repeated=True, listed=True, in_table=True,
        blank="supports ? {\n// Conv where rank(X) == ? and const(W);\n// Relu, Add, Mul;\n}",
    ),
    "deny": Property(
        "deny { … }", "Operators it does not run; overrides `supports`.", takes=("operator",), opens="operators", repeated=True,
        in_table=True, blank="deny { Gather where not const(indices); }",
    ),
    "kernel": Property(
        "kernel { … }", "Chains that run as one launch: `Conv -> Relu | Clip; MatMul -> Add -> Gelu?;`.",
        opens="kernel", repeated=True, in_table=True, blank="kernel { Conv -> Relu | Clip; }",
    ),
    "rewrite": Property(
        "rewrite Gelu -> relu_tanh tol 5e-4;", "What replaces an operator: a rule, `native`, `decompose`; in order of preference.",
        takes=("operator",), repeated=True, in_table=True, ordered=True,
        blank="rewrite HardSwish -> decompose;",
    ),
    "weights": Property(
        "weights int4 block 32 symmetric MatMul, Gemm where opset >= 13;",
        "A form of constant weights that it takes as it is. `block`: elements that share a scale, one scale a channel if not stated; "
        "`symmetric`: zero points are 0; `widened`: its runtime makes floats of them when it loads the model, and a run reads those; "
        "`for uint16`: beside activations of that dtype, beside floats if not stated. Without operators, for all. The first line of "
        "a width that applies counts; those of other blocks are for weights that lie on such grids already.",
        words=("block", "symmetric", "widened", "for"), choice="a property of weights", takes=("dtype", "operator"), repeated=True,
        ordered=True, in_table=True, blank="weights int4 block ? symmetric MatMul, Gemm;",
    ),
    "precision": Property(
        "precision { … }", "The forms it prefers and keeps operators in; its lines come before those of the target's `precision`.",
        opens="precision", in_table=True, blank="precision { prefer a8w8 where loss <= ? %; keep fp16 Softmax; }",
    ),
    "calibration": Property(
        'calibration @measured("onnxruntime 1.32.0, 1 thread, 2026-11-27") { … }',
        "What was measured of it: rates of kinds of operators, in place of the roofline. The note is that of every number in the block.",
        opens="calibration", blank="",
    ),
}  # fmt: skip
_LINK: Mapping[str, Property] = {
    "via": Property("via iosurface;", "The mechanism, for reports.", blank="via ?;"),
    "zero_copy": Property("zero_copy where dtype == fp16 else copy 20 GB/s;", "The tensor stays where it is.", blank="zero_copy;"),
    "copy": Property(
        "copy 20 GB/s;", "The tensor is copied; beside `zero_copy;` only if its buffer turns out not to fit.", "bandwidth",
        (NumberField("copy_bandwidth", predicts=TIME),),
    ),
    "row": Property(
        "row 64 B;", "Rows of a tensor that crosses are padded to this.", "size",
        (NumberField("row_align", default=1, predicts=SPACE),),
    ),
    "align": Property(
        "align 16 KiB;", "A tensor that crosses begins at a multiple of this.", "size",
        (NumberField("align", default=1, power_of_two=True, predicts=SPACE),),
    ),
    "length": Property(
        "length multiple 16 KiB;", "Its allocated length is a multiple of this.", "size",
        (NumberField("length_multiple", "multiple", default=1, power_of_two=True, predicts=SPACE),),
        words=("multiple",), choice="a rule for the length",
    ),
    "handoff": Property("handoff 30 us;", "Synchronisation for one tensor.", "time", (NumberField("handoff", predicts=TIME),), NO_DEFAULT),
}  # fmt: skip
_PRECISION: Mapping[str, Property] = {
    "default": Property("default fp16;", "The dtype that is computed in where there is a choice.", takes=("dtype",)),
    "compute": Property(
        "compute fp16 for fp32;", "Operands of the second dtype may be computed in the first.", takes=("dtype",), repeated=True,
    ),
    "prefer": Property(
        "prefer a8w8 Conv, MatMul on npu where loss <= 0.1 % and opset >= 13;",
        "This form rather than those that no line prefers, where the loss is at most that. Without operators, for all. The first line that "
        "applies counts.",
        "share", takes=("form", "operator"), repeated=True, ordered=True,
    ),
    "keep": Property(
        "keep fp32 Softmax, LayerNormalization on cpu where opset >= 17;",
        "These operators stay in that form: in no other on the device, or on all of them. Stronger than `prefer`.",
        takes=("form", "operator"), repeated=True, ordered=True,
    ),
}  # fmt: skip
_LIMITS: Mapping[str, Property] = {
    "latency": Property("latency <= 12 ms;", "Predicted time of one run.", "time", (NumberField("value"),), sign="<="),
    "fps": Property(
        "fps >= 30;", "Predicted runs a second, one after the other.", "plain number", (NumberField("value"),), sign=">=",
    ),
    "memory": Property(
        "memory peak <= 250 MiB;", "Predicted bytes held at once.", "size", (NumberField("value"),), words=("peak",), sign="<=",
    ),
    "power": Property(
        "power avg <= 2.5 W;", "Predicted draw over one run, `avg` or `peak`.", "power", (NumberField("value"),),
        words=("avg", "peak"), sign="<=",
    ),
    "energy": Property(
        "energy <= 5 mJ;", "Predicted energy of one run, of all devices: active while they compute, idle otherwise.", "energy",
        (NumberField("value"),), sign="<=",
    ),
    "package": Property(
        "package size <= 60 MiB;", "Bytes of the bundle on disk, all its files.", "size", (NumberField("value"),), words=("size",),
        sign="<=",
    ),
    "accuracy": Property(
        "accuracy cosine >= 0.999;",
        "Measured cosine similarity of every output. Or `accuracy top1 drop <= 1 %`: the share of held-out samples of calibration data "
        "whose first class is not that of the float model.",
        "plain number",
        (NumberField("value", "cosine", most=1.0), NumberField("value", "top1 drop", "share", zero=True, most=1.0, sign="<=")),
        words=("cosine", "top1 drop"), sign=">=",
    ),
    "error": Property(
        "error abs <= 1e-2;", "Measured error of every output, `abs` or `rel`.", "plain number", (NumberField("value", zero=True),),
        words=("abs", "rel"), sign="<=",
    ),
    "partitions": Property(
        "partitions npu <= 4;", "Segments on one device.", "plain number", (NumberField("value", zero=True),), takes=("device",), sign="<=",
    ),
}  # fmt: skip
PROPERTIES: Mapping[str, Mapping[str, Property]] = {
    "file": _FILE,
    "target": _TARGET,
    "memory": _MEMORY,
    "device": _DEVICE,
    "table": {name: row for name, row in _DEVICE.items() if row.in_table},
    "link": _LINK,
    "precision": _PRECISION,
    "limits": _LIMITS,
    "calibration": CALIBRATION,
    "deploy": DEPLOY,
}
"""By kind of block, then by name, in the order that documentation and completion show."""


def row(block: str, name: str) -> Property | None:
    """The row of a statement of that kind of block; None if the block has no such statement."""
    return PROPERTIES.get(block, {}).get(name)


def row_anywhere(block: str, name: str) -> Property | None:
    """The same, else the row of the first block that has such a statement: what a misplaced one was meant for."""
    return row(block, name) or next((rows[name] for rows in PROPERTIES.values() if name in rows), None)
