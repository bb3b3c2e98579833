"""What a runtime spends on changing layouts is charged to the operators that make it necessary, all of it, and to no other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_measurements import conv, view

from autoglmc.compiler.calibrate.fit_layouts import asks_for_plain, layout_seconds
from autoglmc.compiler.calibrate.records import MeasuredKernel, MeasuredSegment
from autoglmc.targets.operator_view import OperatorView

IMAGE, GATE = (1, 32, 28, 28), (1, 32, 1, 1)
SLICE = view("Slice", {"data": (IMAGE, False)}, ("output", (1, 16, 28, 28)))
TURN = view("Transpose", {"data": (IMAGE, False)}, ("transposed", (1, 28, 28, 32)), perm=(0, 2, 3, 1))
ROWS = view("Transpose", {"data": ((1, 64, 32), False)}, ("transposed", (1, 32, 64)), perm=(0, 2, 1))
GATED = view("Mul", {"A": (IMAGE, False), "B": (GATE, False)}, ("C", IMAGE))
ADD = view("Add", {"A": (IMAGE, False), "B": (IMAGE, False)}, ("C", IMAGE))
EVERY = {
    "slice": (SLICE, True), "turned image": (TURN, True), "turned rows": (ROWS, False), "gate": (GATED, True), "sum": (ADD, False),
    "window": (conv(32, 32, 28, 3), False), "depthwise": (conv(32, 32, 28, 3, 32), False), "groups of 8": (conv(32, 32, 28, 3, 4), True),
    "groups of 16": (conv(32, 32, 28, 3, 2), False),
}  # fmt: skip


def segment(ops: list[OperatorView], unjoined: dict[str, float]) -> MeasuredSegment:
    kernels = tuple(MeasuredKernel(name=f"k{n}", views=(op,), compute_dtype="fp32", seconds=1e-5) for n, op in enumerate(ops))
    return MeasuredSegment(network="n", case="n", kernels=kernels, weight_bytes=0, latency=1e-4, floor=0.01, unjoined=unjoined)


@pytest.mark.parametrize("name", EVERY)
def test_who_asks_for_the_plain_layout(name: str) -> None:
    op, plain = EVERY[name]
    assert asks_for_plain(op) == plain


@given(names=st.lists(st.sampled_from(sorted(EVERY)), min_size=2, max_size=12), spent=st.floats(1e-7, 1e-3))
def test_all_of_it_is_charged_once(names: list[str], spent: float) -> None:
    given = {"ReorderInput_token_3": spent / 2, "ReorderOutput": spent / 2, "Relu": 1.0}
    found = layout_seconds(segment([EVERY[name][0] for name in names], given))
    asking = [EVERY[name][1] for name in names]
    assert all((share > 0) == asks for share, asks in zip(found, asking, strict=True))
    assert sum(found) == pytest.approx(spent if any(asking) else 0.0)


def test_a_single_kernel_has_all_of_its_time_already() -> None:
    assert layout_seconds(segment([SLICE], {"ReorderOutput": 1e-5})) == [0.0]
