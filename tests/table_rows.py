"""Rows of tables by indices that may count from the end, of bytes between grids and of floats, behind which a network goes on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
from onnx import numpy_helper
from small_models import parse

from autoglmc.grammar import load_target
from autoglmc.targets.model import Target
from autoglmc.targets.stock import stock_path

ROWS, WIDTH = 500, 16
BYTES = """g ({dtype}[8] i) => (float[8,16] y) <float s = {{0.05}}, uint8 z = {{120}}> {{
    t = DequantizeLinear(w, s, z)  r = Gather(t, i)  q = QuantizeLinear(r, s, z)  d = DequantizeLinear(q, s, z)
    e = Sigmoid(d)  f = QuantizeLinear(e, s, z)  y = DequantizeLinear(f, s, z) }}"""
FLOATS = "g ({dtype}[8] i) => (float[8,16] y) {{ r = Gather(w, i)  e = Sigmoid(r)  y = Mul(e, r) }}"
TABLES = {"bytes": BYTES, "floats": FLOATS}


def rows_of(table: str, dtype: str) -> onnx.ModelProto:
    """table: of TABLES; dtype: of the indices."""
    model, random = parse(TABLES[table].format(dtype=dtype), opset=21, ir=10), np.random.default_rng(0)
    values = random.integers(0, 256, (ROWS, WIDTH)).astype(np.uint8) if table == "bytes" else random.standard_normal((ROWS, WIDTH))
    model.graph.initializer.append(numpy_helper.from_array(values.astype(np.uint8 if table == "bytes" else np.float32), "w"))
    return model


def npu_first() -> Target:
    """The stock Snapdragon with a slow CPU: small networks go to the NPU, too."""
    target = load_target(stock_path("snapdragon_8gen3"))
    slow = tuple(replace(device, launch=1e-3) if device.name == "cpu" else device for device in target.devices if device.name != "gpu")
    links = tuple(link for link in target.links if "gpu" not in (link.source, link.destination))
    return replace(target, devices=slow, links=links)
