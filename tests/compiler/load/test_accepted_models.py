"""Models with a meaning that onnx.checker, or a naive reading, refuses: loaded, and computed as onnxruntime computes the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from run_model import feeds, run
from small_models import parse, save

from autoglmc.compiler import cli
from autoglmc.compiler.errors import ModelError
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.verify.check_model import check_model

ELSE = "else_branch = e () => (float[2] r) { r = Neg(x) }"
CLASHES = {
    "a later node": f"y1 = If(c) <then_branch = t () => (float[2] q) {{ h = Add(x, w) q = Relu(h) }}, {ELSE}>"
    " h = Mul(y1, x) y = Add(y1, h)",
    "two bodies and a later node": "y1 = If(c) <then_branch = t () => (float[2] q) { h = Add(x, w) q = Relu(h) },"
    " else_branch = e () => (float[2] r) { h = Exp(x) r = Neg(h) }> h = Mul(y1, x) y = Add(y1, h)",
    "a body in a body": "y1 = If(c) <then_branch = t () => (float[2] q) { q = If(c) <then_branch = u () => (float[2] z)"
    f" {{ h = Abs(x) z = Add(h, w) }}, {ELSE}> }}, {ELSE}> h = Mul(y1, x) y = Add(y1, h)",
    "a weight of the body": f"y1 = If(c) <then_branch = t () => (float[2] q) <float[2] h = {{3, 4}}> {{ q = Mul(h, x) }}, {ELSE}>"
    " h = Mul(y1, x) y = Add(y1, h)",
    "the body's result": f"y1 = If(c) <then_branch = t () => (float[2] h) {{ h = Add(x, w) }}, {ELSE}> h = Mul(y1, x) y = Add(y1, h)",
    "an input of a loop's body": "y1 = Loop(n, yes, x) <body = b (int64 i, bool go, float[2] h) => (bool on, float[2] q)"
    " { on = Identity(go) q = Add(h, w) }> h = Mul(y1, x) y = Add(y1, h)",
    "out of order": "h = Mul(y1, x) y = Add(y1, h) "
    f"y1 = If(c) <then_branch = t () => (float[2] q) {{ h = Add(x, w) q = Relu(h) }}, {ELSE}>",
}


@pytest.mark.parametrize("clash", CLASHES)
def test_a_name_inside_a_body_is_the_bodys_own(clash: str, tmp_path: Path) -> None:
    head = "g (float[2] x) => (float[2] y) <float[2] w = {1, 2}, float zero = {0}, int64 n = {3}, bool yes = {1}>"
    model = parse(f"{head} {{ s = ReduceSum<keepdims = 0>(x) c = Greater(s, zero) {CLASHES[clash]} }}", opset=17)
    loaded = load_model(save(model, tmp_path))
    for sign in (1, -1):
        fed = {"x": np.array([sign, 2 * sign], np.float32)}
        ordered = parse(f"{head} {{ s = ReduceSum<keepdims = 0>(x) c = Greater(s, zero) {_in_order(CLASHES[clash])} }}", opset=17)
        np.testing.assert_allclose(run(loaded.proto, fed)[0], run(ordered, fed)[0], rtol=1e-6)


def _in_order(text: str) -> str:
    """The same nodes, the later ones under names of their own."""
    if text.startswith("h = "):
        first, last = "h = Mul(y1, x) y = Add(y1, h)", text.removeprefix("h = Mul(y1, x) y = Add(y1, h) ")
        text = f"{last} {first}"
    return text.replace("h = Mul(y1, x) y = Add(y1, h)", "other = Mul(y1, x) y = Add(y1, other)")


def test_a_true_cycle_through_a_body_is_still_one(tmp_path: Path) -> None:
    text = f"y1 = If(c) <then_branch = t () => (float[2] q) {{ q = Relu(h) }}, {ELSE}> h = Mul(y1, x) y = Add(y1, h)"
    with pytest.raises(ModelError, match="cycle"):
        load_model(save(parse(f"g (float[2] x, bool c) => (float[2] y) {{ {text} }}", opset=17), tmp_path))


NODES = (
    "y = Relu(x)",
    "y = Transpose(x)",
    "a = Shape(x) y = Expand(x, a)",
    "y, i = TopK(x, k)",
    "y = Reshape(x, k)",
    "y = NonZero(x)",
    "y = ArgMax(x)",
)


@pytest.mark.parametrize("lost", ["shape", "type", "all"])
@pytest.mark.parametrize("nodes", NODES)
def test_an_output_without_shape_or_type_is_inferred(nodes: str, lost: str, tmp_path: Path) -> None:
    model = parse(f"g (float[2,3] x) => (float[2,3] y) <int64[1] k = {{{6 if 'Reshape' in nodes else 2}}}> {{ {nodes} }}", opset=17)
    kind = model.graph.output[0].type
    if "NonZero" in nodes or "ArgMax" in nodes:
        kind.tensor_type.elem_type = TensorProto.INT64
    if lost == "all":
        model.graph.output[0].ClearField("type")
    elif lost == "type":
        kind.tensor_type.elem_type = 0
    else:
        kind.tensor_type.ClearField("shape")
    path = save(model, tmp_path)
    loaded = load_model(path)
    assert loaded.proto.graph.output[0].type.tensor_type.elem_type
    assert all(result.status != "fail" for result in check_model(path) if result.name == "structure")
    if lost == "shape":
        fed = feeds(model, 1)
        np.testing.assert_array_equal(run(loaded.proto, fed)[0], run(model, fed)[0])


def test_an_output_whose_type_nobody_knows_is_named(tmp_path: Path) -> None:
    model = parse("g (float[2,3] x) => (float[2,3] y) { y = my.own(x) }", my=1)
    model.graph.output[0].ClearField("type")
    with pytest.raises(ModelError, match="output 'y' has no type"):
        load_model(save(model, tmp_path))


@pytest.mark.parametrize("opset", [18, 19, 20])
@pytest.mark.parametrize("shape", [[2, 4, 3, 3], [1, 4, 5], [2, 4, 2, 2, 2], [3, 4]])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_group_normalization_before_opset_21_has_a_scale_per_group(opset: int, shape: list[int], groups: int, tmp_path: Path) -> None:
    size, numbers = ",".join(map(str, shape)), ",".join(str(k + 1) for k in range(groups))
    head = f"g (float[{size}] x) => (float[{size}] y) <float[{groups}] s = {{{numbers}}}, float[{groups}] b = {{{numbers}}}>"
    model = parse(f"{head} {{ y = GroupNormalization<num_groups = {groups}, epsilon = 0.01>(x, s, b) }}", opset=opset)
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    grouped = x.astype(np.float64).reshape(shape[0], groups, -1)
    normal = (grouped - grouped.mean(2, keepdims=True)) / np.sqrt(grouped.var(2, keepdims=True) + 0.01)
    scale = np.arange(1, groups + 1)[:, None]
    path = save(model, tmp_path)
    np.testing.assert_allclose(run(load_model(path).proto, {"x": x})[0], (normal * scale + scale).reshape(shape), rtol=1e-4, atol=1e-4)
    assert all(result.status != "fail" for result in check_model(path) if result.name == "structure")


def test_group_normalization_in_bodies_and_functions_too(tmp_path: Path) -> None:
    norm = "GroupNormalization<num_groups = 2>(x, s, b)"
    body = f"y = If(c) <then_branch = t () => (float[1,4,3] p) {{ p = {norm} }}, else_branch = e () => (float[1,4,3] q) {{ q = Neg(x) }}>"
    head = "<float[2] s = {1, 2}, float[2] b = {3, 4}>"
    inside = parse(f"g (float[1,4,3] x, bool c) => (float[1,4,3] y) {head} {{ {body} }}")
    called = onnx.parser.parse_model(f"""
        <ir_version: 8, opset_import: ["": 18, "own": 1]>
        g (float[1,4,3] x) => (float[1,4,3] y) {head} {{ y = own.norm(x, s, b) }}
        <domain: "own", opset_import: ["": 18]> norm (x, s, b) => (y) {{ y = {norm} }}
    """)
    plain = parse(f"g (float[1,4,3] x) => (float[1,4,3] y) {head} {{ y = {norm} }}")
    fed = feeds(plain, 1)
    wanted = run(load_model(save(plain, tmp_path, "plain.onnx")).proto, fed)[0]
    np.testing.assert_array_equal(run(load_model(save(called, tmp_path, "called.onnx")).proto, fed)[0], wanted)
    loaded = load_model(save(inside, tmp_path, "inside.onnx"))
    np.testing.assert_array_equal(run(loaded.proto, {**fed, "c": np.array(True)})[0], wanted)


def test_a_shape_among_the_inputs_is_that_of_the_given_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = parse(
        "g (float[4] x, int64[1,1] s) => (float[4] y) <int64[1] one = {1}> { m = Reshape(s, one) y = Reshape(x, m) }", opset=21, ir=10
    )
    np.savez(tmp_path / "in.npz", x=np.arange(4, dtype=np.float32), s=np.array([[4]]))
    arguments = [
        str(save(model, tmp_path)),
        "--target",
        "a16",
        "--emulate",
        "--inputs",
        str(tmp_path / "in.npz"),
        "-o",
        str(tmp_path / "out"),
    ]
    assert cli.run(arguments) == 0, capsys.readouterr().err
