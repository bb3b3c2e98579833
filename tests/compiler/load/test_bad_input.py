"""Hostile and odd models through the command line: one message and the right exit code, or a correct result; nothing half-written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from counted import at_most
from models import model_path
from onnx import TensorProto, helper, numpy_helper
from small_models import RELU, parse, save

from autoglmc.compiler import cli

Screen = pytest.CaptureFixture[str]
CALLS = 60_000_000
"""What any of these may take."""


def weight(name: str, *shape: int, dtype: str = "float32") -> onnx.TensorProto:
    return numpy_helper.from_array(np.random.default_rng(1).standard_normal(shape).astype(dtype), name)


def with_weights(text: str, *tensors: onnx.TensorProto, **versions: int) -> onnx.ModelProto:
    model = parse(text, **versions)
    model.graph.initializer.extend(tensors)
    return model


def external(location: str, offset: int | None = 0, length: int | None = 64) -> onnx.ModelProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 4], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        if value is not None:
            tensor.external_data.add(key=key, value=str(value))
    return with_weights("g (float[1,4] x) => (float[1,4] y) { y = MatMul(x, w) }", tensor)


def sparse() -> onnx.ModelProto:
    model = parse("g (float[1,4] x) => (float[1,4] y) { y = MatMul(x, w) }")
    values = numpy_helper.from_array(np.ones(2, np.float32), "w")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, numpy_helper.from_array(np.array([1, 5])), [4, 4]))
    return model


def nameless(operator: str, result: str) -> onnx.ModelProto:
    model = parse(f"g (float[4] x) => (float[4] {result}) {{ {result} = Relu (x) }}")
    model.graph.node[0].op_type = operator
    return model


def short_constant() -> onnx.ModelProto:
    """A Constant's value has no name of its own: the message has the node's."""
    model = parse("g (float[4] x) => (float[4] y) { c = Constant <value = float[1] {1}> () y = Add (x, c) }")
    value = model.graph.node[0].attribute[0].t
    value.Clear()
    value.data_type, value.dims[:], value.raw_data = 1, [1], bytes(3)
    return model


def function(body: str, domain: str = "own", name: str = "F", twice: bool = False) -> onnx.ModelProto:
    """A model that calls one local function."""
    head = '<ir_version: 8, opset_import: ["": 17, "own": 1]>'
    call = f"{domain}.{name}" if domain else name
    made = f'<domain: "own", opset_import: ["": 17]> {name} (a) => (r) {{ {body} }}'
    model = onnx.parser.parse_model(f"{head} g (float[4] x) => (float[4] y) {{ y = {call} (x) }} {made}")
    model.functions[0].domain = domain
    model.functions.extend([model.functions[0]] * twice)
    return model


def doubling(count: int, innermost: str = "") -> onnx.ModelProto:
    """Functions F0, F1 ... of which each calls the one before twice; F0 is Relu, or calls `innermost`."""
    model = parse(f"g (float[1,4] x) => (float[1,4] y) {{ y = my.F{count - 1}(x) }}", my=1)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("my", 1)]
    first = helper.make_node(innermost or "Relu", ["a"], ["b"], domain="my" if innermost else "")
    model.functions.append(helper.make_function("my", "F0", ["a"], ["b"], [first], opsets))
    for i in range(1, count):
        nodes = [helper.make_node(f"F{i - 1}", [a], [b], domain="my") for a, b in ("at", "tb")]
        model.functions.append(helper.make_function("my", f"F{i}", ["a"], ["b"], nodes, opsets))
    return model


def compile_model(path: Path, screen: Screen, *options: str, target: str = "a16") -> tuple[int, str, str]:
    """Exit code, stdout, stderr; nothing is left behind but the bundle, and that only if there is one."""
    out = path.parent / "out"
    out.mkdir(exist_ok=True)
    with at_most(CALLS):
        code = cli.run([str(path), "--target", target, "--emulate", "-o", str(out / "b"), *options])
    shown = screen.readouterr()
    assert "Traceback" not in shown.err and code in (0, 1, 2), shown.err
    assert [entry.name for entry in out.iterdir()] == (["b"] if code == 0 else [])
    return code, shown.out, shown.err


def one_message(shown: str) -> str:
    """The error without the progress before it; asserts that there is one only, of few lines."""
    message = shown[shown.index("error: ") :] if "error: " in shown else shown
    assert message.count("error: ") == 1 and len(message.splitlines()) <= 4 and len(message) < 1500, message
    return message


REFUSED: dict[str, tuple[Callable[[], onnx.ModelProto | bytes], str]] = {
    "text": (lambda: b"hello, this is no model\n" * 9, "not an ONNX file"),
    "png": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(100), "not an ONNX file"),
    "empty": (lambda: b"", "the file is empty"),
    "random": (lambda: np.random.default_rng(0).bytes(5000), "not an ONNX file"),
    "zip": (lambda: b"PK\x03\x04" + bytes(50), "zip archive"),
    "opset too new": (lambda: parse(RELU, opset=99), "opset 99 is newer than the installed onnx"),
    "IR too new": (lambda: parse(RELU, ir=99), "IR version 99 is newer"),
    "data missing": (lambda: external("nope.bin"), "'nope.bin' of weight 'w' is missing"),
    "data absolute": (lambda: external("/etc/passwd"), "outside the model's folder: '/etc/passwd'"),
    "data above": (lambda: external("../secret.bin"), "outside the model's folder: '../secret.bin'"),
    "data linked away": (lambda: external("link.bin"), "'link.bin' is a link to"),
    "data too short": (lambda: external("short.bin"), "'short.bin', which has only 10"),
    "cycle": (lambda: parse("g (float[1,4] x) => (float[1,4] b) { a = Add(x, b) b = Relu(a) }"), "the graph has a cycle: Add (writes 'a')"),
    "custom operator": (
        lambda: parse("g (float[1,4] x) => (float[1,4] y) { y = my.domain.Foo(x) }", **{"my.domain": 1}),
        "no device of the target runs my.domain::Foo",
    ),
    "unknown operator": (lambda: parse("g (float[1,4] x) => (float[1,4] y) { y = Foo(x) }"), "No Op registered for Foo"),
    "absurd dim": (lambda: parse(f"g (float[{2**40}] x) => (float[{2**40}] y) {{ y = Relu(x) }}"), "budget dram: predicted 4 TiB"),
    "expansion of terabytes": (
        lambda: with_weights(
            "g (float[1] x) => (float y) { c = Expand(x, s) y = ReduceSum<keepdims=0>(c) }",
            numpy_helper.from_array(np.array([2**20, 2**20]), "s"),
        ),
        "budget dram: predicted 4.001 TiB",
    ),
    "constant of terabytes": (
        lambda: with_weights(
            "g (float[1,4] x) => (float[1,4] y) { c = ConstantOfShape(s) r = ReduceSum<keepdims=0>(c) y = Add(x, r) }",
            numpy_helper.from_array(np.array([2**20, 2**20]), "s"),
        ),
        "budget dram: predicted 4.001 TiB",
    ),
    "impossible dim": (lambda: parse(f"g (float[{2**62}] x) => (float[{2**62}] y) {{ y = Relu(x) }}"), "impossible shape"),
    "tensor written twice": (lambda: parse("g (float[4] x) => (float[4] y) { y = Relu(x) y = Neg(x) }"), "'y' is written twice"),
    "weight of no known type": (
        lambda: with_weights(
            "g (float[1,4] x) => (float[1,4] y) { y = MatMul(x, w) }", TensorProto(name="w", data_type=77, dims=[1], raw_data=bytes(4))
        ),
        "weight 'w' has data type 77",
    ),
    "sparse weight": (lambda: sparse(), "weight 'w' is stored as a sparse tensor"),
    "functions that double": (lambda: doubling(40), "549,755,813,888 nodes"),
    "function twice": (lambda: function("r = Relu (a)", twice=True), "two local functions are named own::F"),
    "function without its output": (lambda: function("other = Relu (a)"), "the local function own::F: nothing produces its output 'r'"),
    "function that reads nothing": (lambda: function("r = Relu (b)"), "own::F: Relu (writes 'r') reads tensor 'b', which nothing produces"),
    "empty function under a standard name": (
        lambda: function("", "", "Relu"),
        "the local function 'Relu': nothing produces its output 'r'",
    ),
    "function that calls itself": (lambda: doubling(1, "F0"), "the local function my::F0 calls itself"),
    "types that do not fit": (
        lambda: parse("g (int64[4] x) => (int64[4] y) { y = Relu(x) }", opset=13),
        "onnxruntime cannot run the model",
    ),
    "shapes that do not fit": (
        lambda: parse("g (float[4] x, float[5] z) => (float[4] y) { y = Add(x, z) }"),
        "Op (Add) [ShapeInferenceError] Incompatible dimensions",
    ),
    "node without an operator": (lambda: nameless("", "y"), "the node that writes 'y' names no operator"),
    "value of a Constant without a name": (lambda: short_constant(), "a weight without a name has 3 bytes, its shape [1] needs 4"),
    "nothing to do": (lambda: parse("g (float[4] x) => (float[4] x) { }"), "the graph 'g' has no operators"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_cannot_be_compiled_is_one_message(name: str, tmp_path: Path, capsys: Screen) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(64))
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "short.bin").write_bytes(bytes(10))
    make, words = REFUSED[name]
    code, out, shown = compile_model(save(make(), folder), capsys)
    assert code == 1 and out == "" and words in one_message(shown)


@pytest.mark.parametrize("length", [1, 10, 100, 1000, 0.5, -1])
def test_a_truncated_file_says_so(length: float, tmp_path: Path, capsys: Screen) -> None:
    data = model_path("bert_tiny").read_bytes()
    cut = int(len(data) * length) if isinstance(length, float) else length
    code, _, shown = compile_model(save(data[:cut], tmp_path), capsys)
    assert code == 1 and "the file is truncated after" in one_message(shown)


ODD: dict[str, Callable[[], onnx.ModelProto]] = {
    "output is an input": lambda: parse("g (float[1,4] x) => (float[1,4] y, float[1,4] x) { y = Relu(x) }"),
    "output is a weight": lambda: with_weights("g (float[1,4] x) => (float[1,4] y, float[1,4] w) { y = Add(x, w) }", weight("w", 1, 4)),
    "no input": lambda: with_weights("g () => (float[1,4] y) { y = Relu(w) }", weight("w", 1, 4)),
    "output depends on no input": lambda: with_weights("g (float[1,4] x) => (float[1,4] y) { y = Relu(w) }", weight("w", 1, 4)),
    "body reads a weight that is an output": lambda: with_weights(
        """g (float[1,4] x, bool c) => (float[1,4] y, float[1,4] w) {
            y = If (c) <then_branch = t () => (float[1,4] a) { a = Add(x, w) }, else_branch = e () => (float[1,4] b) { b = Sub(x, w) }>
        }""",
        weight("w", 1, 4),
    ),
    "one name for two nodes": lambda: parse("g (float[1,4] x) => (float[1,4] y) { [n] a = Relu(x) [n] y = Neg(a) }"),
    "scalar": lambda: parse("g (float x) => (float y) { y = Relu(x) }"),
    "scalar condition": lambda: parse("g (bool x) => (bool y) { y = Not(x) }"),
    "integers": lambda: parse("g (int64[4] x) => (int64[4] y) { y = Neg(x) }"),
    "float16": lambda: with_weights("g (float16[1,4] x) => (float16[1,4] y) { y = MatMul(x, w) }", weight("w", 4, 4, dtype="float16")),
    "double": lambda: with_weights("g (double[1,4] x) => (double[1,4] y) { y = MatMul(x, w) }", weight("w", 4, 4, dtype="float64")),
    "strings": lambda: parse("g (string[4] x) => (string[4] y) { y = Identity(x) }"),
    "unused input": lambda: parse("g (float[1,4] x, float[3] u) => (float[1,4] y) { y = Relu(x) }"),
    "one tensor, two outputs": lambda: parse("g (float[1,4] x) => (float[1,4] y, float[1,4] z) { y = Relu(x) z = Identity(y) }"),
    "weight that is an input too": lambda: with_weights(
        "g (float[1,4] x, float[4,4] w) => (float[1,4] y) { y = MatMul(x, w) }", weight("w", 4, 4)
    ),
    "functions": lambda: doubling(3),
    "sequence as input": lambda: parse("g (seq(float[1,4]) s, int64 i) => (float[1,4] y) { y = SequenceAt(s, i) }"),
    "sequences": lambda: parse("g (float[1,4] x) => (float[2,4] y) { s = SequenceConstruct(x, x) y = ConcatFromSequence<axis=0>(s) }"),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("target", ["a16", "x86_cpu"])
def test_an_odd_model_is_compiled_and_verified(name: str, target: str, tmp_path: Path, capsys: Screen) -> None:
    code, out, shown = compile_model(save(ODD[name](), tmp_path), capsys, target=target)
    assert code == 0, shown
    assert re.search(r"^verify +verified", out, re.M), out


@pytest.mark.parametrize("name", ["a b/c", "../../etc/x", "ünïcödé 名前", "[bold]red[/]", "q'u\"o\ntes\t", "x" * 2000])
def test_names_are_only_names(name: str, tmp_path: Path, capsys: Screen) -> None:
    model = with_weights("g (float[1,4] x) => (float[1,4] y) { [r] t = Relu(x) [m] y = MatMul(t, w) }", weight("w", 4, 4))
    graph = model.graph
    graph.input[0].name = graph.node[0].input[0] = name
    graph.output[0].name = graph.node[1].output[0] = f"{name}_y"
    graph.node[0].name = graph.node[1].name = graph.initializer[0].name = graph.node[1].input[1] = f"{name}_w"
    code, out, shown = compile_model(save(model, tmp_path), capsys)
    assert code == 0 and re.search(r"^verify +verified", out, re.M), shown


@pytest.mark.parametrize(
    ("inputs", "help"),
    [
        ("float[batch,4] x, float[batch,seq] z", "--shape batch=N,seq=N"),
        ("float[?,4] x", "--shape x=Nx4"),
        ("float[N] x, float[?,3] z", "--shape N=N --shape z=Nx3"),
    ],
)
def test_open_dims_are_named_with_the_flag_that_binds_them(inputs: str, help: str, tmp_path: Path, capsys: Screen) -> None:
    names = re.findall(r"\] (\w)", inputs)
    outputs = re.sub(r"\] (\w)", r"] \1_y", inputs)
    model = parse(f"g ({inputs}) => ({outputs}) {{ {' '.join(f'{name}_y = Relu({name})' for name in names)} }}")
    code, _, shown = compile_model(save(model, tmp_path), capsys)
    assert code == 2 and "npu, gpu need static shapes" in shown and f"help: bind them: {help}\n" in shown


def test_an_input_without_a_shape_asks_for_one(tmp_path: Path, capsys: Screen) -> None:
    model = parse(RELU)
    model.graph.input[0].type.tensor_type.ClearField("shape")
    code, _, shown = compile_model(save(model, tmp_path), capsys)
    assert code == 2 and "input 'x' has no shape" in one_message(shown)
    assert compile_model(save(model, tmp_path), capsys, "--shape", "x=1x4")[0] == 0


def test_an_output_of_another_shape_than_stated_is_corrected_and_told(tmp_path: Path, capsys: Screen) -> None:
    code, out, _ = compile_model(save(parse("g (float[1,4] x) => (float[7,9] y) { y = Relu(x) }"), tmp_path), capsys)
    assert code == 0 and "output 'y' has the shape [1, 4], not [7, 9] as the model says" in out


def test_what_a_terminal_would_obey_is_escaped(tmp_path: Path, capsys: Screen) -> None:
    """A name that would clear the screen, in the summary and in an error."""
    model = parse(RELU)
    model.graph.input[0].name = model.graph.node[0].input[0] = "\x1b[2Jx"
    model.graph.output[0].name = "\x1b[2J\nnowhere"
    code, out, shown = compile_model(save(model, tmp_path), capsys)
    assert code == 1 and r"'\x1b[2J" in shown and "\x1b" not in shown
    model.graph.output[0].name = model.graph.node[0].output[0]
    code, out, shown = compile_model(save(model, tmp_path), capsys)
    assert code == 0 and "\x1b" not in out + shown


def test_hundreds_of_outputs_fit_on_a_screen(tmp_path: Path, capsys: Screen) -> None:
    names = [f"y{k}" for k in range(120)]
    outputs = ", ".join(f"float[1,4] {name}" for name in names)
    model = parse(f"g (float[120,4] x) => ({outputs}) {{ {', '.join(names)} = Split<axis=0, num_outputs=120>(x) }}")
    code, out, _ = compile_model(save(model, tmp_path), capsys, target="x86_cpu")
    assert code == 0 and "110 more output tensors, none worse" in out and len(out.splitlines()) < 40


def test_sizes_that_the_model_cannot_have_are_not_blamed_on_us(tmp_path: Path, capsys: Screen) -> None:
    """bert_tiny has 512 positions."""
    path = save(model_path("bert_tiny").read_bytes(), tmp_path)
    code, _, shown = compile_model(path, capsys, "--shape", "batch=1,seq=600")
    message = one_message(shown)
    assert code == 1 and "the untouched model does not run with input_ids [1, 600]" in message and "--shape" in message
