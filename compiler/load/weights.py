"""Are all weights there, of the size their shape says, and inside the model's own folder? Loads those that lie in other files."""

from __future__ import annotations

import hashlib
import math
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from ...passes.mapped.mapped_tensor import LARGE, is_mapped, refer
from ..errors import ModelError
from .read_model import peek_model
from .source import Source, folder_of
from .structure import ABSURD, all_graphs, all_tensors, describe_node
from .tensor_data import packed_bits, raw_fault, typed_fault

if TYPE_CHECKING:
    import onnx

MOST_BYTES = 2**31 - 2**20
"""Of one weight: protobuf cannot copy a message of 2 GiB, and a weight is one with its name and shape."""
ADVICE = "copy the model together with its data files, or export it again"


@dataclass(frozen=True, slots=True)
class External:
    """Where a tensor's bytes lie outside the .onnx file."""

    file: Path
    location: str
    offset: int
    length: int


def check_weights(model: onnx.ModelProto, source: Source) -> tuple[External, ...]:
    """Raises ModelError for the first tensor whose data is missing, too short, too long or outside the folder; the external ones."""
    found = []
    _refuse_sparse(model, source)
    stubs = {id(tensor): tensor for tensor in model.graph.initializer if is_mapped(tensor)}
    for tensor in all_tensors(model):
        try:
            size = _declared_bytes(tensor, source)
            if is_mapped(tensor) and id(tensor) not in stubs:
                raise ModelError(f"{_named(tensor.name)} is in a body and has no data there", where=str(source), help=ADVICE)
            if is_external(tensor):
                found.append(_locate(tensor, size, source))
            else:
                _check_inline(tensor, size, source)
        except ModelError as problem:
            if tensor.name:
                raise
            raise ModelError(problem.message, where=f"{problem.where}, {_holder(tensor, model)}", help=problem.help) from None
    return tuple(found)


def load_external(model: onnx.ModelProto, source: Source) -> None:
    """Brings external weights into the model, in place, large ones of the main graph as stubs (passes/mapped); `check_weights` must have
    passed."""
    for tensor in model.graph.initializer:
        if is_external(tensor) and (place := located(tensor, source)).length >= LARGE:
            refer(tensor, place.file, place.offset, place.length)
    for tensor in all_tensors(model):
        if is_external(tensor):
            load_tensor(tensor, source)


def load_tensor(tensor: onnx.TensorProto, source: Source) -> None:
    """Brings the data of an external tensor into it."""
    place = located(tensor, source)
    with place.file.open("rb") as file:
        file.seek(place.offset)
        tensor.raw_data = file.read(place.length)
    del tensor.external_data[:]
    tensor.ClearField("data_location")


def located(tensor: onnx.TensorProto, source: Source) -> External:
    """Where the data of an external tensor is. Raises ModelError where it is missing, of another size, or outside the folder."""
    return _locate(tensor, _declared_bytes(tensor, source), source)


def hash_model(data: Iterable[bytes], external: tuple[External, ...]) -> str:
    """SHA-256 of the model's bytes, given in pieces, followed by those of each external file, in the order of their names."""
    digest = hashlib.sha256()
    for piece in data:
        digest.update(piece)
    for _, file in sorted({place.location: place.file for place in external}.items()):
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def model_sha256(source: Source) -> str:
    """What `LoadedModel.sha256` is for a model. Raises as reading it does."""
    model, data = peek_model(source)
    return hash_model(data, check_weights(model, source))


def model_bytes(source: Source) -> int:
    """Of the model's files, those of external weights included; of a model in memory, those that its file would have. Raises as reading it
    does."""
    if not isinstance(source, Path):
        return sum(map(len, source.serialised()))
    files = {place.file.resolve() for place in check_weights(peek_model(source)[0], source)}
    return source.stat().st_size + sum(file.stat().st_size for file in files)


def size_with_data(model: onnx.ModelProto) -> int:
    """Bytes of the model and of what its initializers have in other files."""
    outside = (t for t in model.graph.initializer if is_external(t) or is_mapped(t))
    return int(model.ByteSize() + sum(math.prod(t.dims) * packed_bits(t) // 8 for t in outside))


def is_external(tensor: onnx.TensorProto) -> bool:
    """Whether the model says that its data is in another file."""
    return bool(tensor.data_location == 1) and not is_mapped(tensor)  # TensorProto.EXTERNAL


def _named(name: str) -> str:
    return f"weight '{name}'" if name else "a weight without a name"


def _holder(tensor: onnx.TensorProto, model: onnx.ModelProto) -> str:
    """Where a tensor without a name is: the node that has it as an attribute, or the graph."""
    nodes = [node for graph in all_graphs(model.graph) for node in graph.node]
    for node in (*nodes, *(node for function in model.functions for node in function.node)):
        for attribute in node.attribute:
            if any(held is tensor for held in (attribute.t, *attribute.tensors)):
                return f"attribute '{attribute.name}' of {describe_node(node)}"
    return "an initializer of the graph"


def _refuse_sparse(model: onnx.ModelProto, source: Source) -> None:
    for graph in all_graphs(model.graph):
        for tensor in graph.sparse_initializer:
            message = f"{_named(tensor.values.name)} is stored as a sparse tensor (sparse_initializer), which autoglmc does not read"
            raise ModelError(message, where=str(source), help="export the model with dense weights")


def _declared_bytes(tensor: onnx.TensorProto, source: Source) -> int:
    from onnx import TensorProto

    if tensor.data_type not in TensorProto.DataType.values() or tensor.data_type == TensorProto.UNDEFINED:
        message = f"{_named(tensor.name)} has data type {tensor.data_type}, which this onnx does not know"
        raise ModelError(message, where=str(source), help="pip install --upgrade onnx onnxruntime, or export the model again")
    if any(dim < 0 for dim in tensor.dims) or math.prod(max(dim, 1) for dim in tensor.dims) > ABSURD:
        raise ModelError(
            f"{_named(tensor.name)} declares the impossible shape {list(tensor.dims)}", where=str(source), help="export the model again"
        )
    size = int(math.prod(tensor.dims) * packed_bits(tensor) + 7) // 8
    if size > MOST_BYTES:
        message = f"{_named(tensor.name)} has {size:,} bytes, more than the 2 GiB that one weight can have"
        raise ModelError(message, where=str(source), help="store it as fp16 or int8, or split it over several weights")
    return size


def _check_inline(tensor: onnx.TensorProto, size: int, source: Source) -> None:
    fault = raw_fault(tensor, size) if tensor.HasField("raw_data") or is_mapped(tensor) else typed_fault(tensor, size)
    if fault:
        raise ModelError(f"{_named(tensor.name)} {fault}", where=str(source), help=ADVICE)


def _locate(tensor: onnx.TensorProto, size: int, source: Source) -> External:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    file = _inside(location, tensor.name, source)
    offset = _number(entries, "offset", 0, tensor.name, source)
    rest = max(file.stat().st_size - offset, size)  # what counts where no length is given; a file that is too short is refused below
    length = _number(entries, "length", rest, tensor.name, source)
    if length != size or not packed_bits(tensor):
        raise ModelError(f"{_named(tensor.name)}: {length} bytes in '{location}', its shape needs {size}", where=str(source), help=ADVICE)
    if offset + length > (total := file.stat().st_size):
        message = f"{_named(tensor.name)} lies at bytes {offset} to {offset + length} of '{location}', which has only {total}"
        raise ModelError(message, where=str(source), help=ADVICE)
    return External(file, location, offset, length)


def _inside(location: str, name: str, source: Source) -> Path:
    """The file behind a location, which must be relative, without "..", and truly inside the folder, links followed."""
    posix, windows = PurePosixPath(location), PureWindowsPath(location)
    escapes = posix.is_absolute() or bool(windows.drive or windows.root) or ".." in posix.parts or ".." in windows.parts
    if not location or "\0" in location or escapes:
        message = f"{_named(name)} lies outside the model's folder: '{location}'" if location else f"{_named(name)} names no external file"
        raise ModelError(message, where=str(source), help="external data must be given by a file name relative to the model")
    folder = folder_of(source, name)
    file = folder / location
    try:
        real = file.resolve()
        if not real.is_relative_to(folder.resolve()):
            message = f"{_named(name)} lies outside the model's folder: '{location}' is a link to {real}"
            raise ModelError(message, where=str(source), help="put the data file itself beside the model")
        mode = file.stat().st_mode
        if not stat.S_ISREG(mode):
            message = f"the data file '{location}' of {_named(name)} is not a regular file"
            raise ModelError(message, where=str(source), help="put the data file itself beside the model")
        file.open("rb").close()
    except FileNotFoundError:
        raise ModelError(f"the data file '{location}' of {_named(name)} is missing", where=str(source), help=ADVICE) from None
    except RuntimeError:  # pathlib's word for links that lead in a circle
        message = f"the data file '{location}' of {_named(name)} is a link that leads to itself"
        raise ModelError(message, where=str(source), help=ADVICE) from None
    except OSError as problem:
        message = f"the data file '{location}' of {_named(name)} cannot be read: {problem.strerror or problem}"
        raise ModelError(message, where=str(source), help=ADVICE) from None
    return file


def _number(entries: dict[str, str], key: str, default: int, name: str, source: Source) -> int:
    text = entries.get(key, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ModelError(
            f"{_named(name)}: external {key} is '{text}', not a number of bytes", where=str(source), help="export the model again"
        )
    return int(text)
