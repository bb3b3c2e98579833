"""Channels that are combinations of others can go without a trace: the weights of whoever sums over them take them up."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from pruned_nets import SIZE, Net, groups, run

from autoglmc.compiler.precision.losses import outputs_of
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.prune import compensate as compensation
from autoglmc.passes.prune.compensate import Moments, compensate, remainders, summed_tensor
from autoglmc.passes.prune.groups import ranked
from autoglmc.passes.prune.remove import remove
from autoglmc.passes.prune.spread import Spread


def twins(net: Net, shape: tuple[int, ...], axis: int) -> str:
    """Weights whose second half of channels is a third of the first."""
    half = net.random.standard_normal([size // 2 if k == axis else size for k, size in enumerate(shape)])
    return net._constant(np.concatenate([half, half / 3], axis).astype(np.float32))


def convolved(net: Net, kernel: int, bias: bool) -> onnx.ModelProto:
    x = net.op("Relu", net.op("Conv", "x", twins(net, (8, 3, 1, 1), 0)))
    y = net.op("Conv", x, net.weight(4, 8, kernel, kernel), *([net.weight(4)] if bias else []))
    return net.model(net.op("ReduceMean", y), (1, 3, SIZE, SIZE))


def multiplied(net: Net, operator: str, transposed: bool) -> onnx.ModelProto:
    x = net.op("Relu", net.op("MatMul", "x", twins(net, (5, 8), 1)))
    if operator == "MatMul":
        return net.model(net.op("MatMul", x, net.weight(8, 3)), (6, 5))
    shape = (3, 8) if transposed else (8, 3)
    return net.model(net.op("Gemm", x, net.weight(*shape), net.weight(3), transB=int(transposed)), (6, 5))


def measured(graph: Graph, spread: Spread) -> dict[str, Moments]:
    """On samples of numbers as wide as those that `run` gives."""
    found, random = dict[str, Moments](), np.random.default_rng(7)
    for site in spread.sums:
        summed = summed_tensor(graph, site)
        if summed is None:
            continue
        name, axis = summed
        model = graph.to_model()
        model.graph.output.append(graph.value_info(name))
        samples = [{"x": random.standard_normal(graph.tensor("x").shape).astype(np.float32)} for _ in range(8)]
        rows = np.concatenate([np.moveaxis(one[0], axis, -1).reshape(-1, one[0].shape[axis]) for one in outputs_of(model, samples, [name])])
        found[name] = Moments(len(rows), rows.sum(0), rows.T @ rows)
    return found


@pytest.mark.parametrize(
    "made",
    [
        lambda net: convolved(net, 1, True),
        lambda net: convolved(net, 3, True),
        lambda net: convolved(net, 3, False),
        lambda net: multiplied(net, "MatMul", False),
        lambda net: multiplied(net, "Gemm", False),
        lambda net: multiplied(net, "Gemm", True),
    ],
)
def test_what_is_a_combination_of_others_goes_without_a_trace(made, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(compensation, "RIDGE", 1e-9)
    monkeypatch.setattr(compensation, "UNCERTAIN", 0.0)
    graph, spread, found = groups(made(Net(3)))
    group = next(one for one in found if one.channels == 8)
    gone = group.roots[4:]
    whole, plain = graph.copy()[0], graph.copy()[0]
    expected = run(whole.to_model())
    remove(plain, spread, gone.tolist())
    compensate(graph, spread, gone, measured(graph, spread))
    remove(graph, spread, gone.tolist())
    size = float(np.abs(expected).max())
    np.testing.assert_allclose(run(graph.to_model()), expected, atol=1e-4 * size)
    assert np.abs(run(plain.to_model()) - expected).max() > 1e-2 * size


def test_a_constant_channel_goes_into_the_bias(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net(0)
    first = net.random.standard_normal((5, 8)).astype(np.float32)
    first[:, 4:] = 0
    x = net.op("Gemm", "x", net._constant(first), net.weight(8))
    graph, spread, found = groups(net.model(net.op("Gemm", x, net.weight(8, 3), net.weight(3)), (6, 5)))
    expected, gone = run(graph.copy()[0].to_model()), found[0].roots[4:]
    compensate(graph, spread, gone, measured(graph, spread))
    remove(graph, spread, gone.tolist())
    np.testing.assert_allclose(run(graph.to_model()), expected, atol=1e-4)


def test_what_others_can_stand_in_for_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """However large it is: of eight channels the last two are twice the first two, and the others are small."""
    monkeypatch.setattr(compensation, "RIDGE", 1e-6)
    monkeypatch.setattr(compensation, "UNCERTAIN", 0.0)
    net = Net(0)
    first = net.random.standard_normal((6, 8)).astype(np.float32)
    first[:, 2:6] *= 0.3
    first[:, 6:] = 2 * first[:, :2]
    x = net.op("MatMul", "x", net._constant(first))
    graph, spread, found = groups(net.model(net.op("MatMul", x, net.weight(8, 6)), (6, 6)))
    (better,) = ranked(found, remainders(graph, spread, measured(graph, spread)))
    doubled = [0, 1, 6, 7]
    assert better.magnitude[doubled].max() < 0.1 * better.magnitude[2:6].min()
    assert found[0].magnitude[doubled].max() > 1.2 * found[0].magnitude[2:6].mean()


def test_weights_that_two_operators_share_stay() -> None:
    net = Net(0)
    weights = net.weight(8, 8)
    x = net.op("MatMul", net.op("MatMul", net.op("MatMul", "x", net.weight(5, 8)), weights), weights)
    graph, spread, _ = groups(net.model(net.op("MatMul", x, net.weight(8, 3)), (6, 5)))
    assert [summed_tensor(graph, site) is None for site in spread.sums] == [False, True, True, False]
