"""A model as a Core AI asset, and that asset as a model that runs here, on the interpreter that Apple ships: never on an Apple device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..devices.core_ai.adapter import narrowed, not_installed
from ..devices.core_ai.api import ENTRY as ONLY
from ..devices.core_ai.run import Interpreted
from ..devices.onnx_node import Refused
from ..errors import ModelError, UserError, first_line
from .metadata import ABOUT, file_metadata
from .problems import Unconverted

if TYPE_CHECKING:
    import onnx

    from .parity import Parity
    from .prepare import Prepared

__all__ = ("ONLY", "WHOLE", "Checked", "check_extra", "describe", "open_asset", "write_core_ai")
WHOLE = frozenset({"DepthToSpace", "RotaryEmbedding", "ScatterElements"})
"""Operators that stand for several, and are converted as they are."""
NOTE = "compared on Apple's interpreter on this CPU: the .aimodel never ran on an Apple device"
HELP = "compile it for a target with a Core AI device: what Core AI lacks runs on onnxruntime beside it"


def check_extra() -> None:
    """Raises UserError where coreai-core is not installed."""
    if (lack := not_installed()) is not None:
        raise UserError(f"an .aimodel cannot be written: {lack.reason}", help=lack.help)


def write_core_ai(functions: Mapping[str, Prepared], states: Mapping[str, str], folder: Path, where: str) -> None:
    """states: of inputs that the program keeps from run to run, the output that takes their place, the same ones in each function.

    Raises Unconverted naming every operator that has no conversion, ModelError naming the first that is used in a way that has none."""
    from ..devices.core_ai.asset import write_asset
    from ..devices.core_ai.program import Function, without_converter

    each = [Function(name=name, model=prepared.model, states=states) for name, prepared in functions.items()]
    if found := next((lacking for one in each if (lacking := without_converter(one.model))), []):
        raise Unconverted("Core AI's operators", found, where=where, help=HELP)
    try:
        write_asset(each, folder, {})
    except Refused as problem:
        raise ModelError(f"the model cannot be converted to Core AI: {problem}", where=where, help=HELP) from None


def describe(prepared: Prepared, folder: Path, parity: Parity | None, functions: Mapping[str, Any] | None = None) -> None:
    """Writes the model's own metadata into the asset, and what is known of it; functions: facts of each, where there are several."""
    from ..devices.core_ai.asset import set_metadata

    more = {"functions": functions} if functions else {}
    set_metadata(folder, {**prepared.metadata, ABOUT: file_metadata(prepared, "nchw", parity, more)[ABOUT]})


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A function of the asset as the model that it was made of: int64 is int32 in it, and states are inputs and outputs."""

    asset: Interpreted
    function: str
    inputs: tuple[str, ...]
    states: Mapping[str, str]
    dtypes: Mapping[str, Any]

    def run(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Raises ModelError where Apple's interpreter fails."""
        given = {name: narrowed(values[name]) for name in self.inputs}
        kept = {name: given.pop(name) for name in self.states}
        try:
            found, left = self.asset.step(given, kept, self.function)
        except RuntimeError as problem:
            raise ModelError(f"Core AI cannot run the converted model: {first_line(problem)}") from None
        found |= {present: left[past] for past, present in self.states.items()}
        return {name: found[name].astype(dtype) for name, dtype in self.dtypes.items()}


def open_asset(folder: Path, functions: Mapping[str, Prepared], states: Mapping[str, str]) -> dict[str, Checked]:
    """By function. Raises ModelError where Apple's interpreter does not load it."""
    try:
        asset = Interpreted(folder)
    except RuntimeError as problem:
        raise ModelError(f"Core AI does not load the converted model: {first_line(problem)}", help="please report it") from None
    return {name: _checked(asset, name, prepared.model, states) for name, prepared in functions.items()}


def _checked(asset: Interpreted, function: str, model: onnx.ModelProto, states: Mapping[str, str]) -> Checked:
    from onnx import helper

    constant = {tensor.name for tensor in model.graph.initializer}
    inputs = tuple(value.name for value in model.graph.input if value.name not in constant)
    dtypes = {value.name: helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type) for value in model.graph.output}
    return Checked(asset=asset, function=function, inputs=inputs, states=states, dtypes=dtypes)
