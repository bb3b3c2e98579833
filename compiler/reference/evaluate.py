"""A model evaluated operator by operator in float64, with its own weights: the reference of every judgement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .bodies import CONTROL, run_control
from .cross_check import CrossCheck, Settled
from .device_functions import DeviceFunctions
from .float_source import steps_of
from .held import Held, hold, is_float, name_of, narrow, widen
from .kernels.call import Call, Steps
from .kernels.table import KERNELS
from .opinions import by_onnx, float_dtype
from .program import Program, Step
from .reached import reached
from .rounding import SINGLE, UNIT, Rounding, apply, exact, half, noisy
from .sum_lengths import NORMALISATIONS, PRODUCTS, terms_of

WIDENED = 1 << 29
"""Bytes of weights kept in float64 between runs; those of larger models are widened each time they are read."""
UNROUNDED = frozenset({"QuantizeLinear", "DequantizeLinear", "Resize", "Upsample"})
"""Operators whose weights (scales) no device rounds."""
COSTLY = {name: 8 for name in ("Softmax", "LayerNormalization", "Erf", "Gelu", "Tanh", "Sigmoid", "Exp", "Log", "Pow", "Sin", "Cos")}
"""Elementary operations for one element."""
POOLS = frozenset({"AveragePool", "GlobalAveragePool"})
"""What onnxruntime's blocked kernels (NCHWc) add up in one chain for each channel; other reductions add up in blocks."""
TIED = frozenset({"QuantizeLinear", "DynamicQuantizeLinear", "Round", "DynamicQuantizeMatMul"})
"""Operators that round to whole steps."""
FILL = 1e4
"""Magnitude from which on a number may be a fill."""
ABSORBED = 2.0
"""Unit roundoffs of a sum below which its smaller term leaves nothing."""
Scope = Mapping[str, Held]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one run gave."""

    values: dict[str, Any]
    """By tensor name; float64 for numbers of floating-point dtypes."""
    points: frozenset[tuple[str, str]]
    """Sides of operators that the values reached: (path, side)."""
    work: int
    """How much was computed, in elementary operations; counted, so that equal inputs give equal numbers."""


class Evaluator:
    """Evaluates one model, as often as wanted; what the cross-check settled is shared by all runs."""

    def __init__(self, program: Program, check: CrossCheck | None = None) -> None:
        self.program = program
        self.check = check or CrossCheck()
        total = sum(array.nbytes for array in program.weights.values() if hasattr(array, "nbytes"))
        self._kept: dict[str, Held] | None = {} if 2 * total <= WIDENED else None

    def run(self, inputs: Mapping[str, Any], tensors: Iterable[str] = (), rounding: Rounding = exact) -> Evaluation:
        """The outputs, and `tensors` of the main graph besides. Raises CannotEvaluate, and what a kernel raises on unfit values."""
        wanted = {*self.program.outputs, *tensors}
        run = _Run(self, rounding, wanted)
        given = {name: _rounded(hold(value), rounding) for name, value in inputs.items()}
        missing = [name for name in self.program.inputs if name not in given and name not in self.program.weights]
        if missing:
            raise ValueError(f"no value for the inputs {missing}")
        with np.errstate(all="ignore"):
            scope = run.graph(self.program, given, {}, keep=wanted)
        found = {name: scope[name] for name in wanted if name in scope}
        return Evaluation({name: held.value for name, held in found.items()}, frozenset(run.points), run.work)

    def weight(self, program: Program, name: str) -> Held:
        """A weight; those of the main graph are kept widened where they are small enough."""
        if program is not self.program or self._kept is None:
            return hold(program.weights[name])
        if name not in self._kept:
            self._kept[name] = hold(program.weights[name])
        return self._kept[name]


class _Run:
    """One run: how to round, and what was reached."""

    def __init__(self, evaluator: Evaluator, rounding: Rounding, wanted: set[str]) -> None:
        self.evaluator, self.rounding = evaluator, rounding
        self.points: set[tuple[str, str]] = set()
        self.work = 0
        self.functions = DeviceFunctions()

    def graph(self, program: Program, given: Mapping[str, Held], outer: Scope, keep: Iterable[str] = ()) -> dict[str, Held]:
        """Everything still known after the last operator: outputs, weights read, and `keep`."""
        own: dict[str, Held] = dict(given)
        scope = _Scope(self.evaluator, program, own, outer)
        kept = set(keep)
        for step in program.steps:
            results = self.step(step, scope)
            own.update((name, held) for name, held in zip(step.node.output, results, strict=False) if name)
            for name in step.frees:
                if name not in kept:
                    own.pop(name, None)
        own.update((name, scope[name]) for name in program.outputs if name not in own)
        return own

    def body(self, program: Program, given: Sequence[Held], outer: Scope) -> list[Held]:
        """The outputs of a body on its inputs, in order."""
        found = self.graph(program, dict(zip(program.inputs, given, strict=False)), outer)
        return [found[name] for name in program.outputs]

    def step(self, step: Step, scope: Scope) -> list[Held]:
        operands = [scope[name] if name else Held(None, "") for name in step.node.input]
        if step.function is not None:
            named = dict(zip(step.function.inputs, operands, strict=False))
            named |= {name: Held(None, "") for name in step.function.inputs if name not in named}
            found = self.graph(step.function, named, {})
            return [found[name] for name in step.function.outputs]
        if (step.domain, step.operator) in CONTROL:
            return run_control(step, operands, scope, self.body, self.points)
        if self.rounding is half:
            operands = [self._read(step, k, held, scope) for k, held in enumerate(operands)]
        elif isinstance(self.rounding, noisy) and operands and is_float(operands[0].dtype):
            operands = self._noised(step, self.rounding, operands)
        results = self._operator(step, operands)
        if isinstance(self.rounding, noisy) and step.operator == "Sigmoid":
            results = [Held(self.rounding.after_sigmoid(held.value, held.dtype), held.dtype) for held in results]
        if isinstance(self.rounding, noisy) and (depth := _in_a_chain(step, operands, self.rounding)) > 1:
            results = [Held(self.rounding.of_sums(held.value, depth), held.dtype) for held in results]
        if step.operator in ("Add", "Sub", "Sum"):
            results = [absorbed(held, operands) for held in results]
        if self.rounding is half:
            values = self.functions.applied(step.operator, step.node.input, step.node.output, [held.value for held in results])
            results = [Held(value, held.dtype) for value, held in zip(values, results, strict=True)]
        return [_rounded(held, self.rounding) for held in results]

    def _noised(self, step: Step, rounding: noisy, operands: list[Held]) -> list[Held]:
        """The operands, as an operator sees them that rounds to steps or adds up."""
        first, *others = operands
        if step.operator in TIED:
            return [Held(rounding.before_steps(first.value, first.dtype), first.dtype), *others]
        depth = terms_of(step, operands)
        if depth < 2:
            return operands
        if step.operator not in NORMALISATIONS:
            return [Held(rounding.in_sums(first.value, depth), first.dtype), *others]
        if not rounding.chained:
            return operands
        values = rounding.of_deviations(others[0].value, others[1].value if len(others) > 1 else None, depth)
        return [first, *(Held(value, held.dtype) for value, held in zip(values, others, strict=False)), *others[2:]]

    def _read(self, step: Step, k: int, held: Held, scope: Scope) -> Held:
        """Weights are rounded as they are read, unless no device would; in their own dtype they are already."""
        if held.own is None or step.operator in UNROUNDED or step.operator.startswith("QLinear"):
            return held
        return _rounded(held, self.rounding)

    def _operator(self, step: Step, operands: Sequence[Held]) -> list[Held]:
        kernel = KERNELS.get((step.domain, step.operator))
        check, steps = self.evaluator.check, steps_of(self.rounding)

        def evaluate(values: Sequence[Held]) -> list[Held]:
            assert kernel is not None
            call = _call(step, values, steps)
            results = kernel(call)
            return _held(step, values, results, check.settled.get(step.path))

        settled = check.settled.get(step.path)
        if settled is None:
            results = check.settle(step, operands, None if kernel is None else evaluate)
            settled = check.settled[step.path]
            results = _typed(results, step, operands, settled)
        elif settled.how == "kernel":
            results = evaluate(operands)
        else:
            results = by_onnx(step, operands) if settled.how == "onnx" else check.runtime(step, operands)
            results = _typed(results, step, operands, settled)
        self.work += _work(step, operands, results)
        self.points.update((step.path, side) for side in reached(_call(step, operands), tuple(held.value for held in results)))
        return results


class _Scope(Mapping[str, Held]):
    """Names as an operator sees them: of its own graph first, then of those around it."""

    def __init__(self, evaluator: Evaluator, program: Program, own: dict[str, Held], outer: Scope) -> None:
        self._evaluator, self._program, self._own, self._outer = evaluator, program, own, outer

    def __getitem__(self, name: str) -> Held:
        if name in self._own:
            return self._own[name]
        if name in self._program.weights:
            return self._evaluator.weight(self._program, name)
        return self._outer[name]

    def __iter__(self) -> Any:
        return iter({*self._own, *self._program.weights, *self._outer})

    def __len__(self) -> int:
        return len({*self._own, *self._program.weights, *self._outer})


def _call(step: Step, operands: Sequence[Held], steps: Steps | None = None) -> Call:
    return Call(
        operator=step.operator,
        domain=step.domain,
        version=step.version,
        attributes=step.attributes,
        inputs=tuple(held.value for held in operands),
        dtypes=tuple(held.dtype for held in operands),
        outputs=len(step.node.output),
        steps=steps,
    )


def _held(step: Step, operands: Sequence[Held], results: Sequence[Any], settled: Settled | None) -> list[Held]:
    """Results of a kernel with their declared dtypes."""
    values = [results[k] if k < len(results) else None for k in range(len(step.node.output))]
    return _typed([Held(value, "") for value in values], step, operands, settled)


def _typed(results: Sequence[Held], step: Step, operands: Sequence[Held], settled: Settled | None) -> list[Held]:
    return [Held(_widened(held.value), _dtype(k, held, step, operands, settled)) for k, held in enumerate(results)]


def _widened(value: Any) -> Any:
    if value is None:
        return None
    return [widen(np.asarray(item)) for item in value] if isinstance(value, (list, tuple)) else widen(np.asarray(value))


def _dtype(k: int, held: Held, step: Step, operands: Sequence[Held], settled: Settled | None) -> str:
    if held.value is None:
        return ""
    first = held.value[0] if isinstance(held.value, (list, tuple)) and held.value else held.value
    if isinstance(first, (list, tuple)):
        return float_dtype(operands)
    name = name_of(np.asarray(first).dtype)
    if not is_float(name):
        return name
    if settled is not None and k < len(settled.dtypes) and settled.dtypes[k]:
        return settled.dtypes[k]
    stated = step.attributes.get("to", step.attributes.get("dtype", step.attributes.get("output_dtype")))
    if isinstance(stated, int) and stated and step.operator != "QuantizeLinear":
        import onnx

        return str(onnx.helper.tensor_dtype_to_np_dtype(stated).name)
    return float_dtype(operands)


def _work(step: Step, operands: Sequence[Held], results: Sequence[Held]) -> int:
    """Multiplications of a product, elements of anything else."""
    made = sum(int(np.size(held.value)) for held in results if not isinstance(held.value, list))
    return made * (max(terms_of(step, operands), 1) if step.operator in PRODUCTS else COSTLY.get(step.operator, 1))


def _in_a_chain(step: Step, operands: Sequence[Held], rounding: noisy) -> int:
    """How many terms are added one after the other; 1 where a sum is added up in blocks, or nothing is."""
    if step.operator in POOLS:
        return _pooled(step, operands)
    chained = rounding.chained and step.operator not in NORMALISATIONS and operands and is_float(operands[0].dtype)
    return terms_of(step, operands) if chained else 1


def _pooled(step: Step, operands: Sequence[Held]) -> int:
    """How many elements one of a pool averages, at most."""
    sizes = np.shape(operands[0].value)[2:]
    kernel = step.attributes.get("kernel_shape", sizes)
    return int(np.prod([min(pair) for pair in zip(sizes, kernel, strict=True)]))


def absorbed(held: Held, operands: Sequence[Held]) -> Held:
    """A sum in which a fill (the -1e9 of a mask) leaves nothing of the other term in the declared dtype, as that dtype has it: this is what
    a model means by a fill. Kept in float64, the scores behind a row that is masked as a whole would come back after the softmax."""
    if not is_float(held.dtype) or held.value is None or not np.size(held.value) or np.abs(held.value).max() < FILL:
        return held
    smallest = np.min(np.broadcast_arrays(*(np.abs(one.value) for one in operands)), axis=0)
    large = (np.abs(held.value) >= FILL) & (smallest < ABSORBED * UNIT.get(held.dtype, SINGLE) * np.abs(held.value))
    if not large.any():
        return held
    own = widen(np.asarray(narrow(held.value, held.dtype)))
    return Held(np.where(large & np.isfinite(own), own, held.value), held.dtype)


def _rounded(held: Held, rounding: Rounding) -> Held:
    if rounding is exact or held.value is None or not is_float(held.dtype):
        return held
    return Held(apply(rounding, held.value, held.dtype), held.dtype)
