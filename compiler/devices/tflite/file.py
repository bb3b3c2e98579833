"""A program as the bytes of a .tflite file (schema version 3).

Constants lie in the flatbuffer, 16 bytes aligned; where they would take it beyond 2 GB they lie behind it, at offsets that are multiples of
64 (`Buffer.offset` and `size`). Older runtimes do not know that form, so that it is used only where there is no other.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from ....targets.dtypes import DTYPES
from .program import Program
from .records import Operator, Scales, Tensor
from .versions import version_of

MOST_INSIDE = 1_900_000_000
"""Bytes of constants up to which they are in the flatbuffer, whose offsets have 31 bits."""
ALIGNED = 64
TYPES = {row.numpy: row.numpy.upper() for row in DTYPES.values() if row.numpy and row.kind != "complex"}
"""numpy's name of a dtype -> the schema's."""
OPTIONS = {
    "ABS": "Abs", "ADD": "Add", "ARG_MAX": "ArgMax", "ARG_MIN": "ArgMin", "ATAN2": "ATan2", "AVERAGE_POOL_2D": "Pool2D",
    "BATCH_MATMUL": "BatchMatMul", "BROADCAST_TO": "BroadcastTo", "CAST": "Cast", "CONCATENATION": "Concatenation",
    "CONV_2D": "Conv2D", "CONV_3D": "Conv3D",
    "COS": "Cos", "CUMSUM": "Cumsum", "DEPTHWISE_CONV_2D": "DepthwiseConv2D", "DEPTH_TO_SPACE": "DepthToSpace",
    "DEQUANTIZE": "Dequantize", "DIV": "Div", "EQUAL": "Equal", "EXP": "Exp", "FLOOR_DIV": "FloorDiv", "FLOOR_MOD": "FloorMod",
    "FULLY_CONNECTED": "FullyConnected", "GATHER": "Gather", "GATHER_ND": "GatherNd", "GELU": "Gelu", "GREATER": "Greater",
    "GREATER_EQUAL": "GreaterEqual", "HARD_SWISH": "HardSwish", "LEAKY_RELU": "LeakyRelu", "LESS": "Less", "LESS_EQUAL": "LessEqual",
    "LOCAL_RESPONSE_NORMALIZATION": "LocalResponseNormalization", "LOGICAL_AND": "LogicalAnd", "LOGICAL_NOT": "LogicalNot",
    "LOGICAL_OR": "LogicalOr", "LOG_SOFTMAX": "LogSoftmax", "MAXIMUM": "MaximumMinimum", "MAX_POOL_2D": "Pool2D", "MEAN": "Reducer",
    "MINIMUM": "MaximumMinimum", "MIRROR_PAD": "MirrorPad", "MUL": "Mul", "NEG": "Neg", "NOT_EQUAL": "NotEqual", "ONE_HOT": "OneHot",
    "PACK": "Pack", "PAD": "Pad", "PADV2": "PadV2", "POW": "Pow", "QUANTIZE": "Quantize", "REDUCE_ALL": "Reducer",
    "REDUCE_ANY": "Reducer", "REDUCE_MAX": "Reducer", "REDUCE_MIN": "Reducer", "REDUCE_PROD": "Reducer", "RESHAPE": "Reshape",
    "RESIZE_BILINEAR": "ResizeBilinear", "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighbor", "REVERSE_V2": "ReverseV2",
    "SCATTER_ND": "ScatterNd", "SELECT_V2": "SelectV2", "SIGN": "Sign", "SLICE": "Slice", "SOFTMAX": "Softmax",
    "SPACE_TO_DEPTH": "SpaceToDepth", "SPLIT_V": "SplitV", "SQUARE": "Square", "SQUARED_DIFFERENCE": "SquaredDifference",
    "STRIDED_SLICE": "StridedSlice", "SUB": "Sub", "SUM": "Reducer", "TILE": "Tile", "TOPK_V2": "TopKV2", "TRANSPOSE": "Transpose",
    "TRANSPOSE_CONV": "TransposeConv",
}  # fmt: skip
"""The table of options that an operator has; the others have none."""


def write_file(program: Program, inputs: Ports, outputs: Ports, metadata: Mapping[str, str]) -> bytes:
    """`inputs` and `outputs`: names in the signature, in their order, with the tensors."""
    writer = _Writer(program, inputs, outputs, metadata)
    total = sum(tensor.data.nbytes for tensor in writer.tensors if tensor.data is not None)
    return writer.with_constants_behind() if total > MOST_INSIDE else writer.pack()


Ports = Sequence[tuple[str, Tensor]]


class _Writer:
    def __init__(self, program: Program, inputs: Ports, outputs: Ports, metadata: Mapping[str, str]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from ai_edge_litert import schema_py_generated

        self.schema: Any = schema_py_generated
        self.inputs, self.outputs, self.metadata = inputs, outputs, metadata
        self.operators = program.operators
        read = [tensor for op in self.operators for tensor in (*op.inputs, *op.outputs) if tensor is not None]
        ports = [tensor for _, tensor in (*inputs, *outputs)]
        self.tensors = list({id(tensor): tensor for tensor in (*ports, *read)}.values())
        self.index = {id(tensor): number for number, tensor in enumerate(self.tensors)}
        self.model = self._model()

    def pack(self) -> bytes:
        import flatbuffers

        builder = flatbuffers.Builder(1024 + sum(b.data.nbytes for b in self.model.buffers if b.data is not None))
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def with_constants_behind(self) -> bytes:
        """Packed with offsets that are too large to be left out, laid out, and packed again: the length stays."""
        import numpy

        far = [buffer for buffer in self.model.buffers if buffer.data is not None and buffer.data.nbytes >= ALIGNED]
        blobs = [buffer.data for buffer in far]
        for buffer, blob in zip(far, blobs, strict=True):
            buffer.data, buffer.offset, buffer.size = None, 2, blob.nbytes
        place, parts = -(-len(self.pack()) // ALIGNED) * ALIGNED, []
        for buffer, blob in zip(far, blobs, strict=True):
            buffer.offset = place
            padding = -blob.nbytes % ALIGNED
            parts += [blob, numpy.zeros(padding, numpy.uint8)]
            place += blob.nbytes + padding
        head = self.pack()
        return b"".join([head, b"\0" * (-len(head) % ALIGNED), *(memoryview(part) for part in parts)])

    def _model(self) -> Any:
        s, model = self.schema, self.schema.ModelT()
        model.version, model.description = 3, "written by autoglmc"
        codes = list(dict.fromkeys((op.code, version_of(op)) for op in self.operators))
        model.operatorCodes = [self._code(code, version) for code, version in codes]
        model.buffers = [s.BufferT()]
        graph = s.SubGraphT()
        graph.name = "main"
        graph.tensors = [self._tensor(tensor, model.buffers) for tensor in self.tensors]
        graph.inputs = [self.index[id(tensor)] for _, tensor in self.inputs]
        graph.outputs = [self.index[id(tensor)] for _, tensor in self.outputs]
        graph.operators = [self._operator(op, codes.index((op.code, version_of(op)))) for op in self.operators]
        model.subgraphs = [graph]
        model.signatureDefs = [self._signature()]
        model.metadata = [self._metadata(name, text, model.buffers) for name, text in sorted(self.metadata.items())]
        return model

    def _code(self, name: str, version: int) -> Any:
        code = self.schema.OperatorCodeT()
        code.builtinCode = getattr(self.schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)  # readers before schema 3a have one byte
        code.version = version
        return code

    def _tensor(self, tensor: Tensor, buffers: list[Any]) -> Any:
        made = self.schema.TensorT()
        made.name, made.shape, made.type = tensor.name, list(tensor.shape), getattr(self.schema.TensorType, TYPES[tensor.dtype])
        made.hasRank = not tensor.shape
        made.buffer = 0
        if tensor.data is not None:
            made.buffer = len(buffers)
            buffers.append(self._buffer(tensor.data))
        if tensor.scales is not None:
            made.quantization = self._scales(tensor.scales)
        return made

    def _buffer(self, data: Any) -> Any:
        import numpy

        buffer = _aligned_buffer(self.schema)()
        buffer.data = numpy.ascontiguousarray(data).reshape(-1).view(numpy.uint8)
        return buffer

    def _scales(self, scales: Scales) -> Any:
        made = self.schema.QuantizationParametersT()
        made.scale, made.zeroPoint, made.quantizedDimension = list(scales.scale), list(scales.zero), scales.axis
        return made

    def _operator(self, op: Operator, code: int) -> Any:
        made = self.schema.OperatorT()
        made.opcodeIndex = code
        made.inputs = [-1 if tensor is None else self.index[id(tensor)] for tensor in op.inputs]
        made.outputs = [self.index[id(tensor)] for tensor in op.outputs]
        if (table := OPTIONS.get(op.code)) is not None:
            options = getattr(self.schema, f"{table}OptionsT")()
            for name, value in op.options.items():
                setattr(options, name, value)
            made.builtinOptionsType = getattr(self.schema.BuiltinOptions, f"{table}Options")
            made.builtinOptions = options
        return made

    def _signature(self) -> Any:
        made = self.schema.SignatureDefT()
        made.signatureKey, made.subgraphIndex = "serving_default", 0
        made.inputs, made.outputs = self._maps(self.inputs), self._maps(self.outputs)
        return made

    def _maps(self, ports: Ports) -> list[Any]:
        found = []
        for name, tensor in ports:
            entry = self.schema.TensorMapT()
            entry.name, entry.tensorIndex = name, self.index[id(tensor)]
            found.append(entry)
        return found

    def _metadata(self, name: str, text: str, buffers: list[Any]) -> Any:
        import numpy

        made = self.schema.MetadataT()
        made.name, made.buffer = name, len(buffers)
        buffers.append(self._buffer(numpy.frombuffer(text.encode(), numpy.uint8)))
        return made


def _aligned_buffer(schema: Any) -> Any:
    """A BufferT whose data are copied as one block, 16 bytes aligned: the generated code goes byte by byte or aligns to 4."""

    class AlignedBuffer(schema.BufferT):  # type: ignore[misc]
        def Pack(self, builder: Any) -> Any:
            data = None if self.data is None else _vector(builder, self.data)
            schema.BufferStart(builder)
            if data is not None:
                schema.BufferAddData(builder, data)
            schema.BufferAddOffset(builder, self.offset)
            schema.BufferAddSize(builder, self.size)
            return schema.BufferEnd(builder)

    return AlignedBuffer


def _vector(builder: Any, data: Any) -> Any:
    builder.StartVector(1, data.nbytes, 16)
    builder.head -= data.nbytes
    builder.Bytes[builder.head : builder.head + data.nbytes] = data.tobytes()
    return builder.EndVector()
