"""Mutations of the model as a whole: versions, functions, metadata, and the bytes of the file."""

from __future__ import annotations

import random
from collections.abc import Callable

from onnx import AttributeProto, ModelProto, NodeProto, helper

from .places import NotHere, a_name, a_node

VERSIONS = (0, 1, 6, 7, 8, 11, 12, 13, 17, 18, 21, 23, 26, 99, -1, 2**31)


def ir_version(model: ModelProto, dice: random.Random) -> None:
    model.ir_version = dice.choice(VERSIONS)


def opset(model: ModelProto, dice: random.Random) -> None:
    match dice.randrange(4):
        case 0:
            del model.opset_import[:]
        case 1:
            model.opset_import.append(helper.make_opsetid(dice.choice(("", "com.microsoft", "ai.onnx.ml", "x")), dice.choice(VERSIONS)))
        case _ if model.opset_import:
            model.opset_import[0].version = dice.choice(VERSIONS)
        case _:
            raise NotHere


def no_graph(model: ModelProto, dice: random.Random) -> None:
    model.ClearField("graph")


def function(model: ModelProto, dice: random.Random) -> None:
    """Calls of functions: one that is defined, that calls itself, that doubles its calls, or that hides an operator."""
    _, node = a_node(model, dice)
    name, domain = dice.choice(("F", node.op_type)), dice.choice(("", "own", node.domain))
    inner = NodeProto()
    inner.CopyFrom(node)
    called = helper.make_node(name, list(node.input), list(node.output), domain=domain)
    bodies = [[inner], [called], [helper.make_node("Identity", [node.input[0] if node.input else "x"], ["t"])], []]
    made = helper.make_function(domain or "", name, list(node.input), list(node.output), dice.choice(bodies), list(model.opset_import))
    model.functions.append(made)
    if dice.random() < 0.3:
        model.functions.append(made)
    node.CopyFrom(called)
    if domain == "own":
        model.opset_import.append(helper.make_opsetid("own", 1))


def function_attribute(model: ModelProto, dice: random.Random) -> None:
    """A function whose attribute the call does not give."""
    _, node = a_node(model, dice)
    inner = helper.make_node("LeakyRelu", ["x"], ["y"])
    inner.attribute.append(AttributeProto(name="alpha", ref_attr_name="alpha", type=AttributeProto.FLOAT))
    model.functions.append(helper.make_function("own", "Leaky", ["x"], ["y"], [inner], list(model.opset_import), ["alpha"]))
    model.opset_import.append(helper.make_opsetid("own", 1))
    node.CopyFrom(helper.make_node("Leaky", list(node.input)[:1], list(node.output)[:1], domain="own"))


def metadata(model: ModelProto, dice: random.Random) -> None:
    for _ in range(dice.choice((1, 2, 1000))):
        model.metadata_props.add(
            key=dice.choice(("", "labels", "\x00", "autoglmc.kernel")), value=dice.choice(("", "x" * 100_000, "\x1b[2J"))
        )


def documentation(model: ModelProto, dice: random.Random) -> None:
    model.doc_string = model.graph.doc_string = dice.choice(("\x00", "d" * 1_000_000, "\x1b[2J"))


def quantisation_notes(model: ModelProto, dice: random.Random) -> None:
    note = model.graph.quantization_annotation.add(tensor_name=a_name(model, dice))
    note.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value=dice.choice(("nowhere", a_name(model, dice))))


MUTATIONS: tuple[Callable[[ModelProto, random.Random], None], ...] = (
    ir_version, opset, opset, no_graph, function, function, function_attribute, metadata, documentation, quantisation_notes,
)  # fmt: skip


def cut_off(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(len(data))]


def flip(data: bytes, dice: random.Random) -> bytes:
    held = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 8))):
        held[dice.randrange(len(held))] = dice.randrange(256)
    return bytes(held)


def no_utf8(data: bytes, dice: random.Random) -> bytes:
    """One byte of a readable run becomes one that no UTF-8 text has."""
    readable = [at for at in range(1, len(data)) if 97 <= data[at] <= 122 and 97 <= data[at - 1] <= 122]
    if not readable:
        raise NotHere
    at = dice.choice(readable)
    return data[:at] + b"\xff" + data[at + 1 :]


def splice(data: bytes, dice: random.Random) -> bytes:
    """A piece of the file once more, elsewhere."""
    start, at = dice.randrange(len(data)), dice.randrange(len(data))
    return data[:at] + data[start : start + dice.choice((1, 16, 400))] + data[at:]


BYTES: tuple[Callable[[bytes, random.Random], bytes], ...] = (cut_off, flip, flip, no_utf8, no_utf8, splice)
