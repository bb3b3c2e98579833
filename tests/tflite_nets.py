"""Small .tflite files made by hand with LiteRT's schema: chains of operators of one input."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def chain(operators: Sequence[str], shape: Sequence[int], dtype: str = "FLOAT32", names: tuple[str, str] = ("x", "y")) -> bytes:
    """Operators (RELU, TANH, …) one behind the other on tensors of one shape; `names` of the input and the output."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    graph, model, signature = schema.SubGraphT(), schema.ModelT(), schema.SignatureDefT()
    model.operatorCodes = []
    for name in dict.fromkeys(operators):
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        model.operatorCodes.append(code)
    graph.tensors, graph.operators = [], []
    for number in range(len(operators) + 1):
        tensor = schema.TensorT()
        tensor.name = {0: names[0], len(operators): names[1]}.get(number, f"t{number}")
        tensor.shape, tensor.type = list(shape), getattr(schema.TensorType, dtype)
        graph.tensors.append(tensor)
    kinds = list(dict.fromkeys(operators))
    for number, name in enumerate(operators):
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = kinds.index(name), [number], [number + 1]
        graph.operators.append(operator)
    graph.inputs, graph.outputs = [0], [len(operators)]
    signature.signatureKey = "serving_default"
    signature.inputs, signature.outputs = [_named(schema, names[0], 0)], [_named(schema, names[1], len(operators))]
    model.version, model.buffers, model.subgraphs, model.signatureDefs = 3, [schema.BufferT()], [graph], [signature]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _named(schema: object, name: str, tensor: int) -> object:
    made = schema.TensorMapT()  # type: ignore[attr-defined]
    made.name, made.tensorIndex = name, tensor
    return made


class Memory:
    """Zeroed bytes whose first address is a multiple of 64, with 64 bytes of guard around every array that is taken from it."""

    GUARD, FILL = 64, 0xA5

    def __init__(self, size: int = 1 << 16) -> None:
        raw = np.full(size + 64, self.FILL, np.uint8)
        start = -raw.ctypes.data % 64
        self._bytes, self._next, self._taken = raw[start : start + size], self.GUARD, np.zeros(size, bool)

    def array(self, shape: Sequence[int], dtype: np.dtype | type = np.float32, offset: int = 0) -> np.ndarray:
        """All bytes 0xFF (NaN in floats); `offset` bytes beyond a multiple of 64."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        start = self._next + offset
        self._next = -(-(start + size + self.GUARD) // 64) * 64
        self._taken[start : start + size] = True
        self._bytes[start : start + size] = 0xFF
        return self._bytes[start : start + size].view(dtype).reshape(shape)

    def untouched(self) -> bool:
        """Whether everything beside the arrays is as it was."""
        return bool((self._bytes[~self._taken] == self.FILL).all())
