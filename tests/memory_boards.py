"""Boards with several memories, and nets that do not fit the small ones."""

from __future__ import annotations

import random

import numpy as np
import onnx
from onnx import helper, numpy_helper

from autoglmc.grammar import analyse_text
from autoglmc.grammar.rule_facts import rule_facts
from autoglmc.targets.model import Target


def board(
    sram: int = 0,
    dram: float = 0.5,
    fast: float = 8.0,
    holds: str = "weights, activations",
    more: str = "",
    gops: float = 64,
    shared: str = "npu",
) -> Target:
    """An NPU with `sram` KiB of its own (0: none) at `fast` GB/s, and a CPU, over DRAM of `dram` GB/s. `more`: further memories."""
    own = f"memory sram {{ size {sram} KiB; bandwidth {fast} GB/s; holds {holds}; shared {shared}; }}" if sram else ""
    text = f"""hw 1;
    target board {{ onnx opset 13..21;
      memory dram {{ size 256 MiB; bandwidth {dram} GB/s; shared npu, cpu; }} {own} {more}
      device npu : x {{
        runtime none; peak fp32 {gops} GOPS; peak int8 {2 * gops} GOPS; dispatch 20 us; launch 1 us; supports all;
        power active 1 W, idle 0.1 W;
      }}
      device cpu : y {{ runtime ort; peak fp32 1 GOPS; dispatch 1 us; launch 1 us; power active 1 W, idle 0.1 W; supports all; }}
      link npu <-> cpu {{ zero_copy; handoff 1 us; }}
    }}"""
    result = analyse_text(text, "board.hw", rule_facts())
    assert result.target is not None, result.diagnostics
    return result.target


def random_net(seed: int, layers: int = 8) -> onnx.ModelProto:
    """Convolutions, MatMuls of one size, sums and products with what came long before, reshapes, a second output."""
    dice, constants, nodes = random.Random(seed), [], []
    channels, size = dice.choice((4, 8, 16)), dice.choice((8, 12, 16))
    live = ["x"]
    for k in range(layers):
        source, name = dice.choice(live[-2:]), f"t{k}"
        kind = dice.choice(("Conv", "Conv", "Relu", "Add", "Mul", "Reshape", "MatMul", "Softmax", "Shift"))
        if kind == "Conv":
            width = dice.choice((1, 3))
            weight = np.random.default_rng(seed + k).normal(size=(channels, channels, width, width)).astype(np.float32)
            constants.append(numpy_helper.from_array(weight * np.float32(0.1), f"w{k}"))
            nodes.append(helper.make_node("Conv", [source, f"w{k}"], [name], pads=[width // 2] * 4))
        elif kind == "MatMul":
            weight = np.random.default_rng(seed + k).normal(size=(size, size)).astype(np.float32)
            constants.append(numpy_helper.from_array(weight * np.float32(0.1), f"w{k}"))
            nodes.append(helper.make_node("MatMul", [source, f"w{k}"], [name]))
        elif kind in ("Add", "Mul"):
            nodes.append(helper.make_node(kind, [source, dice.choice(live)], [name]))
        elif kind == "Reshape":
            constants += [numpy_helper.from_array(np.array(s), f"s{k}{i}") for i, s in enumerate(([1, -1], [1, channels, size, size]))]
            nodes.append(helper.make_node("Reshape", [source, f"s{k}0"], [f"r{k}"]))
            nodes.append(helper.make_node("Sigmoid", [f"r{k}"], [f"g{k}"]))
            nodes.append(helper.make_node("Reshape", [f"g{k}", f"s{k}1"], [name]))
        elif kind == "Shift":
            constants.append(numpy_helper.from_array(np.full((1, channels, size, size), 0.1, np.float32), f"w{k}"))
            nodes.append(helper.make_node("Sub", [source, f"w{k}"], [name]))
        else:
            nodes.append(helper.make_node(kind, [source], [name]))
        live.append(name)
    ends = dict.fromkeys((live[-1], dice.choice(live[1:])))
    shape = [1, channels, size, size]
    inputs = [helper.make_tensor_value_info("x", 1, shape)]
    graph = helper.make_graph(nodes, "net", inputs, [helper.make_tensor_value_info(name, 1, shape) for name in ends], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
