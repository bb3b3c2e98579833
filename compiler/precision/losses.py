"""How far a model's outputs move where some of its operators run in another form: measured on calibration samples, against the float model.

The loss of an output is the root mean square of the difference over that of the output, all samples together; that of a model is its worst
output's (`targets/precision.Prefer`). `kept_ranges.py` keeps them between runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...passes.graph.graph import Graph
from ...passes.precision.block_rounding import TO_NEAREST, BlockRounding
from ...passes.precision.quantise import quantise
from ...passes.precision.scales import Range
from ...targets.dtypes import PLAIN_FLOATS
from ...targets.precision import Form
from ..errors import ModelError, first_line
from .accuracy import cosine
from .plain_model import plain_model, session_of

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True)
class Judge:
    """The float model's outputs on some samples."""

    graph: Graph
    ranges: Mapping[str, Range]
    samples: Sequence[Mapping[str, Any]]
    expected: tuple[tuple[Any, ...], ...]
    """Per sample and output."""
    rounding: BlockRounding = TO_NEAREST
    """Of weights in blocks."""

    def loss(self, forms: Mapping[str, Form]) -> float:
        """Of the model with these operators in these forms, the others in fp32; infinite where its outputs are not finite."""
        return loss_of(self.expected, self.run(forms))

    def cosine(self, forms: Mapping[str, Form]) -> float:
        """The mean over samples of the least of the outputs."""
        got = self.run(forms)
        return sum(min(map(cosine, own, other)) for own, other in zip(self.expected, got, strict=True)) / len(got)

    def run(self, forms: Mapping[str, Form]) -> tuple[tuple[Any, ...], ...]:
        """Outputs of floats, per sample."""
        copy = Graph(plain_model(self.graph))
        quantise(copy, forms, self.ranges, self.rounding)
        return outputs_of(plain_model(copy), self.samples, tuple(float_outputs(self.graph)))


def judge_of(
    graph: Graph, ranges: Mapping[str, Range], samples: Iterable[Mapping[str, Any]], rounding: BlockRounding = TO_NEAREST
) -> Judge:
    """Runs the graph. Raises ModelError where it does not run."""
    kept = tuple(samples)
    return Judge(graph, ranges, kept, outputs_of(plain_model(graph), kept, tuple(float_outputs(graph))), rounding)


def outputs_of(model: onnx.ModelProto, samples: Sequence[Mapping[str, Any]], names: Sequence[str]) -> tuple[tuple[Any, ...], ...]:
    """By onnxruntime on the CPU."""
    try:
        session = session_of(model)
        return tuple(tuple(session.run(list(names), dict(sample))) for sample in samples)
    except Exception as problem:  # onnxruntime's exceptions share no base class
        raise ModelError(f"the model does not run on a calibration sample: {first_line(problem)}") from None


def float_outputs(graph: Graph) -> Iterable[str]:
    """Names of the outputs that losses are of."""
    return (name for name in graph.outputs if graph.tensor(name).dtype in PLAIN_FLOATS)


def loss_of(expected: Sequence[Sequence[Any]], got: Sequence[Sequence[Any]]) -> float:
    """Of outputs per sample; infinite where they are not finite."""
    import numpy as np

    worst = 0.0
    for own, other in zip(zip(*expected, strict=True), zip(*got, strict=True), strict=True):
        off = sum(float(np.square(np.subtract(a, b, dtype=np.float64)).sum()) for a, b in zip(own, other, strict=True))
        size = sum(float(np.square(a, dtype=np.float64).sum()) for a in own)
        worst = max(worst, math.sqrt(off / size) if size else float(off > 0)) if math.isfinite(off) else math.inf
    return worst
