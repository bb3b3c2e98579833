"""A convolution and a sequence: the map that one writes lies in memory as the rows that the other reads, so nothing is turned between."""

from __future__ import annotations

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_tflite import apart, feeds_of, prepared, run_onnx, run_tflite, transposes
from sequence_heads import (
    CHANNELS,
    FLAT,
    HEADS_OF,
    LEAVES,
    RETURNS,
    Net,
    body,
    convolved,
    finished,
    rows_first,
    whole,
)

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed: pip install 'autoglmc[litert]'")

from autoglmc.compiler.devices.tflite.emit import write_tflite

CLOSE = 1e-5
IMAGE = 1
"""The input is NCHW, and has three channels."""
OF_HEADS = 3
"""Of each attention: heads before rows, keys, and back. LiteRT's products read the last two axes, and its GPU kernels ignore `adjY`."""


def file_of(model: onnx.ModelProto) -> bytes:
    """The .tflite file, which computes the model."""
    ready = prepared(model)
    data = write_tflite(ready)
    names, feeds = [value.name for value in ready.graph.output], feeds_of(ready)
    for want, got in zip(run_onnx(model, feeds, names), run_tflite(data, feeds, names), strict=True):
        assert apart(want, got) < CLOSE
    return data


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    batch=st.integers(1, 2),
    width=st.integers(2, 6),
    height=st.integers(1, 4),
    leave=st.sampled_from(sorted(LEAVES)),
    heads=st.lists(st.sampled_from(sorted(HEADS_OF)), min_size=1, max_size=2),
    back=st.sampled_from(["", *sorted(RETURNS)]),
)
def test_nothing_is_turned_between_maps_and_rows(batch: int, width: int, height: int, leave: str, heads: list[str], back: str) -> None:
    """What is left is the image that comes in, and what each attention turns itself."""
    height = 1 if leave in FLAT or back == "unsqueezed" else height
    net = Net(batch)
    body(net, height, width)
    LEAVES[leave](net, height, width)
    for head in heads:
        HEADS_OF[head](net, height * width)
    if back:
        RETURNS[back](net, height, width)
        convolved(net)
    assert transposes(file_of(finished(net, height, width))) <= IMAGE + OF_HEADS * heads.count("attention")


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("both", [False, True])
def test_rows_before_images_for_an_lstm(batch: int, both: bool) -> None:
    """[N, C, 1, W] becomes [W, N, C]: of one image the same bytes, of several one transpose; so it is with what goes out."""
    net, directions = Net(batch), 2 if both else 1
    body(net, 1, 5)
    rows_first(net, 1, 5)
    operands = (net.random(directions, 4 * CHANNELS, CHANNELS), net.random(directions, 4 * CHANNELS, CHANNELS))
    made = net.op("LSTM", net.value, *operands, hidden_size=CHANNELS, direction="bidirectional" if both else "forward")
    turned = net.op("Transpose", made, perm=[2, 0, 1, 3])
    net.op("Reshape", turned, whole(batch, 5, directions * CHANNELS))
    net.op("MatMul", net.value, net.random(directions * CHANNELS, CHANNELS))
    assert transposes(file_of(finished(net, 1, 5))) <= IMAGE + (0 if batch == 1 else 2)
