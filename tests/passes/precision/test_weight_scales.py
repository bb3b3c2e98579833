"""Weights are written with the scales that the device's table was asked about: by channel, in blocks, or one for all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from run_model import infer
from small_models import parse

from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.precision.plain_model import plain_model
from autoglmc.compiler.precision.ranges import ranges_of
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.place.scales import scales_of
from autoglmc.passes.precision.quantise import quantise
from autoglmc.passes.precision.unit_forms import unit_forms
from autoglmc.targets.dtypes import BITS
from autoglmc.targets.precision import Form
from autoglmc.targets.quantised.views import in_form
from autoglmc.targets.stock import stock_names

WIDTH = 64
PRODUCTS = {
    "MatMul": ("y = MatMul(x, w)", (WIDTH, 32), (), (8, WIDTH)),
    "Gemm": ("y = Gemm(x, w, b)", (WIDTH, 32), (32,), (8, WIDTH)),
    "transposed Gemm": ("y = Gemm<transB=1>(x, w, b)", (32, WIDTH), (32,), (8, WIDTH)),
    "Conv": ("y = Conv(x, w, b)", (32, WIDTH, 1, 1), (32,), (1, WIDTH, 4, 4)),
}


def product(name: str) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    text, weight, bias, shape = PRODUCTS[name]
    rng, dims = np.random.default_rng(0), ",".join(map(str, shape))
    result = ",".join(map(str, (1, 32, 4, 4) if len(shape) == 4 else (8, 32)))
    model = parse(f"g (float[{dims}] x) => (float[{result}] y) {{ {text} }}", opset=21, ir=10)
    spread = np.exp(rng.standard_normal(weight)).astype(np.float32)  # runs of it differ, so that one scale for all is much worse
    arrays = {"w": rng.standard_normal(weight).astype(np.float32) * spread, **({"b": np.ones(bias, np.float32)} if bias else {})}
    model.graph.initializer.extend(numpy_helper.from_array(array, key) for key, array in arrays.items())
    return infer(model), {"x": rng.standard_normal(shape).astype(np.float32)}


def offered(graph: Graph) -> Iterator[tuple[str, Form]]:
    """Every form of quantised weights that a device of a stock target may run the product in."""
    seen: set[Form] = set()
    for target in stock_names():
        for device, forms in unit_forms(graph, load_target(target)).get("y", {}).items():
            for form in forms:
                if BITS[form.weights] <= 8 and form not in seen:
                    seen.add(form)
                    yield f"{form.name} on {target}'s {device}", form


@pytest.mark.parametrize("name", PRODUCTS)
def test_weights_have_the_scales_that_the_table_was_asked_about(name: str) -> None:
    model, sample = product(name)
    graph = Graph(model)
    ranges = ranges_of(graph, lambda: [sample])
    before = onnxruntime.InferenceSession(model.SerializeToString()).run(None, sample)[0]
    found = list(offered(graph))
    assert {form.name for _, form in found} >= {"a8w8", "w8"} and any(form.block for _, form in found) == (name != "Conv")
    for where, form in found:
        copy = Graph(plain_model(graph))
        quantise(copy, {"y": form}, ranges)
        node = next(one for one in copy.nodes if one.operator == name.split()[-1])
        maker = copy.producer(node.inputs[1])
        assert maker is not None and maker.operator == "DequantizeLinear", where
        written, view = scales_of(copy, maker), in_form(graph.view(graph.nodes[-1]), form).inputs
        asked = next(tensor.scales for label, tensor in view.items() if tensor.name == "w")
        assert asked is not None and (written.axis, written.block) == (asked.axis, asked.block), where
        assert written.zero_points == (0,) and (not form.quantised or (written.scale or (1,))[0] > 0), where
        after = onnxruntime.InferenceSession(plain_model(copy).SerializeToString()).run(None, sample)[0]
        error = float(np.sqrt(np.square(after - before).mean() / np.square(before).mean()))
        assert error < (0.25 if BITS[form.weights] == 4 else 0.04), f"{where}: {error}"
