"""Small decoders with a cache that grows, as exporters write them: rotary positions, grouped heads, a causal mask; random weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


@dataclass(frozen=True, kw_only=True)
class Decoder:
    layers: int = 1
    heads: int = 4
    groups: int = 2
    width: int = 8
    vocabulary: int = 32
    window: int = 0
    """Positions that a token sees, itself included; 0 for all before it."""
    causal: bool = True
    mask_input: bool = True
    mask: Literal["ones", "seen", "added"] = "ones"
    """What comes in: [batch, total], or [batch, 1, tokens, total] as truths or as numbers that are added; the last two close what is
    behind a token, and the model does not."""
    whole: Literal["int64", "int32"] = "int64"
    """Of tokens, positions and masks of ones."""
    rows: str = "batch"
    """Name of the first dim of all inputs but caches."""
    kept: Literal["", "scalar", "vector"] = ""
    """How the input `num_logits_to_keep` comes, if it does."""
    branches: bool = False
    """A switch, `use_cache_branch`, without which another model is computed."""
    positions_input: bool = False
    ordered: bool = False
    """Positions only turn; the mask goes by the order of the tokens."""
    last: bool = False
    """Logits of the last token alone."""
    learned: bool = False
    """A table of positions, as GPT-2 has one."""
    normed: bool = False
    """Queries and keys are normed before they turn, as Qwen3's and Gemma3's are."""
    embeds: bool = False
    """What comes in are rows of a table that another model has, as `inputs_embeds`."""

    @property
    def hidden(self) -> int:
        return self.heads * self.width


SPECS = {
    "grouped heads": Decoder(),
    "two layers, a head for each": Decoder(layers=2, groups=4),
    "sliding window": Decoder(window=5),
    "positions from outside": Decoder(positions_input=True),
    "a table of positions": Decoder(learned=True),
    "no mask from outside": Decoder(mask_input=False),
    "logits of the last token": Decoder(last=True),
    "wider heads": Decoder(width=24),
    "normed heads": Decoder(normed=True),
}


class Writer:
    """Nodes one after the other; constants by value."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.draw = np.random.default_rng(7)

    def __call__(self, operator: str, *inputs: object, name: str = "", **attributes: object) -> str:
        names = [self.constant(item) if isinstance(item, (list, float, int, np.ndarray)) else str(item) for item in inputs]
        output = name or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, names, [output], name=f"{operator}_{len(self.nodes)}", **attributes))
        return output

    def constant(self, value: object) -> str:
        array = np.array(value)
        array = array.astype(np.float32) if array.dtype.kind == "f" else array
        self.constants.append(numpy_helper.from_array(array, f"constant_{len(self.constants)}"))
        return self.constants[-1].name

    def weight(self, *shape: int) -> str:
        return self.constant((self.draw.standard_normal(shape) / shape[0] ** 0.5).astype(np.float32))


def decoder(spec: Decoder = Decoder()) -> onnx.ModelProto:
    """input_ids, attention_mask, position_ids, past.N.k and past.N.v to logits, present.N.k and present.N.v."""
    w = Writer()
    table = "" if spec.embeds else w.constant(w.draw.standard_normal((spec.vocabulary, spec.hidden)).astype(np.float32))
    given = "inputs_embeds" if spec.embeds else "input_ids"
    past = w("Gather", w("Shape", "past.0.k"), [2])
    tokens = w("Gather", w("Shape", given), [1])
    total = w("Add", past, tokens)
    ends = [w("Squeeze", end, [0]) for end in (past, total)]
    positions = w("Squeeze", w("Cast", "position_ids", to=TensorProto.INT64), [0]) if spec.positions_input else w("Range", *ends, 1)
    x = given if spec.embeds else w("Gather", table, "input_ids")
    if spec.learned:
        x = w("Add", x, w("Gather", w.weight(256, spec.hidden), positions))
    mask = _mask(w, spec, w("Range", *ends, 1) if spec.ordered else positions, ends[1])
    turns = _turns(w, spec, positions)
    for layer in range(spec.layers):
        x = _layer(w, spec, x, layer, mask, turns, total)
    if spec.branches:
        x = _branched(w, x)
    if spec.kept:
        number = w("Unsqueeze", "num_logits_to_keep", [0]) if spec.kept == "scalar" else "num_logits_to_keep"
        x = w("Slice", x, w("Neg", number), [2**62], [1])
    if spec.last:
        x = w("Slice", x, [-1], [2**31 - 1], [1])
    w("MatMul", x, w.weight(spec.hidden, spec.vocabulary), name="logits")
    return _model(w, spec)


def _mask(w: Writer, spec: Decoder, positions: str, total: str) -> str:
    if spec.mask == "added":
        return "attention_mask"
    if spec.mask == "seen":
        return w("Where", "attention_mask", 0.0, -1e9)
    columns = w("Range", 0, total, 1)
    rows = w("Unsqueeze", positions, [1])
    seen = (
        w("LessOrEqual", w("Unsqueeze", columns, [0]), rows)
        if spec.causal
        else w("GreaterOrEqual", w("Unsqueeze", columns, [0]), w("Mul", rows, 0))
    )
    if spec.window:
        seen = w("And", seen, w("Less", w("Sub", rows, w("Unsqueeze", columns, [0])), spec.window))
    if spec.mask_input:
        seen = w("And", seen, w("Unsqueeze", w("Cast", "attention_mask", to=TensorProto.BOOL), [1, 2]))
    return w("Where", seen, 0.0, -1e9)


def _branched(w: Writer, x: str) -> str:
    def body(operator: str) -> onnx.GraphProto:
        made = [helper.make_tensor_value_info(f"by_{operator}", TensorProto.FLOAT, None)]
        return helper.make_graph([helper.make_node(operator, [x], [f"by_{operator}"])], operator, [], made)

    return w("If", "use_cache_branch", then_branch=body("Tanh"), else_branch=body("Neg"))


def _turns(w: Writer, spec: Decoder, positions: str) -> tuple[str, str]:
    rates = (10.0 ** -np.linspace(0, 2, spec.width // 2))[None].astype(np.float32)
    angles = w("Mul", w("Unsqueeze", w("Cast", positions, to=TensorProto.FLOAT), [1]), rates)
    whole = w("Unsqueeze", w("Concat", angles, angles, axis=-1), [0, 1])
    return w("Cos", whole), w("Sin", whole)


def _layer(w: Writer, spec: Decoder, x: str, layer: int, mask: str, turns: tuple[str, str], total: str) -> str:
    def by_heads(count: int) -> str:
        flat = w("MatMul", x, w.weight(spec.hidden, count * spec.width))
        return w("Transpose", w("Reshape", flat, [0, 0, count, spec.width]), perm=(0, 2, 1, 3))

    q, k, v = by_heads(spec.heads), by_heads(spec.groups), by_heads(spec.groups)
    if spec.normed:
        q, k = _normed(w, spec, q), _normed(w, spec, k)
    if not spec.learned:
        q, k = _turned(w, spec, q, turns), _turned(w, spec, k, turns)
    keys = w("Concat", f"past.{layer}.k", k, axis=-2, name=f"present.{layer}.k")
    values = w("Concat", f"past.{layer}.v", v, axis=-2, name=f"present.{layer}.v")
    if spec.heads != spec.groups:
        keys, values = _repeated(w, spec, keys, total), _repeated(w, spec, values, total)
    scores = w("Mul", w("MatMul", q, w("Transpose", keys, perm=(0, 1, 3, 2))), float(spec.width**-0.5))
    seen = w("MatMul", w("Softmax", w("Add", scores, mask), axis=-1), values)
    flat = w("Reshape", w("Transpose", seen, perm=(0, 2, 1, 3)), [0, 0, spec.hidden])
    return w("Add", x, w("MatMul", flat, w.weight(spec.hidden, spec.hidden)))


def _normed(w: Writer, spec: Decoder, x: str) -> str:
    deviation = w("Sqrt", w("Add", w("ReduceMean", w("Mul", x, x), axes=(-1,), keepdims=1), 1e-6))
    return w("Mul", w("Div", x, deviation), w.weight(spec.width))


def _turned(w: Writer, spec: Decoder, x: str, turns: tuple[str, str]) -> str:
    half = spec.width // 2
    first, second = w("Slice", x, [0], [half], [3]), w("Slice", x, [half], [spec.width], [3])
    return w("Add", w("Mul", x, turns[0]), w("Mul", w("Concat", w("Neg", second), first, axis=-1), turns[1]))


def _repeated(w: Writer, spec: Decoder, x: str, total: str) -> str:
    times = spec.heads // spec.groups
    wide = w("Concat", [1, spec.groups, times], total, [spec.width], axis=0)
    return w("Reshape", w("Expand", w("Unsqueeze", x, [2]), wide), w("Concat", [1, spec.heads], total, [spec.width], axis=0))


def _model(w: Writer, spec: Decoder) -> onnx.ModelProto:
    cache, whole = ["batch", spec.groups, "past", spec.width], {"int64": TensorProto.INT64, "int32": TensorProto.INT32}[spec.whole]
    ids = helper.make_tensor_value_info("input_ids", whole, [spec.rows, "seq"])
    rows = helper.make_tensor_value_info("inputs_embeds", TensorProto.FLOAT, [spec.rows, "seq", spec.hidden])
    inputs = [rows if spec.embeds else ids]
    if spec.mask_input:
        kinds = {"ones": whole, "seen": TensorProto.BOOL, "added": TensorProto.FLOAT}
        shape = [spec.rows, "total"] if spec.mask == "ones" else [spec.rows, 1, "seq", "total"]
        inputs.append(helper.make_tensor_value_info("attention_mask", kinds[spec.mask], shape))
    if spec.positions_input:
        inputs.append(helper.make_tensor_value_info("position_ids", whole, [spec.rows, "seq"]))
    if spec.kept:
        shape = [] if spec.kept == "scalar" else [1]
        inputs.append(helper.make_tensor_value_info("num_logits_to_keep", TensorProto.INT64, shape))
    if spec.branches:
        inputs.append(helper.make_tensor_value_info("use_cache_branch", TensorProto.BOOL, [1]))
    names = [f"{layer}.{kind}" for layer in range(spec.layers) for kind in "kv"]
    inputs += [helper.make_tensor_value_info(f"past.{name}", TensorProto.FLOAT, cache) for name in names]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 1 if spec.last else "seq", spec.vocabulary])]
    grown = ["batch", spec.groups, "total", spec.width]
    outputs += [helper.make_tensor_value_info(f"present.{name}", TensorProto.FLOAT, grown) for name in names]
    graph = helper.make_graph(w.nodes, "decoder", inputs, outputs, w.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model
