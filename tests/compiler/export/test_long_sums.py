"""Files whose kernels add up sums one term after the other, in fp32, are right; ones that leave something out are not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from small_models import parse

from autoglmc.compiler.errors import VerifyError
from autoglmc.compiler.export.parity import parity
from autoglmc.compiler.load.source import source_of
from autoglmc.compiler.verify.terms import OTHER_KERNELS

Terms = Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]
ROWS, COLUMNS = 4, 3
RANDOM = np.random.default_rng(3)


def weights(length: int) -> np.ndarray[Any, Any]:
    return (RANDOM.standard_normal((length, COLUMNS)) / np.sqrt(length)).astype(np.float32)


def transposed_terms(x: np.ndarray[Any, Any], w: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """[terms, N, M, positions] of a ConvTranspose in one dimension, stride 1: channel by channel, place by place of the filter."""
    places, kernel = x.shape[2], w.shape[2]
    found = np.zeros((w.shape[0] * kernel, x.shape[0], w.shape[1], places + kernel - 1), np.float32)
    for channel in range(w.shape[0]):
        for k in range(kernel):
            found[channel * kernel + k, :, :, k : k + places] = x[:, channel, None, :] * w[channel, :, k][None, :, None]
    return found


class Chained:
    """Terms in fp32, added one after the other; `left_out`: how many of them are not."""

    def __init__(self, terms: Terms, left_out: int = 0) -> None:
        self._terms, self._left_out = terms, left_out

    def run(self, values: Mapping[str, Any]) -> dict[str, Any]:
        terms = self._terms(values["x"])
        return {"y": np.add.accumulate(terms[: len(terms) - self._left_out], axis=0, dtype=np.float32)[-1]}


def product(length: int, spelling: str) -> tuple[onnx.ModelProto, Terms]:
    w = weights(length)
    held = w.T if "transB" in spelling else w
    model = parse(f"g (float[{ROWS},{length}] x) => (float[{ROWS},{COLUMNS}] y) {{ {spelling} }}")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ascontiguousarray(held), "w"))
    return model, lambda x: (x[:, :, None] * w[None]).transpose(1, 0, 2)


def transposed(channels: int, kernel: int) -> tuple[onnx.ModelProto, Terms]:
    w = (RANDOM.standard_normal((channels, COLUMNS, kernel)) / np.sqrt(channels * kernel)).astype(np.float32)
    out = 6 + kernel - 1
    model = parse(f"g (float[1,{channels},6] x) => (float[1,{COLUMNS},{out}] y) {{ y = ConvTranspose(x, w) }}")
    model.graph.initializer.append(onnx.numpy_helper.from_array(w, "w"))
    return model, lambda x: transposed_terms(x, w)


def summed(length: int) -> tuple[onnx.ModelProto, Terms]:
    model = parse(f"g (float[{ROWS},{length}] x) => (float[{ROWS}] y) <int64[1] a = {{1}}> {{ y = ReduceSum<keepdims=0>(x, a) }}")
    return model, lambda x: x.T


CASES = {
    "MatMul of 700": product(700, "y = MatMul(x, w)"),
    "MatMul of 4096": product(4096, "y = MatMul(x, w)"),
    "Gemm of 8192": product(8192, "y = Gemm<transB=1>(x, w)"),
    "ConvTranspose of 32 channels": transposed(32, 41),
    "ConvTranspose of 512 channels": transposed(512, 3),
    "ReduceSum of 5000": summed(5000),
}


def compared(name: str, left_out: int) -> Any:
    model, terms = CASES[name]
    (x,), (y,) = (
        [tuple(dim.dim_value for dim in v.type.tensor_type.shape.dim) for v in ports] for ports in (model.graph.input, model.graph.output)
    )
    return parity(source_of(model), Chained(terms, left_out), {"x": x}, {"y": y}, OTHER_KERNELS, lambda message: None)


@pytest.mark.parametrize("name", CASES)
def test_sums_in_a_chain_are_right(name: str) -> None:
    (found,) = compared(name, 0).outputs
    assert found.name == "y" and found.difference > 0


@pytest.mark.parametrize("name", CASES)
def test_one_term_less_is_wrong(name: str) -> None:
    with pytest.raises(VerifyError, match="the converted model differs"):
        compared(name, 1)


def test_where_scores_are_ordered_the_help_says_what_may_be_right() -> None:
    model = parse("g (float[1,8] x) => (float[1,3] y, int64[1,3] i) <int64[1] k = {3}> { y, i = TopK(x, k) }")

    class Turned:
        def run(self, values: Mapping[str, Any]) -> dict[str, Any]:
            order = np.argsort(-values["x"], axis=1, kind="stable")[:, [1, 0, 2]]
            return {"y": np.take_along_axis(values["x"], order, 1), "i": order}

    with pytest.raises(VerifyError) as problem:
        parity(source_of(model), Turned(), {"x": (1, 8)}, {"y": (1, 3), "i": (1, 3)}, OTHER_KERNELS, lambda message: None)
    assert "TopK may find another first" in problem.value.help
