"""One file of another format from a model: converted, compared with the model, then put in its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError, VerifyError
from ..inputs.samples import Given
from ..load.bind_shapes import Shapes
from ..load.source import Source
from ..output_file import check_file_place, write_file
from ..precision.request import Data
from ..verify.compare import same
from ..verify.terms import EXACT, ONE_BY_ONE, OTHER_KERNELS, Terms
from . import core_ai_asset, core_ml_package, tflite_file
from .exported import Exported
from .functions import Entries, export_functions
from .in_folder import in_folder
from .metadata import file_metadata
from .parity import Converted, Parity, parity
from .prepare import Prepared, prepare
from .quantised import Quantised, quantise_for_tflite

if TYPE_CHECKING:
    import onnx

SUFFIXES = (".tflite", ".onnx", ".mlpackage", ".aimodel")
LAYOUTS = ("nchw", "nhwc")
NOT_ASKED = "--no-verify"
WHOLE = {"aimodel": core_ai_asset.WHOLE, "mlpackage": core_ml_package.WHOLE}
"""Of operators that stand for several, those that a format has itself."""


def check_export_place(output: Path, source: Source, layout: str, quantises: bool = False, functions: bool = False) -> None:
    """To be asked before the work begins. Raises UsageError where nothing can be written there, UserError where an extra is missing."""
    check_file_place(output, "the model", SUFFIXES)
    if isinstance(source, Path) and output.exists() and source.exists() and output.samefile(source):
        raise UsageError(f"{output} is the model itself", help="name another file with -o")
    if layout == "nhwc" and output.suffix.lower() != ".tflite":
        raise UsageError(f"--nhwc is for .tflite files: {output.suffix} has ONNX's layout", help="leave it out")
    if quantises and output.suffix.lower() != ".tflite":
        help = "`autoglmc MODEL --target TARGET --precision int8 --save-quantized FILE.onnx` writes ONNX"
        raise UsageError(f"--calibration-data is for .tflite files, and {output.name} is none", help=help)
    if functions and output.suffix.lower() != ".aimodel":
        what = f"--bucket and --state are for .aimodel files: the {output.suffix} written here is one function without states"
        raise UsageError(what, help="compile it for a target, as a bundle with entries")
    extras = {".tflite": tflite_file, ".mlpackage": core_ml_package, ".aimodel": core_ai_asset}
    if (format := extras.get(output.suffix.lower())) is not None:
        format.check_extra()


def export_model(
    source: Source,
    output: Path,
    *,
    shapes: Shapes | None = None,
    layout: str = "nchw",
    verify: bool = True,
    inputs: Given | None = None,
    calibration: Data | None = None,
    entries: Entries | None = None,
    tell: Callable[[str], None] = lambda message: None,
) -> Exported:
    """Writes the model in the format of the suffix of `output`; the source is only read.

    With `calibration` data a float model becomes a .tflite file of integers where LiteRT has such operators. It is compared with the
    quantised model as others are with theirs, and how near it is to the float model is measured on the data.

    A .tflite, .onnx or .aimodel is compared with the untouched model first, on `inputs` and on generated ones. Inputs and outputs keep
    their names, order, dtypes and layout (int64 is int32 in an .aimodel); with the layout "nhwc" those with four dims are NHWC.

    entries: several functions of one .aimodel, which share its weights, and inputs that are its states.

    Raises UsageError for a wrong path or an open dim, ModelError for a model that is damaged or not converted, VerifyError where the
    converted model computes something else; then nothing is written.
    """
    check_export_place(output, source, layout, calibration is not None, entries is not None)
    format = output.suffix.lower().lstrip(".")
    if entries is not None:
        return export_functions(source, output, entries, shapes or {}, inputs, verify, tell)
    tell("load")
    quantised = None if calibration is None else quantise_for_tflite(source, shapes, calibration, tell)
    whole = None if format == "onnx" else WHOLE.get(format, frozenset())
    prepared = prepare(source, shapes, whole) if quantised is None else prepare(quantised.made.model, whole=whole)
    tell("convert")
    model = source if quantised is None else quantised.made.model
    asked = _Asked(model, prepared, layout, inputs if verify else None, tell if verify else None, quantised)
    why, notes = "" if verify else NOT_ASKED, prepared.notes
    if format == "mlpackage":
        (made, size), why = in_folder(output, partial(_package, asked)), core_ml_package.UNVERIFIED
    elif format == "aimodel":
        made, size = in_folder(output, partial(_asset, asked))
        notes = (*notes, core_ai_asset.NOTE) if verify else notes
    else:
        made = (_tflite if format == "tflite" else _onnx)(asked)
        size = len(made.data)
        write_file(output, made.data)
    return Exported(
        path=output,
        format=format,
        layout=layout,
        operators=len(prepared.model.graph.node),
        source_operators=prepared.operators,
        bytes=size,
        parity=made.parity,
        unverified=why,
        notes=(*(() if quantised is None else quantised.made.notes), *notes),
        accuracy=made.accuracy,
    )


@dataclass(frozen=True, slots=True)
class _Made:
    """A file that is right."""

    parity: Parity | None
    data: bytes = b""
    accuracy: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class _Asked:
    source: Source
    prepared: Prepared
    layout: str
    inputs: Given | None
    tell: Callable[[str], None] | None
    """None where nothing is to be compared."""
    quantised: Quantised | None
    """What became of a float model; its source is then not `source`."""

    def compared(self, converted: Converted, model: onnx.ModelProto, terms: Terms) -> Parity | None:
        if self.tell is None:
            return None
        sizes = {v.name: tuple(dim.dim_value for dim in v.type.tensor_type.shape.dim) for v in model.graph.output}
        return parity(self.source, converted, self.prepared.shapes, sizes, terms, self.tell, self.inputs)


def _tflite(asked: _Asked) -> _Made:
    """The parity is in the file, so that the file is written twice: the second one has to compute the same bits."""
    prepared, where = asked.prepared, str(asked.source)
    last = tflite_file.images(prepared.model) if asked.layout == "nhwc" else frozenset[str]()

    def written(found: Parity | None, accuracy: tuple[Mapping[str, Any], ...] = ()) -> bytes:
        about = file_metadata(prepared, asked.layout, found, {} if asked.quantised is None else asked.quantised.about(accuracy))
        return tflite_file.tflite_bytes(prepared, last, about, where)

    def opened(data: bytes) -> tflite_file.Checked:
        return tflite_file.open_tflite(data, prepared.model, last)

    plain = written(None)
    checked = opened(plain)
    found = asked.compared(checked, prepared.model, OTHER_KERNELS)
    if found is None:
        return _Made(None, plain)
    accuracy = () if asked.quantised is None else asked.quantised.accuracy(checked)
    data = written(found, accuracy)
    again = opened(data).run(found.first)
    if not all(same(again[name], found.made[name]) for name in found.made):
        raise VerifyError("the file computes other bits with its parity than without", where=where, help="please report it")
    return _Made(found, data, accuracy)


def _onnx(asked: _Asked) -> _Made:
    from ..verify.reference import Reference

    model = asked.prepared.model
    reference = Reference(None, model)
    found = asked.compared(_Subset(reference), model, EXACT)
    try:
        return _Made(found, model.SerializeToString(deterministic=True))
    except ValueError as problem:  # protobuf's limit of 2 GiB
        raise UsageError(f"the converted model cannot be written: {problem}", where=str(asked.source)) from None


@dataclass(frozen=True, slots=True)
class _Subset:
    """A model that simplifying may have left without some inputs."""

    reference: Any

    def run(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.reference.run({name: value for name, value in values.items() if name in self.reference.inputs})
        return found


def _package(asked: _Asked, folder: Path) -> _Made:
    core_ml_package.write_core_ml(asked.prepared, folder, str(asked.source))
    return _Made(None)


def _asset(asked: _Asked, folder: Path) -> _Made:
    """Its program is what was compared; the parity is written beside it."""
    prepared, functions = asked.prepared, {core_ai_asset.ONLY: asked.prepared}
    core_ai_asset.write_core_ai(functions, {}, folder, str(asked.source))
    found = None
    if asked.tell is not None:
        opened = core_ai_asset.open_asset(folder, functions, {})
        found = asked.compared(opened[core_ai_asset.ONLY], prepared.model, ONE_BY_ONE)
    core_ai_asset.describe(prepared, folder, found)
    return _Made(found)
