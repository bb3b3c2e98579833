"""How far a model's outputs move where some of its operators run in another form: measured on calibration samples, against the float model.

The loss of an output is the root mean square of the difference over that of the output, all samples together; that of a model is its worst
output's (`targets/precision.Prefer`). Kept between runs by the model that was written and the samples.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...passes.graph.graph import Graph
from ...passes.precision.quantise import quantise
from ...passes.precision.scales import Range
from ...targets.dtypes import PLAIN_FLOATS
from ...targets.precision import Form
from ..cache.entries import keep_below
from ..cache.folders import RANGES, cache_folder
from ..cache.whole import keep_bytes, kept_bytes
from ..devices.cpu_session import open_session
from ..errors import ModelError, UserError, first_line
from .plain_model import plain_model, write_model

if TYPE_CHECKING:
    import onnx

VERSION = "1"
"""Of how losses are measured."""


@dataclass(frozen=True, slots=True)
class Judge:
    """The float model's outputs on some samples."""

    graph: Graph
    ranges: Mapping[str, Range]
    samples: Sequence[Mapping[str, Any]]
    expected: tuple[tuple[Any, ...], ...]
    """Per sample and output."""

    def loss(self, forms: Mapping[str, Form]) -> float:
        """Of the model with these operators in these forms, the others in fp32; infinite where its outputs are not finite."""
        return _loss(self.expected, self.run(forms))

    def cosine(self, forms: Mapping[str, Form]) -> float:
        """The mean over samples of the least of the outputs."""
        got = self.run(forms)
        return sum(min(map(_cosine, own, other)) for own, other in zip(self.expected, got, strict=True)) / len(got)

    def run(self, forms: Mapping[str, Form]) -> tuple[tuple[Any, ...], ...]:
        """Outputs of floats, per sample."""
        copy = Graph(plain_model(self.graph))
        quantise(copy, forms, self.ranges)
        return outputs_of(plain_model(copy), self.samples, tuple(_floats(self.graph)))


def judge_of(graph: Graph, ranges: Mapping[str, Range], samples: Iterable[Mapping[str, Any]]) -> Judge:
    """Runs the graph. Raises ModelError where it does not run."""
    kept = tuple(samples)
    return Judge(graph, ranges, kept, outputs_of(plain_model(graph), kept, tuple(_floats(graph))))


def outputs_of(model: onnx.ModelProto, samples: Sequence[Mapping[str, Any]], names: Sequence[str]) -> tuple[tuple[Any, ...], ...]:
    """By onnxruntime on the CPU."""
    with tempfile.TemporaryDirectory(prefix="autoglmc-") as folder:
        place = Path(folder) / "model.onnx"
        write_model(model, place)
        try:
            session = open_session(place, spin=False)
            return tuple(tuple(session.run(list(names), dict(sample))) for sample in samples)
        except Exception as problem:  # onnxruntime's exceptions share no base class
            raise ModelError(f"the model does not run on a calibration sample: {first_line(problem)}") from None


def kept_losses(key: str) -> dict[str, float]:
    """By a name of the unit and form; nothing where none are kept."""
    with suppress(UserError, ValueError, TypeError, AttributeError):
        data = kept_bytes(cache_folder(RANGES.name) / f"{key}.losses{VERSION}")
        if data is not None:
            return {name: float.fromhex(value) for name, value in json.loads(data).items()}
    return {}


def keep_losses(key: str, found: Mapping[str, float]) -> None:
    """Where the cache cannot be written, they are measured again the next time."""
    with suppress(UserError, OSError):
        folder: Path = cache_folder(RANGES.name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if keep_bytes(folder / f"{key}.losses{VERSION}", json.dumps({name: value.hex() for name, value in found.items()}).encode()):
            keep_below(folder, RANGES.limit)


def _floats(graph: Graph) -> Iterable[str]:
    return (name for name in graph.outputs if graph.tensor(name).dtype in PLAIN_FLOATS)


def _loss(expected: Sequence[Sequence[Any]], got: Sequence[Sequence[Any]]) -> float:
    import numpy as np

    worst = 0.0
    for own, other in zip(zip(*expected, strict=True), zip(*got, strict=True), strict=True):
        off = sum(float(np.square(np.subtract(a, b, dtype=np.float64)).sum()) for a, b in zip(own, other, strict=True))
        size = sum(float(np.square(a, dtype=np.float64).sum()) for a in own)
        worst = max(worst, math.sqrt(off / size) if size else float(off > 0)) if math.isfinite(off) else math.inf
    return worst


def _cosine(expected: Any, got: Any) -> float:
    import numpy as np

    a, b = np.asarray(expected, np.float64).ravel(), np.asarray(got, np.float64).ravel()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size and math.isfinite(size) else float(not (a.any() or b.any()))
