"""Decoders that arrive with weights in few bits, in the spellings of onnxruntime's tools: caches in place, and each token the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from growing_cache import GrowingCache
from onnx import helper, numpy_helper
from small_decoders import Decoder as Spec
from small_decoders import decoder

from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
from autoglmc.compiler.state.request import StateRequest

SPEC = Spec(layers=2, width=16, vocabulary=64)
STATE = StateRequest((("past.*", "present.*"),), 64)
STEPS = {"prefill": Asked(shapes={}, tokens=8), "decode": Asked(shapes={}, tokens=1)}
PROMPT, COUNT, BLOCK = [3, 14, 1, 5, 9, 2, 6, 5, 3, 5], 12, 16


def in_blocks(values: np.ndarray, bits: int, zeros: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[N, K] as integers from 0 [N, K], scales and zero points [N, blocks]."""
    blocks = values.reshape(len(values), -1, BLOCK)
    most = 2**bits - 1
    if zeros:
        low, high = np.minimum(blocks.min(2), 0), np.maximum(blocks.max(2), 0)
        scale = ((high - low) / most).astype(np.float32)
        zero = np.rint(-low / scale)
    else:
        scale, zero = (np.abs(blocks).max(2) / (most // 2)).astype(np.float32), np.full(blocks.shape[:2], 2.0 ** (bits - 1))
    stored = np.clip(np.rint(blocks / scale[..., None]) + zero[..., None], 0, most)
    return stored.reshape(values.shape).astype(np.uint8), scale, zero.astype(np.uint8)


def packed(stored: np.ndarray, bits: int) -> np.ndarray:
    """Rows of bytes, the earlier of two numbers of 4 bits in the lower half."""
    if bits == 8:
        return stored
    filled = np.pad(stored, ((0, 0), (0, stored.shape[1] % 2)))
    return (filled[:, ::2] | filled[:, 1::2] << 4).astype(np.uint8)


Nodes = tuple[list[onnx.NodeProto], dict[str, np.ndarray]]


def matmul_nbits(bits: int, zeros: bool) -> Callable[[onnx.NodeProto, np.ndarray], Nodes]:
    def write(node: onnx.NodeProto, weight: np.ndarray) -> Nodes:
        (rows, columns), name = weight.shape, node.output[0]
        stored, scale, zero = in_blocks(weight.T, bits, zeros)
        arrays = {f"{name}_b": packed(stored, bits).reshape(columns, rows // BLOCK, -1), f"{name}_s": scale.reshape(-1)}
        if zeros:
            arrays[f"{name}_z"] = packed(zero, bits).reshape(-1)
        kind = {"K": rows, "N": columns, "bits": bits, "block_size": BLOCK}
        return [helper.make_node("MatMulNBits", [node.input[0], *arrays], node.output, domain="com.microsoft", **kind)], arrays

    return write


def dequantised(zeros: bool) -> Callable[[onnx.NodeProto, np.ndarray], Nodes]:
    def write(node: onnx.NodeProto, weight: np.ndarray) -> Nodes:
        stored, scale, zero = (array.T for array in in_blocks(weight.T, 4, zeros))
        name, kind, middle = node.output[0], ml_dtypes.uint4 if zeros else ml_dtypes.int4, 0 if zeros else 8
        arrays = {f"{name}_b": (stored.astype(np.int8) - middle).astype(kind), f"{name}_s": np.ascontiguousarray(scale)}
        if zeros:
            arrays[f"{name}_z"] = zero.astype(kind)
        dq = helper.make_node("DequantizeLinear", list(arrays), [f"{name}_w"], axis=0, block_size=BLOCK)
        return [dq, helper.make_node("MatMul", [node.input[0], f"{name}_w"], node.output)], arrays

    return write


def gathered(bits: int, zeros: bool) -> Callable[[onnx.NodeProto, np.ndarray], Nodes]:
    def write(node: onnx.NodeProto, table: np.ndarray) -> Nodes:
        stored, scale, zero = in_blocks(table, bits, zeros)
        arrays = {"t_b": packed(stored, bits), "t_s": scale, **({"t_z": packed(zero, bits)} if zeros else {})}
        names = ["t_b", node.input[1], *list(arrays)[1:]]
        kind = {"bits": bits, "block_size": BLOCK, "gather_axis": 0, "quantize_axis": 1}
        return [helper.make_node("GatherBlockQuantized", names, node.output, domain="com.microsoft", **kind)], arrays

    return write


Spelling = Mapping[str, Callable[[onnx.NodeProto, np.ndarray], Nodes]]
SPELLINGS: Mapping[str, Spelling] = {
    "MatMulNBits": {"MatMul": matmul_nbits(4, False)},
    "MatMulNBits, zero points": {"MatMul": matmul_nbits(4, True)},
    "MatMulNBits, 8 bits": {"MatMul": matmul_nbits(8, True)},
    "DequantizeLinear, int4": {"MatMul": dequantised(False)},
    "DequantizeLinear, uint4": {"MatMul": dequantised(True)},
    "GatherBlockQuantized": {"MatMul": matmul_nbits(4, False), "Gather": gathered(4, False)},
    "GatherBlockQuantized, zero points": {"MatMul": matmul_nbits(4, True), "Gather": gathered(4, True)},
    "GatherBlockQuantized, 8 bits": {"MatMul": dequantised(False), "Gather": gathered(8, True)},
}


def rewritten(name: str) -> onnx.ModelProto:
    model = decoder(SPEC)
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        weight = arrays.get(node.input[0 if node.op_type == "Gather" else 1]) if len(node.input) > 1 else None
        writer = SPELLINGS[name].get(node.op_type)
        matrix = weight is not None and weight.ndim == 2 and weight.dtype == np.float32
        if writer is None or weight is None or not matrix:
            nodes.append(node)
            continue
        made, constants = writer(node, weight)
        nodes += made
        model.graph.initializer.extend(numpy_helper.from_array(np.ascontiguousarray(array), key) for key, array in constants.items())
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    read = {key for node in nodes for key in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    del model.opset_import[:]
    model.opset_import.extend([helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)])
    model.ir_version = 10
    return model


@pytest.mark.parametrize("name", SPELLINGS)
def test_tokens_are_those_of_onnxruntime(name: str, tmp_path: Path) -> None:
    model = rewritten(name)
    expected, apart = GrowingCache(model, fuse=False).greedy(PROMPT, COUNT)
    result = compile_entries(model, "x86_cpu", STEPS, state=STATE, output=tmp_path / "b")
    session = result.bundle.session()
    assert result.verified and apart > 1e-4 and list(session.generate(PROMPT, max_tokens=COUNT)) == expected
    assert not any(state.copied for state in result.manifest.states) and all(len(each) == 1 for each in session.addresses().values())
