"""How many arithmetic operations an operator takes, from the shapes of its operands. A multiply-add counts as two.

Operators of com.microsoft have no schema here, so their operands are found by position; those of the standard have the same order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from ..operator_view import OperatorView, TensorView
from . import integers
from .extents import FREE, HANDLES, bounded
from .window import windows

MOVES = frozenset({
    "Transpose", "Concat", "Split", "Slice", "Gather", "GatherElements", "GatherND", "Expand", "Tile", "Pad", "Cast", "DepthToSpace",
    "SpaceToDepth", "ScatterND", "ScatterElements", "Scatter", "Where", "ConstantOfShape", "Range", "Trilu", "CastLike", "Compress",
    "ReverseSequence", "BitCast", "CenterCropPad", "EyeLike", "MaxUnpool", "OneHot", "TensorScatter", "SplitToSequence",
})  # fmt: skip
"""Operators that only move data: no arithmetic to speak of, all of it bandwidth."""
PER_ELEMENT: Mapping[str, float] = {
    "Gelu": 10, "Erf": 8, "Tanh": 8, "Sigmoid": 6, "Exp": 5, "Log": 5, "Softmax": 8, "LogSoftmax": 8, "LayerNormalization": 8,
    "RMSNormalization": 6, "SimplifiedLayerNormalization": 6, "InstanceNormalization": 8, "GroupNormalization": 8, "BatchNormalization": 2,
    "HardSwish": 4, "HardSigmoid": 3, "Swish": 7, "Mish": 12, "Softplus": 8, "Sqrt": 2, "Pow": 8, "Div": 2, "Sin": 8, "Cos": 8,
    "BiasGelu": 11, "FastGelu": 11, "QuickGelu": 7, "SkipLayerNormalization": 9, "SkipSimplifiedLayerNormalization": 7, "GroupNorm": 8,
    "EmbedLayerNormalization": 10, "BiasSoftmax": 9, "RotaryEmbedding": 4, "SwiGLU": 8, "GridSample": 12, "RandomNormal": 20,
    "RandomNormalLike": 20, "MeanVarianceNormalization": 8, "LpNormalization": 4, "QuantizeLinear": 3, "DequantizeLinear": 2,
    "DynamicQuantizeLinear": 5, "Tan": 8, "Sinh": 8, "Cosh": 8, "Asin": 8, "Acos": 8, "Atan": 8, "Asinh": 10, "Acosh": 10, "Atanh": 10,
    "Elu": 6, "Selu": 7, "Celu": 7, "AffineGrid": 6, "ImageDecoder": 20, "HannWindow": 10, "HammingWindow": 10, "BlackmanWindow": 18,
    "MelWeightMatrix": 6,
}  # fmt: skip
"""Operations per output element, as a scalar libm-style implementation takes; everything else elementwise counts one."""
OF_INPUT: Mapping[str, float] = {
    "Col2Im": 1, "CumSum": 1, "CumProd": 1, "NonZero": 1, "SoftmaxCrossEntropyLoss": 10, "NegativeLogLikelihoodLoss": 1,
    "TfIdfVectorizer": 8, "RegexFullMatch": 1, "StringSplit": 1, "QLinearReduceMean": 1,
}  # fmt: skip
"""Operations per element of the first operand."""
RESIZING: Mapping[str, float] = {"nearest": 1, "linear": 8, "cubic": 40}
SAMPLES = 4.0
"""Points of a RoiAlign's bin along both axes where the model leaves it to the runtime."""
Counter = Callable[[OperatorView, int], float]


def operator_flops(view: OperatorView) -> float:
    """Arithmetic operations of one evaluation; 0 where nothing is computed, and where `extents.open_tensors` names what is not known."""
    if view.bodies:
        return _bodies(view)
    view = integers.in_plain_spelling(bounded(view))
    out = _elements(_first(view.outputs))
    if view.quantised and view.operator in integers.PER_ELEMENT:
        return float(integers.PER_ELEMENT[view.operator] * out)
    count = COUNTERS.get(view.operator) if view.domain in ("", "com.microsoft", "ai.onnx.preview") else _OF_ML.get(view.operator)
    if count is not None:
        return float(count(view, out))
    if not view.domain and (view.operator in FREE or view.operator in MOVES or view.operator in HANDLES):
        return 0.0
    if view.operator.startswith(("Reduce", "Global", "ArgM")):
        return float(_elements(_first(view.inputs)))
    if view.operator in OF_INPUT:
        return OF_INPUT[view.operator] * _elements(_first(view.inputs))
    if view.domain == "ai.onnx.preview.training":
        return 10.0 * sum(_elements(tensor) for tensor in view.inputs.values())
    return float(PER_ELEMENT.get(view.operator, 1.0) * out)


def _bodies(view: OperatorView) -> float:
    """Of all rounds of a Loop or Scan; of the more expensive branch of an If."""
    return (view.trips or 0) * max(sum(map(operator_flops, body)) for body in view.bodies)


def _elements(tensor: TensorView | None) -> int:
    return (tensor.elements or 0) if tensor is not None else 0


def _first(operands: Mapping[str, TensorView]) -> TensorView | None:
    return next(iter(operands.values()), None)


def _pool(view: OperatorView, out: int) -> float:
    """Elements that lie in the windows and in the input; padding costs nothing. Windows of several axes multiply."""
    x, y = _first(view.inputs), _first(view.outputs)
    extents, positions = ([] if t is None or t.shape is None else [d or 0 for d in t.shape[2:]] for t in (x, y))
    found = windows(extents, view.attributes)
    if not out or found is None or len(positions) != len(extents) or not math.prod(positions):
        return float(out)
    planes = out / math.prod(positions)
    return planes * math.prod(sum(axis.overlap(k) for k in range(count)) for axis, count in zip(found, positions, strict=True))


def _dims(view: OperatorView, place: int, *labels: str) -> list[int]:
    """The shape of an operand by its name in the standard, else by its place; [] if it is left out or not known."""
    for label in (*labels, f"operand.{place}"):
        tensor = view.inputs.get(label)
        if tensor is not None and tensor.shape is not None and all(d is not None for d in tensor.shape):
            return [d or 0 for d in tensor.shape]
    return []


def _flag(view: OperatorView, name: str, default: int = 0) -> int:
    value = view.attributes.get(name, default)
    return value if isinstance(value, int) else default


def _conv(view: OperatorView, out: int) -> float:
    weight = _dims(view, 1, "W", "w", "weight")
    return 2.0 * out * math.prod(weight[1:]) if weight else 0.0


def _deform(view: OperatorView, out: int) -> float:
    """A convolution, and eight operations for every point that is sampled."""
    offsets = _dims(view, 2, "offset")
    x = _dims(view, 0, "X")
    return _conv(view, out) + (4.0 * math.prod(offsets) * (x[1] if len(x) > 1 else 1) if offsets else 0.0)


def _conv_transpose(view: OperatorView, out: int) -> float:
    weight = _dims(view, 1, "W")
    return 2.0 * _elements(view.inputs.get("X")) * math.prod(weight[1:]) if weight else 0.0


def _matmul(view: OperatorView, out: int) -> float:
    a = _dims(view, 0, "A", "a")
    turned = _flag(view, "transA") and len(a) > 1
    return 2.0 * out * a[-2 if turned else -1] if a else 0.0


def _by_attribute(view: OperatorView, out: int) -> float:
    """MatMulNBits and its kin: the weight is packed, its K is an attribute."""
    return 2.0 * out * _flag(view, "K")


def _gemm(view: OperatorView, out: int) -> float:
    a = _dims(view, 0, "A", "a")
    return 2.0 * out * a[0 if view.attributes.get("transA") else -1] if len(a) == 2 else 0.0


def _einsum(view: OperatorView, out: int) -> float:
    """Every combination of all labels: a product of as many factors as there are operands, added up. Broadcast axes count backwards."""
    terms = str(view.attributes.get("equation", "")).replace(" ", "").split("->")[0].split(",")
    extents: dict[str, int] = {}
    for term, tensor in zip(terms, view.inputs.values(), strict=False):
        if tensor.shape is None or None in tensor.shape:
            return 0.0
        left, _, right = term.partition("...")
        shape = [size or 0 for size in tensor.shape]
        middle = shape[len(left) : len(shape) - len(right)] if "..." in term else []
        behind = zip(right, shape[len(shape) - len(right) :], strict=False)
        between = ((f".{k - len(middle)}", size) for k, size in enumerate(middle))
        for label, size in (*zip(left, shape, strict=False), *behind, *between):
            extents[label] = max(extents.get(label, 1), size)
    return float(max(len(view.inputs), 1) * math.prod(extents.values())) if extents else float(out)


def _recurrent(view: OperatorView, out: int) -> float:
    x, w, r = _dims(view, 0, "X"), _dims(view, 1, "W"), _dims(view, 2, "R")
    return 2.0 * x[0] * x[1] * (math.prod(w) + math.prod(r)) if len(x) == 3 and w and r else float(out)


def _attention(view: OperatorView, out: int) -> float:
    q, k = _dims(view, 0, "Q", "query"), _dims(view, 1, "K", "key")
    past = _dims(view, 4, "past_key")
    length = (k[-2] if len(k) >= 2 else 0) + (past[-2] if len(past) == 4 else 0)
    return 4.0 * math.prod(q) * length if q and length else float(out)


def _packed_attention(view: OperatorView, out: int) -> float:
    """com.microsoft's Attention and QAttention: the projections of queries, keys and values, then the attention itself."""
    x, weight = _dims(view, 0, "input"), _dims(view, 1, "weights", "weight")
    if len(x) != 3 or len(weight) != 2:
        return float(out)
    batch, length, width = x
    past = _dims(view, 8 if view.operator == "QAttention" else 4, "past")
    total = length + (past[3] if len(past) == 5 else 0)
    return 2.0 * batch * length * width * weight[1] + 4.0 * batch * length * total * weight[1] / 3


def _heads(view: OperatorView, out: int) -> float:
    """MultiHeadAttention, GroupQueryAttention: queries of [batch, length, width]; keys apart, packed behind them, or cached."""
    q, k = _dims(view, 0, "query"), _dims(view, 1, "key")
    if len(q) < 3:
        return float(out)
    batch, length = q[0], q[1]
    cached = [t.shape for t in (*view.inputs.values(), *view.outputs.values()) if t.shape is not None and len(t.shape) == 4]
    totals = [shape[2] or 0 for shape in cached] + [k[-2] if len(k) == 4 else k[1] if len(k) >= 3 else 0]
    return 4.0 * max(out, batch * length) * max(length, *totals)


def _linear_attention(view: OperatorView, out: int) -> float:
    q = _dims(view, 0, "query", "Q")
    return 4.0 * out * q[-1] if q else float(out)


def _experts(view: OperatorView, out: int) -> float:
    """MoE, QMoE: of every row as many experts as are chosen, each two products."""
    weight = _dims(view, 2)
    return 4.0 * out * weight[1] * max(_flag(view, "k", 1), 1) if len(weight) == 3 else float(out)


def _resize(view: OperatorView, out: int) -> float:
    return out * RESIZING.get(str(view.attributes.get("mode", "nearest")), 8)


def _sorted(view: OperatorView, out: int) -> float:
    """Comparisons of sorting along an axis: n log n."""
    x = _dims(view, 0, "X", "boxes")
    along = x[_flag(view, "axis", -1)] if x and -len(x) <= _flag(view, "axis", -1) < len(x) else 1
    return math.prod(x) * max(math.log2(max(along, 2)), 1.0)


def _suppressed(view: OperatorView, out: int) -> float:
    """NonMaxSuppression: boxes of each class are sorted, and each is held against every one that is selected: ten operations."""
    boxes, scores = _dims(view, 0, "boxes"), _dims(view, 1, "scores")
    if len(boxes) != 3 or len(scores) != 3:
        return float(out)
    return math.prod(scores) * max(math.log2(max(boxes[1], 2)), 1.0) + 10.0 * (out / 3) * boxes[1]


def _fourier(view: OperatorView, out: int) -> float:
    """5 n log n for n points, as fast transforms are counted."""
    if view.operator == "STFT":
        y = _first(view.outputs)
        points = 2 * ((y.shape[-2] or 1) - 1) if y is not None and y.shape is not None and len(y.shape) == 4 else 2
        rows = out / max(points, 1)
    else:
        x = _dims(view, 0, "input")
        axis = _flag(view, "axis", -2 if view.opset >= 20 else 1)
        points = x[axis] if len(x) > 1 and -len(x) <= axis < len(x) else 2
        rows = math.prod(x) / max(points, 1) / (x[-1] if x and x[-1] in (1, 2) else 1)
    return float(max(rows, 1.0) * 5.0 * points * max(math.log2(max(points, 2)), 1.0))


def _rois(view: OperatorView, out: int) -> float:
    """Bilinear samples of every bin."""
    ratio = _flag(view, "sampling_ratio")
    return 10.0 * out * (ratio * ratio if ratio > 0 else SAMPLES)


def _lrn(view: OperatorView, out: int) -> float:
    return out * (2.0 * _flag(view, "size", 5) + 12)


def _cubes(view: OperatorView, out: int) -> float:
    """Det and Inverse: elimination on square matrices."""
    x = _dims(view, 0, "X")
    return (2.0 if view.operator == "Inverse" else 2 / 3) * math.prod(x) * x[-1] if x else float(out)


def _linear(view: OperatorView, out: int) -> float:
    """ai.onnx.ml: every row with every coefficient, support vector or weight."""
    x, given = _dims(view, 0, "X"), [view.attributes.get(name) for name in ("coefficients", "support_vectors")]
    return 2.0 * (math.prod(x[:-1]) or 1) * max(sum(len(value) for value in given if isinstance(value, tuple)), 1)


def _trees(view: OperatorView, out: int) -> float:
    """Every row down every tree: four operations for each of log2(nodes) levels."""
    x, ids = _dims(view, 0, "X"), view.attributes.get("nodes_treeids", view.attributes.get("tree_roots", ()))
    trees = len(set(ids)) if isinstance(ids, tuple) else 1
    nodes = len(ids) / max(trees, 1) if isinstance(ids, tuple) else 2
    return 4.0 * (math.prod(x[:-1]) or 1) * max(trees, 1) * max(math.log2(max(nodes, 2)), 1.0)


def _by_name(names: str, count: Counter) -> dict[str, Counter]:
    return dict.fromkeys(names.split(), count)


_CONTRACTING: Mapping[str, Counter] = {
    **_by_name("Conv FusedConv QLinearConv ConvInteger NhwcConv NhwcFusedConv CausalConvWithState", _conv),
    **_by_name("MatMul MatMulInteger QLinearMatMul FusedMatMul TransposeMatMul MatMulIntegerToFloat DynamicQuantizeMatMul", _matmul),
    **_by_name("Gemm FusedGemm QGemm GemmFloat8", _gemm),
    **_by_name("MatMulNBits MatMulBnb4 MatMulFpQ4", _by_attribute),
    **_by_name("LSTM GRU RNN DynamicQuantizeLSTM", _recurrent),
    **_by_name("MultiHeadAttention GroupQueryAttention DecoderMaskedMultiHeadAttention SparseAttention PagedAttention", _heads),
    **_by_name("QAttention PackedAttention", _packed_attention),
    **_by_name("MoE QMoE", _experts),
    "Attention": lambda view, out: (_packed_attention if view.domain else _attention)(view, out),
    "FlexAttention": _attention,
    "LinearAttention": _linear_attention,
    "ConvTranspose": _conv_transpose,
}
CONTRACTIONS = frozenset(_CONTRACTING)
"""Operators that add up products along an axis: their operations follow their size, their elements do not."""
COUNTERS: Mapping[str, Counter] = {
    **_CONTRACTING,
    **_by_name("AveragePool MaxPool LpPool QLinearAveragePool NhwcMaxPool", _pool),
    **_by_name("TopK Unique", _sorted),
    **_by_name("DFT STFT", _fourier),
    **_by_name("Det Inverse", _cubes),
    **_by_name("Resize Upsample", _resize),
    **_by_name("RoiAlign MaxRoiPool", _rois),
    "DeformConv": _deform,
    "Einsum": _einsum,
    "LRN": _lrn,
    "NonMaxSuppression": _suppressed,
}
_OF_ML: Mapping[str, Counter] = {
    **_by_name("LinearClassifier LinearRegressor SVMClassifier SVMRegressor", _linear),
    **_by_name("TreeEnsemble TreeEnsembleClassifier TreeEnsembleRegressor", _trees),
}
