"""What attention with caches costs on the CPU: halves are widened in every run, so that they take no less time than fp32; and a table in
blocks is read by rows."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from autoglmc.compiler.hw.load_target import load_target
from autoglmc.targets.cost import kernel_seconds, weights_read
from autoglmc.targets.model import Peak
from autoglmc.targets.operator_view import OperatorView, TensorView

CPU = load_target("x86_cpu")


def attention(tokens: int, length: int, dtype: str, heads: int = 8, groups: int = 2, width: int = 64) -> OperatorView:
    rows, cache = (1, tokens, groups * width), (1, groups, length, width)
    inputs = {"query": (1, tokens, heads * width), "key": rows, "value": rows, "past_key": cache, "past_value": cache}
    outputs = {"output": (1, tokens, heads * width), "present_key": cache, "present_value": cache}
    return OperatorView(
        domain="com.microsoft", operator="GroupQueryAttention", name="a", attributes={"num_heads": heads, "kv_num_heads": groups},
        opset=1, inputs={name: tensor(name, dtype, *shape) for name, shape in inputs.items()},
        outputs={name: tensor(name, dtype, *shape) for name, shape in outputs.items()},
    )  # fmt: skip


def tensor(name: str, dtype: str, *shape: int, const: bool = False) -> TensorView:
    return TensorView(name=name, dtype=dtype, shape=shape, const=const)


def seconds(view: OperatorView, dtype: str) -> float:
    return kernel_seconds(CPU, CPU.devices[0], (view,), dtype)


@given(st.integers(1, 256), st.integers(64, 4096))
def test_halves_take_no_less_time_and_not_twice_as_much(tokens: int, length: int) -> None:
    whole, half = seconds(attention(tokens, length, "fp32"), "fp32"), seconds(attention(tokens, length, "fp16"), "fp16")
    assert whole <= half <= 2 * whole
    assert half > 1.3 * whole or tokens > 1, "one token reads the caches and does little else"


def test_a_device_of_halves_widens_nothing() -> None:
    device = CPU.devices[0]
    own = replace(device, peaks=(*device.peaks, Peak(dtype="fp16", rate=2 * max(peak.rate for peak in device.peaks))))
    half, whole = (kernel_seconds(CPU, own, (attention(1, 1024, dtype),), dtype) for dtype in ("fp16", "fp32"))
    assert half < 0.6 * whole


def test_rows_of_a_table_in_blocks_are_read_alone() -> None:
    inputs = {"data": tensor("t", "uint8", 50_000, 256, const=True), "indices": tensor("i", "int64", 1, 1)}
    inputs["scales"] = tensor("s", "fp32", 50_000, 16, const=True)
    view = OperatorView(
        domain="com.microsoft", operator="GatherBlockQuantized", name="g", attributes={"bits": 4, "block_size": 32},
        opset=1, inputs=inputs, outputs={"output": tensor("y", "fp32", 1, 1, 512)},
    )  # fmt: skip
    assert seconds(view, "fp32") < 1e-6 and weights_read([view]) <= 2 * 4 * 512
