"""Bundles that tests of the page look at: small ones, of one device and of several, with hostile names."""

from __future__ import annotations

from pathlib import Path

import onnx
from memory_boards import board, random_net
from onnx import helper
from small_models import parse

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.precision.request import PrecisionRequest, request_of

BUNDLES = (
    ("memories", "board"), ("forms", "x86_cpu"), ("gelu", "x86_cpu"), ("gelu", "tensor_g2"), ("gelu", "snapdragon_8gen3"),
    ("lightnet", "a16"),
)  # fmt: skip
MODELS = Path(__file__).parent / "models"
GELU = """g (float[1,8,16,16] x, int64[2] i) => (float[1,8,16,16] z, float[2] w) {
  a = Conv<kernel_shape=[1,1]>(x, k) b = Gelu(a) c = Conv<kernel_shape=[1,1]>(b, k) d = Relu(c) z = Add(d, x)
  f = Flatten<axis=0>(d) s = Squeeze(f, zero) w = Gather(s, i) }"""
HOSTILE = (
    "</script><script>window.hurt=1</script>", "<img src=x onerror='window.hurt=1'>", "\"><svg onload=window.hurt=1>",
    "'\"&amp;<!--", "{{ 7*7 }}{% x %}", "\u202eevil\u202c\u2066", "\u05e9\u05dc\u05d5\u05dd", "n" * 10_000, "\u2028\u2029",
    "javascript:window.hurt=1", "</title></style></textarea>", "]]>",
)  # fmt: skip


def gelu() -> onnx.ModelProto:
    import numpy as np

    model = parse(GELU, opset=20)
    kernel = np.random.default_rng(0).standard_normal((8, 8, 1, 1)).astype(np.float32)
    model.graph.initializer.extend([onnx.numpy_helper.from_array(kernel, "k"), onnx.numpy_helper.from_array(np.zeros(1, np.int64), "zero")])
    return model


def hostile() -> onnx.ModelProto:
    """A chain whose inputs, operators and tensors have the names of HOSTILE."""
    ends = [*(f"{name} {k}" for k, name in enumerate(HOSTILE)), f"out {HOSTILE[0]}"]
    nodes = [
        helper.make_node("Gelu" if k % 3 == 0 else "Tanh", [ends[k]], [ends[k + 1]], name=f"node {name}") for k, name in enumerate(HOSTILE)
    ]
    values = [helper.make_tensor_value_info(name, 1, [1, 8, 16, 16]) for name in (ends[0], ends[-1])]
    graph = helper.make_graph(nodes, HOSTILE[0], values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    model.metadata_props.add(key=HOSTILE[0], value=HOSTILE[1])
    return model


def products() -> onnx.ModelProto:
    """MatMuls, for which forms can be chosen, around an operator that stays in fp32."""
    import numpy as np

    model, numbers = (
        parse("g (float[1,64] x) => (float[1,16] y) { a = MatMul(x, v) b = Selu(a) y = MatMul(b, w) }"),
        np.random.default_rng(0),
    )
    for name, shape in (("v", (64, 64)), ("w", (64, 16))):
        model.graph.initializer.append(onnx.numpy_helper.from_array(numbers.standard_normal(shape).astype(np.float32) * 0.1, name))
    for node in model.graph.node:
        node.name = f"{node.op_type.lower()}_{node.output[0]}"
    return model


def _request(folder: Path) -> PrecisionRequest | None:
    import numpy as np

    np.savez(folder / "samples.npz", x=np.random.default_rng(1).standard_normal((16, 64)).astype(np.float32))
    return request_of(None, str(folder / "samples.npz"), None, None, None)


def made(model: str, target: str, folder: Path) -> Path:
    """A bundle in `folder`, not verified but for lightnet's; "memories" is for a board with two."""
    place = folder / f"{model}.{target}"
    if model == "lightnet":
        compile_model(MODELS / "lightnet.onnx", target, output=place, shapes={"batch": 1}, emulate=True)
    elif model == "forms":
        compile_model(products(), target, output=place, precision=_request(folder))
    elif model == "memories":
        compile_model(random_net(1), board(16), output=place, verify=False)
    else:
        compile_model({"gelu": gelu, "hostile": hostile}[model](), target, output=place, verify=False)
    return place
