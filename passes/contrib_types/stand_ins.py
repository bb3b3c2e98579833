"""For each operator of com.microsoft, operators of the standard whose result has the same dtype and shape: only inference sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx

FIRST_OPSET = 18
"""From which on the standard has everything that is written here."""


@dataclass(slots=True)
class Scribe:
    """Writes what stands for one node."""

    node: onnx.NodeProto
    attributes: Mapping[str, Any]
    ranks: Mapping[str, int]
    """Of constants and graph inputs."""
    known: Mapping[str, tuple[int, tuple[int, ...]]]
    """Dtype and shape of those whose shape is whole."""
    prefix: str
    written: list[onnx.NodeProto] = field(default_factory=list)
    inputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    """Tensors of known dtype and shape that are read from nowhere."""

    def read(self, index: int) -> str:
        """The operand there, "" if it is left out."""
        return self.node.input[index] if index < len(self.node.input) else ""

    def flag(self, name: str) -> bool:
        return bool(self.attributes.get(name, 0))

    def op(self, operator: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper

        result = f"{self.prefix}_{len(self.written)}"
        self.written.append(helper.make_node(operator, inputs, [result], **attributes))
        return result

    def give(self, index: int, tensor: str) -> None:
        """The node's result there is like that tensor."""
        from onnx import helper

        if index < len(self.node.output) and self.node.output[index]:
            self.written.append(helper.make_node("Identity", [tensor], [self.node.output[index]]))

    def shaped(self, dtype: int, *shape: int) -> str:
        from onnx import helper

        self.inputs.append(helper.make_tensor_value_info(f"{self.prefix}_x{len(self.inputs)}", dtype, shape))
        return self.inputs[-1].name

    def kept(self, *names: str) -> dict[str, Any]:
        return {name: self.attributes[name] for name in names if name in self.attributes}


def whole(kind: onnx.TypeProto | None) -> tuple[int, tuple[int, ...]] | None:
    """Dtype and shape of a tensor type, if its shape is whole."""
    if kind is None or not kind.tensor_type.HasField("shape"):
        return None
    dims = kind.tensor_type.shape.dim
    if not all(dim.HasField("dim_value") for dim in dims):
        return None
    return kind.tensor_type.elem_type, tuple(dim.dim_value for dim in dims)


Writer = Callable[[Scribe], None]
WINDOW = ("auto_pad", "ceil_mode", "count_include_pad", "dilations", "group", "kernel_shape", "pads", "strides")
INT64 = 7
FLOAT, UINT8, INT32 = 1, 2, 6


def like(index: int, *results: int) -> Writer:
    """Results like an operand."""

    def write(s: Scribe) -> None:
        for result in results or (0,):
            s.give(result, s.read(index))

    return write


def broadcast(operator: str, *indices: int) -> Writer:
    return lambda s: s.give(0, s.op(operator, *(s.read(index) for index in indices)))


def windowed(operator: str, *indices: int) -> Writer:
    """A pool or convolution, with channels last if it says so."""

    def write(s: Scribe) -> None:
        inputs, last, rank = (
            [s.read(index) for index in indices],
            s.flag("channels_last"),
            len(s.attributes.get("kernel_shape", (1, 1))) + 2,
        )
        if s.node.op_type.startswith("Nhwc"):
            last = True
        if last:
            inputs[0] = s.op("Transpose", inputs[0], perm=[0, rank - 1, *range(1, rank - 1)])
        allowed = WINDOW if operator != "GlobalAveragePool" else ()
        y = s.op(operator, *inputs, **s.kept(*allowed))
        s.give(0, s.op("Transpose", y, perm=[0, *range(2, rank), 1]) if last else y)

    return write


def concat(s: Scribe) -> None:
    s.give(0, s.op("Concat", *s.node.input[2::3], **s.kept("axis")))


def reduce_mean(s: Scribe) -> None:
    from onnx import helper

    axes = s.attributes.get("axes")
    given = [s.op("Constant", value=helper.make_tensor("axes", INT64, [len(axes)], axes))] if axes else []
    s.give(0, s.op("ReduceMean", s.read(0), *given, **s.kept("keepdims")))


def quantised(s: Scribe) -> None:
    zero = s.read(2)
    s.give(0, s.op("CastLike", s.read(0), zero) if zero else s.op("Cast", s.read(0), to=UINT8))


def dequantised(s: Scribe) -> None:
    s.give(0, s.op("CastLike", s.read(0), s.read(1)))


def qgemm(s: Scribe) -> None:
    y, zero = s.op("Gemm", s.read(0), s.read(3), **s.kept("transA", "transB")), s.read(8)
    s.give(0, s.op("CastLike", y, zero) if zero else y if s.read(7) else s.op("Cast", y, to=FLOAT))


def matmul_to_float(s: Scribe) -> None:
    s.give(0, s.op("CastLike", s.op("MatMul", s.read(0), s.read(1)), s.read(2)))


def matmul_bits(s: Scribe) -> None:
    weight = s.shaped(FLOAT, int(s.attributes["K"]), int(s.attributes["N"]))
    s.give(0, s.op("CastLike", s.op("MatMul", s.read(0), weight), s.read(0)))


def gather_blocks(s: Scribe) -> None:
    """Rows of a table, of which bytes may have two numbers of 4 bits each."""
    if s.read(0) not in s.known:
        return
    dtype, dims = s.known[s.read(0)]
    packed = dtype == UINT8 and s.attributes.get("bits", 4) == 4
    table = s.shaped(FLOAT, *dims[:-1], dims[-1] * (2 if packed else 1))
    rows = s.op("Gather", table, s.read(1), axis=int(s.attributes.get("gather_axis", 0)))
    s.give(0, s.op("CastLike", rows, s.read(2)))


def fused_matmul(s: Scribe) -> None:
    """The last two axes of either operand may be turned; batches that are turned too are left alone."""
    turned = [s.flag(name) for name in ("transA", "transB")]
    if s.flag("transBatchA") or s.flag("transBatchB"):
        return
    if not any(turned):
        s.give(0, s.op("MatMul", s.read(0), s.read(1)))
        return
    left, right = ("...ki" if turned[0] else "...ik"), ("...jk" if turned[1] else "...kj")
    s.give(0, s.op("Einsum", s.read(0), s.read(1), equation=f"{left},{right}->...ij"))


def fused_gemm(s: Scribe) -> None:
    s.give(0, s.op("Gemm", *[name for name in s.node.input if name], **s.kept("transA", "transB")))


def embedding(s: Scribe) -> None:
    from onnx import helper

    s.give(0, s.op("Gather", s.read(2), s.read(0)))
    axis = s.op("Constant", value=helper.make_tensor("axes", INT64, [1], [1]))
    s.give(1, s.op("Cast", s.op("ReduceSum", s.read(0), axis, keepdims=0), to=INT32))
    s.give(2, s.op("Gather", s.read(2), s.read(0)))


def attention(s: Scribe) -> None:
    """Input times the weights of queries, keys and values side by side; the result is as wide as the values."""
    from onnx import helper

    sizes = s.attributes.get("qkv_hidden_sizes")
    wide = s.op("MatMul", s.read(0), s.read(1))
    parts = [f"{s.prefix}_{part}" for part in "qkv"]
    if sizes:
        given = [s.op("Constant", value=helper.make_tensor("sizes", INT64, [3], sizes))]
        s.written.append(helper.make_node("Split", [wide, *given], parts, axis=-1))
    else:
        s.written.append(helper.make_node("Split", [wide], parts, axis=-1, num_outputs=3))
    s.give(0, parts[2])


def multi_head(s: Scribe) -> None:
    """As long as the queries, as wide as the values (which must come apart from them, on three axes)."""
    if s.read(2) and s.ranks.get(s.read(2), 3) == 3:
        s.give(0, s.op("Einsum", s.read(0), s.read(2), equation="bsh,blv->bsv"))


def group_query(s: Scribe) -> None:
    if s.read(1):
        s.give(0, s.read(0))


STAND_INS: Mapping[str, Writer] = {
    "Attention": attention,
    "BiasGelu": like(0),
    "DequantizeLinear": dequantised,
    "DynamicQuantizeMatMul": broadcast("MatMul", 0, 1),
    "EmbedLayerNormalization": embedding,
    "FastGelu": like(0),
    "FusedConv": windowed("Conv", 0, 1),
    "FusedGemm": fused_gemm,
    "FusedMatMul": fused_matmul,
    "GatherBlockQuantized": gather_blocks,
    "Gelu": like(0),
    "GroupQueryAttention": group_query,
    "Inverse": like(0),
    "MatMulIntegerToFloat": matmul_to_float,
    "MatMulNBits": matmul_bits,
    "MultiHeadAttention": multi_head,
    "NhwcMaxPool": windowed("MaxPool", 0),
    "QGemm": qgemm,
    "QLinearAdd": broadcast("Add", 0, 3),
    "QLinearAveragePool": windowed("AveragePool", 0),
    "QLinearConcat": concat,
    "QLinearConv": windowed("Conv", 0, 3),
    "QLinearGlobalAveragePool": windowed("GlobalAveragePool", 0),
    "QLinearLeakyRelu": like(0),
    "QLinearMul": broadcast("Mul", 0, 3),
    "QLinearReduceMean": reduce_mean,
    "QLinearSigmoid": like(0),
    "QLinearSoftmax": like(0),
    "QLinearWhere": broadcast("Where", 0, 1, 4),
    "QuantizeLinear": quantised,
    "QuickGelu": like(0),
    "RotaryEmbedding": like(0),
    "SkipLayerNormalization": like(0, 0, 3),
    "SkipSimplifiedLayerNormalization": like(0, 0, 3),
    "TransposeMatMul": fused_matmul,
}
