"""LiteRT's C interface (libLiteRt.so of ai-edge-litert 2.3) as typed functions, since its Python interface cannot be given an address.

The interface is not frozen: `LiteRtCreateModelFromBuffer` takes the environment first since 2.3, and crashes in one that does not. So the
package is pinned to a minor release, and probe.py tries the interface before it is used. Calls release the GIL.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from ctypes import POINTER, c_char_p, c_int, c_int32, c_size_t, c_uint32, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

HANDLE, INDEX = POINTER(c_void_p), c_size_t
MOST_DIMENSIONS = 8


class RankedType(ctypes.Structure):
    """`LiteRtRankedTensorType`: element type (TfLiteType's numbers), then rank with one flag bit, dimensions and strides."""

    _fields_ = (
        ("element_type", c_int),
        ("rank", c_uint32, 7),
        ("has_strides", c_uint32, 1),
        ("dimensions", c_int32 * MOST_DIMENSIONS),
        ("strides", c_uint32 * MOST_DIMENSIONS),
    )


FUNCTIONS: Mapping[str, tuple[Any, ...]] = {
    "LiteRtCreateEnvironment": (c_int, c_void_p, HANDLE),
    "LiteRtCreateModelFromBuffer": (c_void_p, c_void_p, c_size_t, HANDLE),
    "LiteRtGetNumModelSignatures": (c_void_p, POINTER(c_size_t)),
    "LiteRtGetModelSignature": (c_void_p, INDEX, HANDLE),
    "LiteRtGetNumSignatureInputs": (c_void_p, POINTER(c_size_t)),
    "LiteRtGetNumSignatureOutputs": (c_void_p, POINTER(c_size_t)),
    "LiteRtGetSignatureInputName": (c_void_p, INDEX, POINTER(c_char_p)),
    "LiteRtGetSignatureOutputName": (c_void_p, INDEX, POINTER(c_char_p)),
    "LiteRtGetSignatureInputTensorByIndex": (c_void_p, INDEX, HANDLE),
    "LiteRtGetSignatureOutputTensorByIndex": (c_void_p, INDEX, HANDLE),
    "LiteRtGetTensorTypeId": (c_void_p, POINTER(c_int)),
    "LiteRtGetRankedTensorType": (c_void_p, POINTER(RankedType)),
    "LiteRtCreateOptions": (HANDLE,),
    "LiteRtSetOptionsHardwareAccelerators": (c_void_p, c_int),
    "LiteRtCreateOpaqueOptions": (c_char_p, c_void_p, c_void_p, HANDLE),
    "LiteRtAddOpaqueOptions": (c_void_p, c_void_p),
    "LiteRtCreateCompiledModel": (c_void_p, c_void_p, c_void_p, HANDLE),
    "LiteRtCreateTensorBufferFromHostMemory": (POINTER(RankedType), c_void_p, c_size_t, c_void_p, HANDLE),
    "LiteRtGetTensorBufferHostMemory": (c_void_p, HANDLE),
    "LiteRtRunCompiledModel": (c_void_p, INDEX, c_size_t, HANDLE, c_size_t, HANDLE),
    "LiteRtCompiledModelGetProfiler": (c_void_p, HANDLE),
    "LiteRtStartProfiler": (c_void_p,),
    "LiteRtStopProfiler": (c_void_p,),
    "LiteRtResetProfiler": (c_void_p,),
    "LiteRtGetNumProfilerEvents": (c_void_p, POINTER(c_int)),
    "LiteRtGetProfilerEvents": (c_void_p, c_int, c_void_p),
}
"""What each takes; all return a LiteRtStatus."""
DESTROYING = (
    "LiteRtDestroyOptions", "LiteRtDestroyTensorBuffer", "LiteRtDestroyCompiledModel", "LiteRtDestroyModel",
)  # fmt: skip
STATUS = {
    1: "invalid argument", 2: "out of memory", 3: "runtime failure", 4: "missing input tensor", 5: "unsupported", 6: "not found",
    7: "timeout", 8: "wrong version", 100: "cancelled", 500: "the file cannot be read", 501: "not a .tflite file",
    504: "compilation failed", 1000: "index out of bounds",
}  # fmt: skip
"""LiteRtStatus in words, from litert/c/litert_common.h."""
CPU = 1
"""kLiteRtHwAcceleratorCpu."""


class LiteRtError(Exception):
    """A call of LiteRT that failed."""


class Library:
    """The loaded library. `call(name, …)` raises LiteRtError for any status but success."""

    def __init__(self, path: Path) -> None:
        """Raises OSError for a library that cannot be loaded, AttributeError for one without a function of FUNCTIONS."""
        self._library = ctypes.CDLL(str(path))
        self._functions = {name: self._declared(name, taken, c_int) for name, taken in FUNCTIONS.items()}
        self._destroying = {name: self._declared(name, (c_void_p,), None) for name in DESTROYING}
        self._c = ctypes.CDLL(None)
        self._c.strdup.restype, self._c.strdup.argtypes = c_void_p, (c_char_p,)

    def _declared(self, name: str, taken: tuple[Any, ...], result: Any) -> Any:
        function = getattr(self._library, name)
        function.argtypes, function.restype = taken, result
        return function

    def call(self, name: str, *given: Any) -> None:
        status = self._functions[name](*given)
        if status:
            raise LiteRtError(f"{name}: {STATUS.get(status, 'failed')} (status {status})")

    def made(self, name: str, *given: Any) -> c_void_p:
        """The handle that a function writes to its last argument."""
        handle = c_void_p()
        self.call(name, *given, ctypes.byref(handle))
        return handle

    def counted(self, name: str, handle: c_void_p) -> int:
        number = c_size_t()
        self.call(name, handle, ctypes.byref(number))
        return number.value

    def destroy(self, name: str, handle: c_void_p) -> None:
        self._destroying[name](handle)

    def running(self) -> Any:
        """LiteRtRunCompiledModel itself: what every run calls, without a layer in between."""
        return self._functions["LiteRtRunCompiledModel"]

    def option_text(self, key: bytes, text: str) -> c_void_p:
        """Opaque options: a TOML text under the key that the part of LiteRT asks for which they concern. LiteRT frees the text."""
        free = ctypes.cast(self._c.free, c_void_p)
        return self.made("LiteRtCreateOpaqueOptions", key, c_void_p(self._c.strdup(text.encode())), free)


@cache
def library() -> Library:
    """That of the installed package, once a process. Raises what Library raises."""
    from importlib.util import find_spec

    spec = find_spec("ai_edge_litert")
    assert spec is not None and spec.submodule_search_locations
    return Library(Path(spec.submodule_search_locations[0]) / "libLiteRt.so")


@cache
def environment() -> c_void_p:
    """One for the whole process, never destroyed: compiled models refer to it."""
    return library().made("LiteRtCreateEnvironment", 0, None)
