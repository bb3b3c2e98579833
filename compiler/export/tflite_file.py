"""A model as a .tflite file, and that file as a model that runs here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..devices.litert.adapter import LiteRtAdapter
from ..devices.litert.interpreted import Interpreted
from ..devices.tflite.order import channels_last
from ..errors import ModelError, UserError, first_line
from .problems import Unconverted

if TYPE_CHECKING:
    import numpy
    import onnx

    from .prepare import Prepared

IMAGE = 4
"""Dims of the inputs and outputs that --nhwc turns."""


def check_extra() -> None:
    """Raises UserError where LiteRT is not installed, whose schema writes the file."""
    if (lack := LiteRtAdapter().missing()) is not None:
        raise UserError(f"a .tflite file cannot be written: {lack.reason}", help=lack.help)


def images(model: onnx.ModelProto) -> frozenset[str]:
    """Inputs and outputs with four dims."""
    ports = (*model.graph.input, *model.graph.output)
    return frozenset(value.name for value in ports if len(value.type.tensor_type.shape.dim) == IMAGE)


def tflite_bytes(prepared: Prepared, last: Collection[str], metadata: Mapping[str, str], where: str) -> bytes:
    """The file; the inputs and outputs in `last` are NHWC. Raises Unconverted naming every operator that LiteRT has no form for."""
    from ..devices.tflite.emit import refusals, write_tflite
    from ..devices.tflite.records import Refused

    try:
        return write_tflite(prepared.model, channels_last=last, metadata=metadata)
    except Refused as problem:
        found = [asdict(one) for one in refusals(prepared.model)]
        if not found:  # refused for the layout that was asked for alone
            raise ModelError(f"the model cannot be converted to LiteRT: {problem}", where=where, help="leave out --nhwc") from None
        help = "compile it for a target with a LiteRT device: what LiteRT lacks runs on onnxruntime beside it"
        raise Unconverted("LiteRT's operators", found, where=where, help=help) from None


@dataclass(frozen=True, slots=True)
class Checked:
    """The file as the model that it was made of: same layout, same dtypes."""

    file: Interpreted
    last: Collection[str]
    dtypes: Mapping[str, Any]

    def run(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """In the model's layout. Raises ModelError where LiteRT fails, or gives another dtype."""
        import numpy

        given = {name: numpy.ascontiguousarray(self._turned(name, value)) for name, value in values.items()}
        try:
            found = {name: self._back(name, value) for name, value in self.file.run(given).items()}
        except (RuntimeError, ValueError) as problem:
            raise ModelError(f"LiteRT cannot run the converted model: {first_line(problem)}") from None
        for name, dtype in self.dtypes.items():
            if name not in found or found[name].dtype != dtype:
                raise ModelError(f"the converted model has no output {name} of {dtype}", help="please report it")
        return found

    def _turned(self, name: str, value: numpy.ndarray[Any, Any]) -> numpy.ndarray[Any, Any]:
        return value.transpose(channels_last(value.ndim)) if name in self.last else value

    def _back(self, name: str, value: numpy.ndarray[Any, Any]) -> numpy.ndarray[Any, Any]:
        import numpy

        return value.transpose(numpy.argsort(channels_last(value.ndim))) if name in self.last else value


def open_tflite(content: bytes, model: onnx.ModelProto, last: Collection[str]) -> Checked:
    """Raises ModelError where LiteRT refuses the file."""
    from onnx import helper

    dtypes = {value.name: helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type) for value in model.graph.output}
    try:
        return Checked(Interpreted(content), last, dtypes)
    except (RuntimeError, ValueError) as problem:
        raise ModelError(f"LiteRT does not load the converted model: {first_line(problem)}", help="please report it") from None
