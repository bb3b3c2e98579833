"""Where onnxruntime itself is wrong about a model: the untouched file with its optimisations and without, output by output."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..devices.ort_settings import DEFAULT, OFF
from ..errors import ModelError
from ..inputs.generate_inputs import generate_inputs, small_shapes
from ..load.operands import check_operands
from ..load.read_model import read_model
from ..probe.optimiser_fault import told
from ..probe.settings_process import Ran, SettingsProcess
from ..probe.suspect import Blamed, Suspect
from ..probe.value_gap import ceiling, gap
from ..verify.check_model import SIZES

if TYPE_CHECKING:
    import onnx

SETS = 3
"""Made-up input sets."""
Feeds = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOfRuntime:
    """How far the optimised model is from the model as it stands, the worst over all inputs."""

    name: str
    right: bool
    words: str
    """Half a sentence, "y off by 5.3, cosine 0.744"; "" where nothing differs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeReport:
    """What onnxruntime makes of a model with its optimisations, held against the same model without."""

    right: bool
    outputs: tuple[OutputOfRuntime, ...]
    """Empty where the optimised model does not run."""
    fault: str
    """What is wrong and which optimiser is to blame, a sentence; "" where nothing is."""
    optimizers_off: tuple[str, ...]
    """What it is right without."""
    optimisation: str
    """And the highest level of optimisations with which it is."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def against_runtime(model: Path, inputs: Feeds | None, tell: Callable[[str], object]) -> RuntimeReport:
    """On `inputs`, if given, and on generated ones; dims that the model leaves open get a small size that it takes.

    Raises ModelError for a model that does not run without optimisations either."""
    proto, _ = read_model(model)
    check_operands(proto, str(model))
    allowed, report = ceiling(proto), None
    with SettingsProcess() as process:
        for number, (feeds, right) in enumerate(_runs(proto, partial(process.run, model), inputs, str(model))):
            tell(f"comparing on input set {number + 1}")
            run = partial(process.run, model, feeds)
            here = _outputs(right.outputs, run(DEFAULT), proto)
            report = here if report is None else _joined(report, here)
            if report.right:
                continue
            searching = partial(tell, "which optimiser is at fault")
            blamed = Suspect(run=run, right=right.outputs, allowed=allowed, may_try=lambda _: True, tell=searching).blame()
            assert blamed is not None  # nothing limits the tries, and a run that was wrong is wrong again
            return _with_blame(report, blamed)
    assert report is not None
    return report


def _runs(proto: onnx.ModelProto, run: Callable[..., Ran], inputs: Feeds | None, where: str) -> Iterator[tuple[Feeds, Ran]]:
    """Inputs, and the model's outputs without optimisations on them. Raises ModelError where no inputs are taken."""
    problem, found = "", 0
    if inputs is not None:
        ran = run(inputs, OFF)
        if ran.problem:
            raise ModelError(f"onnxruntime cannot run the model on these inputs: {told(ran.problem)}", where=where)
        yield inputs, ran
        found += 1
    shapes = [small_shapes(proto, length, side) for length, side in SIZES]
    for size in [size for number, size in enumerate(shapes) if size not in shapes[:number]]:
        for seed in range(SETS):
            feeds = generate_inputs(proto, seed, size)
            ran = run(feeds, OFF)
            if ran.problem:
                problem = problem or told(ran.problem)
                break
            yield feeds, ran
            found += 1
        if found >= SETS:
            return
    if not found:
        raise ModelError(f"onnxruntime cannot run the model: {problem}", where=where, help="give inputs that it takes with --inputs")


def _outputs(right: Feeds, ran: Ran, proto: onnx.ModelProto) -> RuntimeReport:
    allowed = ceiling(proto)
    gaps = {} if ran.problem else {name: gap({name: right[name]}, ran.outputs, allowed) for name in right}
    outputs = tuple(OutputOfRuntime(name=name, right=one.score <= 1, words=one.words) for name, one in gaps.items())
    fine = not ran.problem and all(one.right for one in outputs)
    return RuntimeReport(right=fine, outputs=outputs, fault="", optimizers_off=(), optimisation=DEFAULT.optimisation)


def _joined(first: RuntimeReport, second: RuntimeReport) -> RuntimeReport:
    """The outputs of the later one where it is wrong, or says more."""
    before = {one.name: one for one in first.outputs}
    outputs = tuple(one if not one.right or not before[one.name].words else before[one.name] for one in second.outputs)
    return replace(second, right=first.right and second.right, outputs=outputs)


def _with_blame(report: RuntimeReport, blamed: Blamed) -> RuntimeReport:
    settings = blamed.settings
    remedy = "nothing that can be left out makes it right" if settings is None else f"cost of leaving it out: {blamed.cost}"
    settings = settings or DEFAULT
    fault = f"{blamed.accusation('the model')}; {remedy}"
    return replace(report, fault=fault, optimizers_off=settings.optimizers_off, optimisation=settings.optimisation)
