"""Channels that go take everything along that hangs on them, and nothing else: the graph without them computes what the graph computes when
nobody listens to them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pruned_nets import IMAGES, SIZE, TOKENS, Net, conv, groups, image_net, run, silence, token_net

from autoglmc.passes.prune.groups import reason
from autoglmc.passes.prune.remove import emptied, remove


def bytes_of(model: onnx.ModelProto) -> int:
    return sum(tensor.ByteSize() for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT)


def check(model: onnx.ModelProto, choose: Callable[[int], list[int]]) -> int:
    """How many sets went."""
    graph, spread, found = groups(model)
    roots = sorted({int(root) for group in found for root in group.roots})
    gone = {roots[k] for k in choose(len(roots))}
    while empty := emptied(spread, gone):
        gone.discard(min(empty[0]))
    less, more = graph.copy()[0], graph.copy()[0]
    remove(less, spread, gone)
    silence(more, spread, gone)
    pruned, whole = less.to_model(), more.to_model()
    onnx.checker.check_model(pruned, full_check=True)
    del pruned.graph.value_info[:]
    onnx.shape_inference.infer_shapes(pruned, strict_mode=True, data_prop=True)
    assert bytes_of(pruned) <= bytes_of(whole)
    expected = run(whole)
    np.testing.assert_allclose(run(pruned), expected, rtol=1e-3, atol=1e-4 * max(1.0, float(np.abs(expected).max())))
    return len(gone)


@given(st.integers(0, 10_000), st.lists(st.integers(0, len(IMAGES) - 1), max_size=5), st.data())
def test_convolutions_without_some_channels(seed: int, parts: list[int], data: st.DataObject) -> None:
    check(image_net(seed, parts), lambda size: data.draw(st.lists(st.integers(0, size - 1), unique=True)) if size else [])


@given(st.integers(0, 10_000), st.lists(st.integers(0, len(TOKENS) - 1), max_size=4), st.data())
def test_transformers_without_some_channels_and_heads(seed: int, parts: list[int], data: st.DataObject) -> None:
    check(token_net(seed, parts), lambda size: data.draw(st.lists(st.integers(0, size - 1), unique=True)) if size else [])


@pytest.mark.parametrize("part", range(len(IMAGES)), ids=[one.__name__ for one in IMAGES])
def test_something_goes_through_every_part_of_an_image_net(part: int) -> None:
    """No part is one that fixes all channels before it and behind it."""
    assert all(check(image_net(seed, [part]), lambda size: list(range(0, size, 2))) >= 2 for seed in range(4))


@pytest.mark.parametrize("part", range(len(TOKENS)), ids=[one.__name__ for one in TOKENS])
def test_something_goes_through_every_part_of_a_token_net(part: int) -> None:
    assert all(check(token_net(seed, [part]), lambda size: list(range(0, size, 2))) >= 1 for seed in range(4))


@pytest.mark.parametrize("part", [2, 5], ids=["written out", "one operator"])
@pytest.mark.parametrize("seed", range(6))
def test_heads_go_as_a_whole(part: int, seed: int) -> None:
    _, _, found = groups(token_net(seed, [part]))
    head = [group for group in found if group.width > 1]
    assert head and all(group.channels == len(group.roots) * group.width for group in head)
    assert {group.width % 3 for group in head} == {0} and all(group.heads for group in head)


def test_what_is_seen_from_outside_stays() -> None:
    """Neither the model's output nor what it is added to."""
    net = Net(0)
    x = conv(net, ("x", 3))
    model = net.model(net.op("Add", x[0], net.op("Relu", x[0])), (1, 3, SIZE, SIZE))
    _, spread, found = groups(model)
    assert found == () and reason(spread, spread.makers[0]).endswith("is an output of the model")


def test_an_unknown_operator_keeps_what_it_reads() -> None:
    net = Net(0)
    a, b = conv(net, ("x", 3)), conv(net, ("x", 3))
    y = net.op("ReduceMean", net.op("DepthToSpace", net.op("Conv", a[0], net.weight(4, a[1], 1, 1)), blocksize=2))
    model = net.model(net.op("Add", y, net.op("ReduceMean", b[0])), (1, 3, SIZE, SIZE))
    _, spread, found = groups(model)
    assert [site.node for group in found for site in group.makers] == [a[0]]
    assert "DepthToSpace" in reason(spread, spread.makers[2])


def test_equal_biases_hold_no_layers_together() -> None:
    net = Net(0)
    zeros = net._constant(np.zeros(8, np.float32))
    x = net.op("Relu", net.op("Conv", "x", net.weight(8, 3, 1, 1), zeros))
    x = net.op("Relu", net.op("Conv", x, net.weight(8, 8, 1, 1), zeros))
    model = net.model(net.op("ReduceMean", net.op("Conv", x, net.weight(2, 8, 1, 1))), (1, 3, SIZE, SIZE))
    _, _, found = groups(model)
    assert [len(group.makers) for group in found] == [1, 1]


def test_nothing_is_left_of_no_axis() -> None:
    graph, spread, found = groups(image_net(0, []))
    everything = {int(root) for group in found for root in group.roots}
    with pytest.raises(ValueError, match="nothing would be left"):
        remove(graph, spread, everything)
