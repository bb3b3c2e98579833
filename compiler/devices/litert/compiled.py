"""A .tflite file opened by LiteRT: its signature, and the model compiled for this processor."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Mapping, Sequence
from ctypes import c_void_p
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .library import CPU, Library, LiteRtError, RankedType, environment, library

if TYPE_CHECKING:
    import numpy

ELEMENTS: Mapping[str, int] = {
    "fp32": 1, "int32": 2, "uint8": 3, "int64": 4, "bool": 6, "int16": 7, "int8": 9, "fp16": 10, "fp64": 11, "uint64": 13, "uint32": 16,
    "uint16": 17, "bf16": 19,
}  # fmt: skip
"""Our dtypes -> LiteRtElementType, which has TfLiteType's numbers."""
RANKED = 0
"""kLiteRtRankedTensorType."""


@dataclass(frozen=True, slots=True)
class Value:
    """An input or output of the model."""

    name: str
    type: RankedType

    @property
    def dtype(self) -> str:
        """Ours, or LiteRT's number for one that we have none for."""
        return next((name for name, number in ELEMENTS.items() if number == self.type.element_type), f"type {self.type.element_type}")

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.type.dimensions[: self.type.rank])


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What may be chosen where a model is compiled."""

    threads: int
    builtin: bool = False
    """The reference kernels in place of XNNPACK's."""
    profiling: bool = False
    weight_cache: str = ""
    """A file in which XNNPACK keeps weights as it wants them, made where it is not there."""

    def texts(self) -> Mapping[bytes, str]:
        """By the key of the part of LiteRT that reads them, in TOML."""
        cpu = f"num_threads = {self.threads}\n" + ('kernel_mode = "builtin"\n' if self.builtin else "")
        cpu += f'weight_cache_file_path = "{self.weight_cache}"\n' if self.weight_cache else ""
        return {b"xnnpack": cpu, b"runtime_options_string": "enable_profiling = true\n"} if self.profiling else {b"xnnpack": cpu}


class Compiled:
    """A compiled model, which every binding of it shares, and with it the weights.

    Raises LiteRtError for bytes that are no .tflite file, or that LiteRT does not run."""

    def __init__(self, content: numpy.ndarray[Any, Any], options: Options) -> None:
        """`content`: the file's bytes (or its pages), held as long as this object."""
        self.library = library()
        call, made = self.library.call, self.library.made
        held: list[tuple[str, c_void_p]] = []
        weakref.finalize(self, _destroy, self.library, held, content)
        model = made("LiteRtCreateModelFromBuffer", environment(), content.ctypes.data, content.size)
        held.append(("LiteRtDestroyModel", model))
        self.inputs, self.outputs = self._values(model, "Input"), self._values(model, "Output")
        chosen = made("LiteRtCreateOptions")
        try:
            call("LiteRtSetOptionsHardwareAccelerators", chosen, CPU)
            for key, text in options.texts().items():
                call("LiteRtAddOpaqueOptions", chosen, self.library.option_text(key, text))
            self.handle = made("LiteRtCreateCompiledModel", environment(), model, chosen)
        finally:
            self.library.destroy("LiteRtDestroyOptions", chosen)
        held.append(("LiteRtDestroyCompiledModel", self.handle))

    def _values(self, model: c_void_p, kind: str) -> tuple[Value, ...]:
        """The inputs or outputs of the only signature, in its order. Raises LiteRtError for a model with more, or with a tensor whose shape
        is open or whose rank LiteRT has no place for."""
        count = self.library.counted("LiteRtGetNumModelSignatures", model)
        if count != 1:
            raise LiteRtError(f"the model has {count} signatures, not one")
        signature = self.library.made("LiteRtGetModelSignature", model, 0)
        found = []
        for index in range(self.library.counted(f"LiteRtGetNumSignature{kind}s", signature)):
            name, type_id, ranked = ctypes.c_char_p(), ctypes.c_int(), RankedType()
            self.library.call(f"LiteRtGetSignature{kind}Name", signature, index, ctypes.byref(name))
            tensor = self.library.made(f"LiteRtGetSignature{kind}TensorByIndex", signature, index)
            self.library.call("LiteRtGetTensorTypeId", tensor, ctypes.byref(type_id))
            text = (name.value or b"").decode(errors="replace")
            if type_id.value != RANKED:
                raise LiteRtError(f"{text} has no fixed rank")
            self.library.call("LiteRtGetRankedTensorType", tensor, ctypes.byref(ranked))
            found.append(Value(text, ranked))
        return tuple(found)


def _destroy(library: Library, held: Sequence[tuple[str, c_void_p]], content: object) -> None:
    """Last made, first destroyed. `content` is held until then: LiteRT reads the file's bytes as long as it has the model."""
    for how, handle in reversed(held):
        library.destroy(how, handle)
