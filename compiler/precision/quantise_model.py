"""From a float model and calibration data to a quantised model: recovered and simplified first, then calibrated, then written in its forms.

What exporters scatter over many operators (GELU, LayerNorm) is one operator again before any range is taken: between the scattered ones
every intermediate result would be rounded to 8 bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from ...passes.graph.graph import Graph
from ...passes.precision.block_rounding import TO_NEAREST, BlockRounding
from ...passes.precision.choose_forms import OF_ONE_REQUEST
from ...passes.precision.eligible import kept_forms
from ...passes.precision.narrow_weights import narrow_weights
from ...passes.precision.quantise import quantise
from ...passes.precision.scales import Range
from ...passes.precision.unit_forms import uniform
from ...targets.dtypes import FLOATS
from ...targets.model import Target
from ...targets.precision import FORMS, Form, FormName
from ..bundle.precision_record import CalibrationRecord, PrecisionRecord, UnitRecord
from ..errors import UsageError
from ..load.bind_shapes import real_inputs
from ..load.load_model import LoadedModel
from ..load.source import MemoryModel, check_unchanged
from ..load.weights import model_bytes
from ..pipeline.rows import products_in_rows
from ..pipeline.run_passes import Stage, run_passes
from ..pipeline.work import Work
from ..plan.compilers.times import reporting_devices
from ..plan.plan_model import start
from ..quantities import count
from .calibration_data import CalibrationData, Census, InputType, census, open_data
from .choose import LEAST_COSINE, MeasuredChoice, choose
from .kept_ranges import keep_ranges, kept_ranges, key_of
from .narrow_within import narrow_within
from .plain_model import plain_model
from .quantised_already import check_float
from .ranges import Method, ranges_of
from .request import PrecisionRequest
from .split import Split
from .unit_table import rows_of_one_form
from .weight_rounding import block_rounding

if TYPE_CHECKING:
    import onnx

MOST_FITTED = 64
"""Calibration samples that weights are fitted on."""
SIMPLE = "simplify"
"""The pass after which a graph is calibrated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantisedModel:
    """A model that was written in other forms."""

    model: MemoryModel
    record: PrecisionRecord
    """Without the accuracy, which the bundle's own run shows."""
    choice: MeasuredChoice | None
    """None where one form was asked for."""
    data: CalibrationData | None
    split: Split | None
    notes: tuple[str, ...]


def quantise_model(
    loaded: LoadedModel,
    target: Target,
    request: PrecisionRequest,
    stage: Stage,
    without: frozenset[str] = frozenset(),
    least: float = LEAST_COSINE,
) -> QuantisedModel:
    """The model in the forms that `request` asks for; chosen ones within a cosine of `least`.

    Raises UsageError for a model that is quantised already, for data that does not fit, and where no operator can be written in the form
    on the target; ModelError where the model does not run on the data; Infeasible as `choose`."""
    where = str(loaded.source)
    with stage("graph"):
        work = start(loaded, target, without=without)
    check_float(work.graph, where)
    data = None if request.data is None else open_data(request.data, input_types(loaded.proto))
    run_passes(work, stage, until=SIMPLE)
    graph = work.graph
    if request.precision != "fp16":
        products_in_rows(work, without)
    split, ranges, calibration = None, dict[str, Range](), None
    if data is not None:
        with stage("calibrate"):
            found = census(data)
            split = Split(found.samples, calibrates=request.form is None or FORMS[request.form].quantised)
            if split.calibrates:
                ranges = calibrated(graph, data, found, request.method)
                calibration = CalibrationRecord(method=request.method, samples=split.calibrating, sha256=found.sha256)
    with stage("quantise"):
        chosen: MeasuredChoice | None = None
        rounding = TO_NEAREST
        wanted: Mapping[str, Form]
        if request.precision == "auto" and data is not None and found is not None:
            samples = Split(found.samples).calibrated
            if request.weights_method == "gptq":
                rounding = block_rounding(graph, target, islice(samples(data), MOST_FITTED)) or TO_NEAREST
            chosen = _chosen(work, data, found, ranges, request, least, rounding)
            wanted = narrow_within(graph, target, chosen.forms, ranges, samples(data), chosen.least, chosen.devices, rounding)
        else:
            assert request.form is not None, "auto has data"
            wanted = _uniform(graph, target, request.form)
        forms = kept_forms(graph, wanted, ranges)
        if not forms and chosen is None:
            raise nothing_to_write(graph, target, request, where)
        units = rows_of_one_form(graph, target, forms, request.precision) if chosen is None else chosen.units
        model, record = in_forms(loaded, graph, forms, ranges, rounding, calibration, units)
    notes = (*notes_on_samples(split), *_notes_on(request, target))
    return QuantisedModel(model=MemoryModel(model, where), record=record, choice=chosen, data=data, split=split, notes=notes)


def in_forms(
    loaded: LoadedModel,
    graph: Graph,
    forms: Mapping[str, Form],
    ranges: Mapping[str, Range],
    rounding: BlockRounding,
    calibration: CalibrationRecord | None,
    units: Sequence[UnitRecord],
) -> tuple[onnx.ModelProto, PrecisionRecord]:
    """The graph, which is changed, as a model in these forms, and what is said of it; its accuracy is not measured yet. Raises ModelError
    where the files of the model have changed since it was loaded."""
    before = weight_bytes(graph)
    quantise(graph, forms, ranges, rounding)
    record = PrecisionRecord(
        source_sha256=loaded.sha256,
        calibration=calibration,
        forms=by_form(forms),
        weight_bytes=(before, weight_bytes(graph)),
        accuracy=(),
        model_bytes=model_bytes(loaded.source),
        units=tuple(units),
    )
    model = plain_model(graph)
    check_unchanged(loaded.files)  # from here on no weight is read from the model's file
    return model, record


def by_form(forms: Mapping[str, Form]) -> dict[str, tuple[str, ...]]:
    """The tensors of each form, sorted."""
    used = sorted({form.name for form in forms.values()})
    return {name: tuple(sorted(tensor for tensor, form in forms.items() if form.name == name)) for name in used}


def _chosen(
    work: Work,
    data: CalibrationData,
    found: Census,
    ranges: Mapping[str, Range],
    request: PrecisionRequest,
    least: float,
    rounding: BlockRounding,
) -> MeasuredChoice:
    method = request.method if rounding is TO_NEAREST else f"{request.method} {request.weights_method}"
    key = key_of(plain_model(work.graph), found.sha256, method)
    samples = Split(found.samples).calibrated(data)
    return choose(work.graph, work.target, (work.substitutes, work.families), ranges, samples, key, least, request.objective, rounding)


def _uniform(graph: Graph, target: Target, form: FormName) -> Mapping[str, Form]:
    """Where activations are integers, weights of what stays in floats are too."""
    wanted = uniform(graph, target, form)
    if not FORMS[form].quantised or not wanted:
        return wanted
    return {**wanted, **{name: narrow for name, (narrow, _) in narrow_weights(graph, target, wanted).items()}}


def nothing_to_write(graph: Graph, target: Target, request: PrecisionRequest, where: str) -> UsageError:
    """What to raise where no operator has the form that was asked for."""
    dtypes = {graph.tensor(name).dtype for node in graph.nodes for name in node.writes}
    if "fp32" not in dtypes:
        message = f"the model computes in {', '.join(sorted(dtypes & FLOATS)) or 'no floats'}, and --precision takes models of fp32"
        return UsageError(message, where=where, help="export the model in fp32")
    message = f"no operator of the model can run in {request.precision} on '{target.name}'"
    return UsageError(message, where=where, help=f"`autoglmc show {target.name}` lists what its devices support")


def input_types(model: onnx.ModelProto) -> tuple[InputType, ...]:
    """Of the inputs of a model. Raises UsageError for one that is no tensor."""
    from onnx import helper

    found = []
    for value in real_inputs(model.graph):
        if not value.type.HasField("tensor_type"):
            raise UsageError(f"the input '{value.name}' is no tensor: no calibration data can be given for it")
        kind = value.type.tensor_type
        shape = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim) if kind.HasField("shape") else None
        found.append(InputType(value.name, helper.tensor_dtype_to_np_dtype(kind.elem_type), shape))
    return tuple(found)


def calibrated(graph: Graph, data: CalibrationData, found: Census, method: Method) -> dict[str, Range]:
    """Ranges of the graph's tensors, from the cache where the same were found before."""
    key = key_of(plain_model(graph), found.sha256, method)
    ranges = kept_ranges(key)
    if ranges is None:
        split = Split(found.samples)
        ranges = ranges_of(graph, lambda: split.calibrated(data), method)
        keep_ranges(key, ranges)
    return ranges


def _notes_on(request: PrecisionRequest, target: Target) -> tuple[str, ...]:
    if request.precision != "auto":
        return ()
    notes = []
    if request.objective in OF_ONE_REQUEST:
        notes.append(f"precisions are chosen for the latency of one request, and only then the devices for {request.objective}")
    if names := dict.fromkeys(target.devices[number].runtime.adapter for number in reporting_devices(target)):
        notes.append(
            f"precisions are chosen by the target's rates, and only then the devices by what the compiler of {', '.join(names)} says"
        )
    return tuple(notes)


def notes_on_samples(split: Split | None) -> tuple[str, ...]:
    """What a user may want to know of how few there are."""
    if split is None or split.holds_out:
        return ()
    if split.samples == 1:
        return (
            "calibrated on one sample: other inputs may lie beyond its ranges, and accuracy is measured on the same one; give 50 or more",
        )
    return (
        f"none of {count(split.samples, 'sample')} is held out: accuracy is measured on those that scales were made with; give 8 or more",
    )


def weight_bytes(graph: Graph) -> int:
    """Of the constants that something reads."""
    read = {name for node in graph.nodes for name in node.reads} | set(graph.outputs)
    return sum(graph.tensor(name).bytes or 0 for name in graph.constants if name in read)
