"""Read a model: from a file or from memory to a ModelProto of one's own, or one sentence that says why it is not an ONNX model."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ...passes.mapped.mapped_tensor import LARGE, refer
from ..errors import ModelError, UsageError
from .check_strings import check_strings
from .read_light import LENGTH_DELIMITED, Data, fields, read_light, refuse_stubs
from .source import MemoryModel, Source
from .structure import bodies

if TYPE_CHECKING:
    import onnx

LIGHT = 1 << 26
"""Bytes of a file from which on its large weights stay in it: a few copies of a smaller one are less than the libraries take."""
CHUNK = 1 << 24
"""Bytes that are hashed at a time."""
PROTOBUF_LIMIT = 2**31 - 1
"""The most bytes that one protobuf message can have."""
MAX_NESTING = 32
"""Bodies (If, Loop, Scan) inside bodies: a body lies three messages deeper, and protobuf parsers give up at 100."""

LOOKALIKES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"version https://git-lfs", "it is a Git LFS pointer: run `git lfs pull`"),
    (0, b"PK\x03\x04", "it is a zip archive, as PyTorch saves it: export it with torch.onnx.export"),
    (0, b"\x1f\x8b", "it is compressed with gzip: unpack it first"),
    (4, b"TFL3", "it is a TensorFlow Lite model: convert it with tf2onnx"),
    (4, b"ORTM", "it is in onnxruntime's own format: give the .onnx file it was made from"),
    (0, b"\x89HDF", "it is an HDF5 file, as Keras saves it: convert it with tf2onnx"),
)
TOP_LEVEL = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26})
"""Field numbers of ModelProto."""
BODY_PATH = ((7,), (1,), (5,), (6, 11))
"""Field numbers that lead into a body: model.graph, graph.node, node.attribute, attribute.g or graphs (and again graph.node)."""


def read_model(source: Source) -> tuple[onnx.ModelProto, Iterable[bytes]]:
    """`peek_model`, for the caller to change."""
    model, data = peek_model(source)
    return (source.copy() if isinstance(source, MemoryModel) else model), data


def peek_model(source: Source) -> tuple[onnx.ModelProto, Iterable[bytes]]:
    """The model, not to be changed, and its bytes in pieces, to be read once. Weights in other files are not loaded, and large ones of a
    large file stay in it (passes/mapped).

    Raises UsageError when there is no such file and ModelError when it is not an ONNX model.
    """
    model, data = (source.proto, source.serialised()) if isinstance(source, MemoryModel) else _load(source)
    kind = "model" if isinstance(source, MemoryModel) else "file"
    for missing, fault in (
        (model.ir_version <= 0, "it states no IR version"),
        (not model.HasField("graph"), "it has no graph"),
        (not model.graph.output, "its graph has no output"),
    ):
        if missing:
            raise ModelError(f"not an ONNX {kind}: {fault}", where=str(source), help="export the model again")
    if isinstance(source, MemoryModel) and _depth(model.graph) > MAX_NESTING:
        raise _too_deep(source)
    check_strings(model, str(source))
    if not model.graph.node:
        raise ModelError(f"the graph '{model.graph.name}' has no operators: there is nothing to compile", where=str(source))
    return model, data


def _load(path: Path) -> tuple[onnx.ModelProto, Iterable[bytes]]:
    data = _read_bytes(path)
    return _parse(data, path), (data[begin : begin + CHUNK] for begin in range(0, len(data), CHUNK))


def _read_bytes(path: Path) -> Data:
    if not path.exists():
        raise UsageError(f"no such file: {path}", help="give the path of an .onnx file")
    if not path.is_file():
        raise UsageError(f"not a file: {path}", help="give the path of an .onnx file")
    size = path.stat().st_size
    if size == 0:
        raise ModelError("the file is empty", where=str(path), help="copy or export the model again")
    if size > PROTOBUF_LIMIT:
        help_text = "save the weights as external data: onnx.save(model, path, save_as_external_data=True)"
        raise ModelError(f"the file has {size} bytes, more than the 2 GiB that an ONNX file can have", where=str(path), help=help_text)
    try:
        with path.open("rb") as file:
            return file.read() if size < LIGHT else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as problem:
        raise ModelError(f"cannot read the file: {problem.strerror or problem}", where=str(path)) from None


def _parse(data: Data, path: Path) -> onnx.ModelProto:
    import onnx
    from google.protobuf.message import DecodeError

    for offset, magic, advice in LOOKALIKES:
        if data[offset : offset + len(magic)] == magic:
            raise ModelError("not an ONNX file", where=str(path), help=advice)
    if isinstance(data, mmap.mmap):
        with contextlib.suppress(ValueError, DecodeError):
            return _light(data, path)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data[:])
        refuse_stubs(model, str(path))
        return model
    except DecodeError:
        pass
    if _is_truncated(data):
        raise ModelError(f"the file is truncated after {len(data)} bytes", where=str(path), help="copy or download the model again")
    if _nesting(data) > MAX_NESTING:
        raise _too_deep(path)
    raise ModelError("not an ONNX file", where=str(path), help="export the model to ONNX, or give another file")


def _light(data: Data, path: Path) -> onnx.ModelProto:
    """Raises ValueError and DecodeError as `read_light`."""
    model, spans = read_light(data, LARGE, str(path))
    for number, (begin, end) in spans.items():
        refer(model.graph.initializer[number], path, begin, end - begin)
    return model


def _too_deep(source: Source) -> ModelError:
    message = f"control flow (If, Loop, Scan) nests deeper than {MAX_NESTING} bodies"
    return ModelError(message, where=str(source), help="export the model with flatter control flow")


def _depth(graph: onnx.GraphProto) -> int:
    """How many bodies deep control flow goes, at most MAX_NESTING + 1."""
    level, deepest = [graph], -1
    while level and deepest <= MAX_NESTING:
        level = [body for part in level for node in part.node for body in bodies(node)]
        deepest += 1
    return deepest


def _is_truncated(data: Data) -> bool:
    """A ModelProto whose last top-level field ends after the file: everything before it decodes with the right field numbers."""
    for field, _, _, end in fields(data, 0, len(data)):
        if field not in TOP_LEVEL:
            return False
        if end > len(data):
            return True
    return False


def _nesting(data: Data) -> int:
    """How many bodies deep control flow goes, read off the wire format, at most MAX_NESTING + 1."""
    deepest, stack = 0, [(0, 0, len(data))]
    while stack and deepest <= MAX_NESTING:
        step, start, end = stack.pop()
        wanted = BODY_PATH[step] if step < len(BODY_PATH) else BODY_PATH[1 + (step - 1) % 3]
        deepest = max(deepest, (step - 1) // 3)
        inner = [item for item in fields(data, start, end) if item[0] in wanted and item[1] == LENGTH_DELIMITED and item[3] <= end]
        stack.extend((step + 1, begin, stop) for _, _, begin, stop in inner)
    return deepest
