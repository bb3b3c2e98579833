"""Integers on LiteRT: how many steps is each operator of a quantised model from what the QDQ model says?

    python benchmarks/litert_integers.py [--form own|onnxruntime] [--units] [NAME…]

Needs the extra `litert`. Models of the test suite in int8: by `--precision int8` ("own"), or by onnxruntime's static quantiser with a scale
for each channel. Each is compiled for benchmarks/litert_cpu.hw. Every unit of its LiteRT segments (an operator between DequantizeLinear and
QuantizeLinear) runs by itself as the device runs it, a file of our emitter bound to addresses, on the integers that reach it in the
reference: onnxruntime with its optimisations off, which rounds where the model says. Where integers differ, a float64 evaluation of the
unit says whether its number lies on a tie. The bundle is then run as a whole against the same reference, where all that differs adds
up: the least cosine of an output.

Ends with 1 where a unit is off by more than a step, or one that is stated to be exact differs elsewhere than on ties.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from integer_units import Parts, UnitDistance, distances, reference

TARGET = Path(__file__).with_name("litert_cpu.hw")
DEVICE = "cpu"
OWN, ORT = "own", "onnxruntime"
MODELS = (
    "lightnet",
    "ppocr2_cls",
    "ppocr4_det",
    "ppocr4_rec",
    "onnx_seeded_resnet50",
    "onnx_seeded_shufflenet",
    "bert_tiny",
    "magika_v3_3",
)
NOT_QUANTISED = {("magika_v3_3", ORT): "onnxruntime's quantiser ends with a ValueError on it"}
EXACT, BEHIND = frozenset({"Add", "Conv", "Gemm", "MatMul", "Sub", "Sum"}), frozenset({"Relu", "Clip"})
"""Operators whose integers are stated to be onnxruntime's but for ties (docs/devices.md), and what may stand behind them."""
COLUMNS = (
    "model", "quantised by", "units", "in integers", "elements of those", "1 step apart", "of those on a tie", "units further apart",
    "cosine",
)  # fmt: skip
SAMPLES, PER_CHANNEL, LEAST_OPSET, LIFTED = 4, "channel", 13, 17
NODE = re.compile(r" \(.*?\)")
"""The name of one in a reason."""
SEED = 77
"""Of the inputs that are compared, which no scale was made with."""


@dataclass(frozen=True)
class Compared:
    """One quantised model."""

    name: str
    form: str
    units: tuple[UnitDistance, ...]
    cosine: float
    """Of the bundle's outputs with the reference's, the least."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *MODELS], metavar="NAME", default=[])
    parser.add_argument("--form", choices=(OWN, ORT), help="quantised by one of the two alone")
    parser.add_argument("--units", action="store_true", help="a line for each kind of unit")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    wrong: list[str] = []
    reasons: Counter[str] = Counter()
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for name in given.names or MODELS:
        for form in (given.form,) if given.form else (OWN, ORT):
            if why := NOT_QUANTISED.get((name, form)):
                print(f"| {name} | {form} | {why} |")
                continue
            with tempfile.TemporaryDirectory(prefix="autoglmc-") as folder:
                found = compared(name, form, Path(folder))
            print(row(found), flush=True)
            if given.units:
                print("\n".join(lines(found.units)), flush=True)
            wrong += [f"{name} by {form}: {text}" for text in faults(found.units)]
            reasons.update(NODE.sub("", one.why_in_floats) for one in found.units if one.in_floats)
    print("in floats:")
    for why, number in reasons.most_common():
        print(f"  {number:4}  {why}")
    print("\n".join(wrong) if wrong else "every operator within a step, and those that are exact elsewhere than on ties the same")
    return 1 if wrong else 0


def compared(name: str, form: str, folder: Path) -> Compared:
    """Raises UserError where the model is not compiled."""
    from models import SHAPES, model_path

    from autoglmc.compiler.inputs.generate_inputs import generate_inputs

    model = onnx.load(model_path(name))
    bound = _bound(model, SHAPES[name])
    bundle = _bundle(name, form, model_path(name), SHAPES[name], bound, folder)
    feeds = generate_inputs(bound, SEED)
    values, units = dict(feeds), []
    for segment, on_device in _segments(bundle):
        if on_device:
            units += distances(segment, values, on_litert)
        values |= reference(segment, values, [value.name for value in segment.graph.output])
    return Compared(name, form, tuple(units), _cosine(bundle, feeds, values))


def _bound(model: onnx.ModelProto, shapes: Mapping[str, Any]) -> onnx.ModelProto:
    from autoglmc.compiler.load.bind_shapes import bind_shapes

    bind_shapes(model, dict(shapes))
    return model


def _bundle(name: str, form: str, source: Path, shapes: Mapping[str, Any], bound: onnx.ModelProto, folder: Path) -> Path:
    """The folder of a bundle that has the model in integers."""
    from autoglmc.compiler.driver.compile_model import compile_model
    from autoglmc.compiler.inputs.generate_inputs import generate_inputs
    from autoglmc.compiler.precision.request import PrecisionRequest

    made = folder / f"{name}.bundle"
    if form == ORT:
        compile_model(_by_onnxruntime(bound, folder), str(TARGET), output=made, verify=False)
        return made
    samples = folder / "samples"
    samples.mkdir()
    for seed in range(SAMPLES):
        np.savez(samples / f"{seed}.npz", **generate_inputs(bound, seed))
    request = PrecisionRequest(precision="int8", data=str(samples))
    compile_model(source, str(TARGET), shapes=shapes, output=made, verify=False, precision=request)
    return made


def _by_onnxruntime(bound: onnx.ModelProto, folder: Path) -> Path:
    """Scales of channels need opset 13."""
    from gate_models import quantised, tell_biases_apart
    from onnx.version_converter import convert_version

    opset = next(entry.version for entry in bound.opset_import if entry.domain in ("", "ai.onnx"))
    model = convert_version(bound, LIFTED) if opset < LEAST_OPSET else bound
    tell_biases_apart(model)
    return quantised(model, PER_CHANNEL, {}, folder / "quantised.onnx")


def _segments(bundle: Path) -> Iterator[tuple[onnx.ModelProto, bool]]:
    """In the order in which they run, and whether LiteRT runs them."""
    from autoglmc.compiler.bundle.manifest_json import read_manifest

    for segment in read_manifest(bundle).segments:
        yield onnx.shape_inference.infer_shapes(onnx.load(bundle / segment.file)), segment.device == DEVICE


def on_litert(parts: Parts) -> list[Any]:
    """Compiled and bound to addresses by the adapter, in a process of their own. Raises SystemExit where one is refused."""
    from autoglmc.compiler.devices.litert.adapter import LiteRtAdapter
    from autoglmc.compiler.probe.try_models import try_models

    results = []
    for (model, _), tried in zip(parts, try_models(LiteRtAdapter(), (), parts), strict=True):
        (result,) = (value.name for value in model.graph.output)
        if tried.outputs is None:
            raise SystemExit(f"{result}: {tried.message}")
        results.append(tried.outputs[result])
    return results


def _cosine(bundle: Path, feeds: Mapping[str, Any], expected: Mapping[str, Any]) -> float:
    from autoglmc.compiler.run.bundle import Bundle

    found = 1.0
    for name, got in Bundle.load(bundle).run(feeds).items():
        one, other = (np.asarray(array, np.float64).ravel() for array in (got, expected[name]))
        found = min(found, float(one @ other / max(np.linalg.norm(one) * np.linalg.norm(other), 1e-30)))
    return found


def row(found: Compared) -> str:
    inside = [one for one in found.units if not one.in_floats]
    elements, apart, ties = (sum(getattr(one, what) for one in inside) for what in ("elements", "apart", "ties"))
    cells = (
        found.name, found.form, len(found.units), len(inside), f"{elements:,}", f"{apart:,} ({apart / max(elements, 1):.2%})", f"{ties:,}",
        sum(one.steps > 1 for one in inside), f"{found.cosine:.5f}",
    )  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def lines(units: Sequence[UnitDistance]) -> Iterator[str]:
    """A line for each kind of unit, in integers and in floats."""
    for floats, operators in sorted({(one.in_floats, one.operators) for one in units}):
        mine = [one for one in units if (one.in_floats, one.operators) == (floats, operators)]
        elements, apart, ties = (sum(getattr(one, what) for one in mine) for what in ("elements", "apart", "ties"))
        head = f"    {' '.join(operators):40} {'floats' if floats else 'integers':8} {len(mine):4} units"
        yield f"{head}, {apart:7} of {elements:9} apart, {ties:6} on ties, at most {max(one.share for one in mine):.2%} of one"


def faults(units: Sequence[UnitDistance]) -> Iterator[str]:
    for one in (unit for unit in units if not unit.in_floats):
        if one.steps > 1:
            yield f"{one.result} ({' '.join(one.operators)}) is {one.steps} steps off"
        elif exact(one) and one.apart > one.ties:
            yield f"{one.result} ({' '.join(one.operators)}) differs in {one.apart - one.ties} of {one.elements} elements that are no ties"


def exact(unit: UnitDistance) -> bool:
    """Whether the integers are stated to be onnxruntime's but for ties."""
    first, *behind = unit.operators
    return first in EXACT and BEHIND.issuperset(behind) and "BATCH_MATMUL" not in unit.codes


if __name__ == "__main__":
    raise SystemExit(main())
