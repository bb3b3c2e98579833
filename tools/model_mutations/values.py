"""Mutations of initializers, inputs, outputs and what is declared of tensors."""

from __future__ import annotations

import random
from collections.abc import Callable

from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from .places import NotHere, a_graph, a_name, a_node, a_tensor, an_end

SIZES = (0, 1, -1, 3, 2**16, 2**31, 2**62)
LOCATIONS = ("missing.bin", "self.bin", "../escape.bin", "/dev/zero", "/dev/stdin", "", ".", "a\x00b", "weights.bin")
"""self.bin is a symbolic link to itself beside the model; weights.bin 64 bytes of a file."""


def drop(model: ModelProto, dice: random.Random) -> None:
    held = a_graph(model, dice).initializer
    if not held:
        raise NotHere
    del held[dice.randrange(len(held))]


def repeat(model: ModelProto, dice: random.Random) -> None:
    graph = a_graph(model, dice)
    graph.initializer.append(a_tensor(model, dice))


def change_dims(model: ModelProto, dice: random.Random) -> None:
    tensor = a_tensor(model, dice)
    dims = list(tensor.dims)
    match dice.randrange(4):
        case 0 if dims:
            dims[dice.randrange(len(dims))] = dice.choice(SIZES)
        case 1 if dims:
            dims.pop()
        case 2:
            dims.insert(0, dice.choice(SIZES))
        case _:
            dims = list(reversed(dims))
    tensor.dims[:] = dims


def change_dtype(model: ModelProto, dice: random.Random) -> None:
    a_tensor(model, dice).data_type = dice.choice((*range(27), 999))


def change_bytes(model: ModelProto, dice: random.Random) -> None:
    """Too few, too many, or none."""
    tensor = a_tensor(model, dice)
    raw = tensor.raw_data
    tensor.raw_data = dice.choice((raw[:-1], raw[: len(raw) // 2], raw + b"\x00", raw * 3, b""))


def typed_data(model: ModelProto, dice: random.Random) -> None:
    """Values in a typed field: of the right number or not, of the right type or not, beside raw_data or alone."""
    tensor = a_tensor(model, dice)
    if dice.random() < 0.7:
        tensor.ClearField("raw_data")
    many = dice.choice((0, 1, 5, 5000))
    field = dice.choice(("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data"))
    values = [b"\xff"] * many if field == "string_data" else [dice.choice((0, 1, 3))] * many
    getattr(tensor, field).extend(values)


def special_numbers(model: ModelProto, dice: random.Random) -> None:
    tensor = a_tensor(model, dice)
    if tensor.data_type != TensorProto.FLOAT or not tensor.raw_data:
        raise NotHere
    fill = dice.choice((b"\x00\x00\xc0\x7f", b"\x00\x00\x80\x7f", b"\xff\xff\x7f\x7f", b"\x01\x00\x00\x00", b"\x00\x00\x00\x80"))
    tensor.raw_data = fill * (len(tensor.raw_data) // 4)


def external(model: ModelProto, dice: random.Random) -> None:
    tensor = a_tensor(model, dice)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entries = {"location": dice.choice(LOCATIONS), "offset": dice.choice(("0", "-1", "60", str(2**62), "x"))}
    entries["length"] = dice.choice(("64", "-5", str(2**60), "", "0"))
    for key in dice.sample(sorted(entries), dice.randrange(1, 4)):
        tensor.external_data.add(key=key, value=entries[key])


def rename(model: ModelProto, dice: random.Random) -> None:
    tensor = a_tensor(model, dice)
    tensor.name = dice.choice(("", a_name(model, dice), "\x00", "w" * 100_000))


def also_an_input(model: ModelProto, dice: random.Random) -> None:
    """An initializer that a caller may override."""
    tensor = a_tensor(model, dice)
    model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))


def sparse(model: ModelProto, dice: random.Random) -> None:
    graph = a_graph(model, dice)
    made = graph.sparse_initializer.add()
    made.values.CopyFrom(a_tensor(model, dice))
    made.indices.CopyFrom(helper.make_tensor("", TensorProto.INT64, [2], [0, dice.choice(SIZES)]))
    made.dims[:] = [dice.choice(SIZES)]


def change_end_dtype(model: ModelProto, dice: random.Random) -> None:
    end = an_end(model, dice)
    end.type.tensor_type.elem_type = dice.choice((*range(27), 999))


def change_end_shape(model: ModelProto, dice: random.Random) -> None:
    end = an_end(model, dice)
    dims = end.type.tensor_type.shape.dim
    match dice.randrange(5):
        case 0 if dims:
            dice.choice(dims).dim_value = dice.choice(SIZES)
        case 1 if dims:
            dice.choice(dims).dim_param = dice.choice(("batch", "", "a b", "N*2", "\x00", "d" * 10_000))
        case 2 if dims:
            del dims[-1]
        case 3:
            dims.add().dim_value = dice.choice(SIZES)
        case _:
            end.type.tensor_type.ClearField("shape")


def change_end_type(model: ModelProto, dice: random.Random) -> None:
    end = an_end(model, dice)
    of_tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, [2])
    made = (helper.make_sequence_type_proto(of_tensor), helper.make_optional_type_proto(of_tensor))
    if dice.random() < 0.4:
        end.ClearField("type")
    else:
        end.type.CopyFrom(dice.choice(made))


def rename_end(model: ModelProto, dice: random.Random) -> None:
    an_end(model, dice).name = dice.choice(("", a_name(model, dice), "nowhere", "\x00", "\x1b[2J", "e" * 100_000, "../x", "a/b"))


def drop_end(model: ModelProto, dice: random.Random) -> None:
    graph = a_graph(model, dice)
    ends = graph.input if dice.random() < 0.5 else graph.output
    if not ends:
        raise NotHere
    del ends[dice.randrange(len(ends)) :]


def repeat_end(model: ModelProto, dice: random.Random) -> None:
    graph = a_graph(model, dice)
    end = an_end(model, dice)
    (graph.input if dice.random() < 0.5 else graph.output).append(end)


def show_inside(model: ModelProto, dice: random.Random) -> None:
    """One more output: something from inside, or from a body."""
    made = ValueInfoProto(name=a_name(model, dice))
    if dice.random() < 0.5:
        made.type.tensor_type.elem_type = TensorProto.FLOAT
    model.graph.output.append(made)


def declare(model: ModelProto, dice: random.Random) -> None:
    """A value_info that contradicts what is computed."""
    graph, node = a_node(model, dice)
    if not node.output:
        raise NotHere
    shape = [dice.choice(SIZES) for _ in range(dice.randrange(5))]
    graph.value_info.append(helper.make_tensor_value_info(node.output[0], dice.choice((1, 7, 9, 10, 16)), shape))


MUTATIONS: tuple[Callable[[ModelProto, random.Random], None], ...] = (
    drop, repeat, change_dims, change_dtype, change_bytes, typed_data, special_numbers, external, rename, also_an_input, sparse,
    change_end_dtype, change_end_shape, change_end_type, rename_end, drop_end, repeat_end, show_inside, declare,
)  # fmt: skip
