"""Are all names and texts of a model UTF-8? protobuf takes any bytes for them, and what reads them fails later."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from ..errors import ModelError

if TYPE_CHECKING:
    import onnx

SHOWN = 40
"""Bytes of a text that a message shows."""
PLAIN = frozenset({1, 2, 3, 6, 7, 8})
"""AttributeProto.type of numbers and texts: nothing else is inside."""
TEXT = 9
"""FieldDescriptor.TYPE_STRING."""


def check_strings(model: onnx.ModelProto, where: str) -> None:
    """Raises ModelError that names the first field that is not UTF-8: names, texts, string tensors, and text attributes of operators of
    the standard. Weights are not looked at."""
    stack: list[tuple[Any, str, bool]] = [(model, "", False)]
    while stack:
        message, path, standard = stack.pop()
        kind = message.DESCRIPTOR.name
        if kind == "NodeProto":
            standard = message.domain in ("", "ai.onnx")
        found = _broken(message, standard or kind == "TensorProto")
        if found is not None:
            name, text = found
            shown = repr(text[:SHOWN])[1:] + ("…" if len(text) > SHOWN else "")
            what = f"the field {path}{name}{_owner(message)} is not valid UTF-8: {shown}"
            raise ModelError(what, where=where, help="export the model again; the file may be damaged")
        if kind != "AttributeProto" or message.type not in PLAIN:
            stack.extend((inner, f"{path}{name}.", standard) for name, inner in _inner(message))


def _broken(message: Any, standard: bool) -> tuple[str, bytes] | None:
    """A field and its bytes. protobuf gives text that is not UTF-8 as bytes, or raises."""
    texts, _, _, encoded = _fields(message.DESCRIPTOR)
    for name in (*texts, *(encoded if standard else ())):
        try:
            value = getattr(message, name)
            for text in (value,) if isinstance(value, str | bytes) else value:
                if isinstance(text, bytes):
                    text.decode()
        except UnicodeDecodeError as problem:
            return name, bytes(problem.object)
    return None


def _inner(message: Any) -> Iterator[tuple[str, Any]]:
    """Messages inside, with their place."""
    _, single, repeated, _ = _fields(message.DESCRIPTOR)
    for name in single:
        if message.HasField(name):
            yield name, getattr(message, name)
    for name in repeated:
        for k, inner in enumerate(getattr(message, name)):
            yield f"{name}[{k}]", inner


@cache
def _fields(descriptor: Any) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Names of fields: texts, single messages, repeated messages, texts that are declared as bytes."""
    texts = tuple(field.name for field in descriptor.fields if field.type == TEXT)
    messages = [field for field in descriptor.fields if field.message_type is not None]
    single = tuple(field.name for field in messages if not _is_repeated(field))
    repeated = tuple(field.name for field in messages if _is_repeated(field))
    return texts, single, repeated, {"AttributeProto": ("s", "strings"), "TensorProto": ("string_data",)}.get(descriptor.name, ())


def _is_repeated(field: Any) -> bool:
    found = getattr(field, "is_repeated", None)  # protobuf 6; `label` is going
    return bool(found) if found is not None else field.label == field.LABEL_REPEATED


def _owner(message: Any) -> str:
    """Whose field it is, where that can be told."""
    name = getattr(message, "name", "") if message.DESCRIPTOR.name in ("NodeProto", "TensorProto", "AttributeProto") else ""
    return f" (of '{name}')" if name and isinstance(name, str) else ""
