"""The range of every float tensor of a graph over calibration samples.

Samples are run one by one, tensors are looked at in groups: what is in memory at once are the tensors of one group for one sample. So a
model is run (samples x groups) times, once more where a histogram is wanted, whose ends must be known first.
Histograms and what they make of them (percentile, entropy) are onnxruntime's: `onnxruntime.quantization.calibrate.HistogramCollector`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from ...passes.graph.graph import Graph
from ...passes.precision.scales import Range
from ..devices.cpu_session import open_session
from ..errors import ModelError, UsageError, did_you_mean, first_line
from .plain_model import plain_model, write_model

if TYPE_CHECKING:
    import onnx

Method = Literal["minmax", "percentile", "entropy"]
METHODS: tuple[Method, ...] = get_args(Method)
GROUP_BYTES = 1 << 28
"""Of the tensors that are looked at in one run."""
UNKNOWN_BYTES = 1 << 22
"""Taken for a tensor whose size is not known."""
BINS, QUANTISED_BINS, PERCENTILE = 2048, 128, 99.999
"""Those of onnxruntime's calibrators; 2048 bins for entropy, too: with 128 every threshold is a multiple of 1/64 of the largest value."""
Samples = Callable[[], Iterable[Mapping[str, Any]]]
"""Gives the samples from the first to the last, as often as it is called."""


def check_method(name: str) -> Method:
    """Raises UsageError for a name of no method."""
    for method in METHODS:
        if method == name:
            return method
    raise UsageError(f"'{name}' is not a calibration method", help=did_you_mean(name, METHODS) or f"one of {', '.join(METHODS)}")


def float_tensors(graph: Graph) -> tuple[str, ...]:
    """Names of the tensors that vary and are fp32, inputs first, then in the order of the nodes."""
    written = (name for node in graph.nodes for name in node.writes)
    return tuple(name for name in (*graph.inputs, *written) if graph.tensor(name).dtype == "fp32")


def ranges_of(graph: Graph, samples: Samples, method: Method = "minmax") -> dict[str, Range]:
    """By tensor. Raises ModelError where the model does not run on a sample or computes a number that is not finite."""
    names = float_tensors(graph)
    written = tuple(name for name in names if name not in graph.inputs)
    given = tuple(name for name in names if name in graph.inputs)
    found: dict[str, Range] = {}
    with _written(graph) as open_with:
        groups = list(_groups(graph, written)) or [()]
        for group in groups:
            for sample, arrays in _arrays(open_with, group, given if group is groups[0] else (), samples):
                _widen(found, arrays, sample)
        if method == "minmax":
            return found
        for group in groups:
            collected = _collector(method)
            for _, arrays in _arrays(open_with, group, given if group is groups[0] else (), samples):
                _collect(collected, arrays, found)
            found.update(_narrowed(collected, found))
    return found


def values_of(graph: Graph, names: Sequence[str], samples: Samples) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number of the sample, arrays) of tensors that the graph computes, a group of them at a time."""
    with _written(graph) as open_with:
        for group in _groups(graph, names):
            yield from _arrays(open_with, group, (), samples)


Open = Callable[[Sequence[str]], "_Runner"]


class _Runner:
    """A session of the graph with some of its tensors as outputs."""

    def __init__(self, model: onnx.ModelProto, outputs: Sequence[str], folder: Path) -> None:
        self.outputs = outputs
        place = folder / "calibrated.onnx"
        write_model(model, place)
        self.session = open_session(place, optimise=False, spin=False)

    def __call__(self, sample: Mapping[str, Any], number: int) -> dict[str, Any]:
        if not self.outputs:
            return {}
        try:
            values = self.session.run(list(self.outputs), dict(sample))
        except Exception as problem:  # onnxruntime's exceptions share no base class
            raise ModelError(f"the model does not run on calibration sample {number}: {first_line(problem)}") from None
        return dict(zip(self.outputs, values, strict=True))


@contextmanager
def _written(graph: Graph) -> Iterator[Open]:
    plain = plain_model(graph)
    results = [value.name for value in plain.graph.output]
    with tempfile.TemporaryDirectory(prefix="autoglmc-") as folder:

        def open_with(names: Sequence[str]) -> _Runner:
            del plain.graph.output[len(results) :]
            plain.graph.output.extend(graph.value_info(name) for name in names if name not in results)
            return _Runner(plain, names, Path(folder))

        yield open_with


def _groups(graph: Graph, names: Iterable[str]) -> Iterator[tuple[str, ...]]:
    group: list[str] = []
    total = 0
    for name in names:
        size = graph.tensor(name).bytes or UNKNOWN_BYTES
        if group and total + size > GROUP_BYTES:
            yield tuple(group)
            group, total = [], 0
        group.append(name)
        total += size
    if group:
        yield tuple(group)


def _arrays(open_with: Open, group: Sequence[str], given: Sequence[str], samples: Samples) -> Iterator[tuple[int, dict[str, Any]]]:
    run = open_with(group)
    for number, sample in enumerate(samples(), 1):
        yield number, {**{name: sample[name] for name in given}, **run(sample, number)}


def _widen(found: dict[str, Range], arrays: Mapping[str, Any], sample: int) -> None:
    import numpy as np

    for name, array in arrays.items():
        if not array.size:
            continue
        own = Range(float(array.min()), float(array.max()))
        if np.isnan(own.low) or np.isnan(own.high):
            raise ModelError(f"the model computes NaN in {name} on calibration sample {sample}", help="its ranges cannot be known")
        found[name] = found[name].joined(own) if name in found else own


# ---- histograms --------------------------------------------------------------------------------------------------


def _collector(method: Method) -> Any:
    from onnxruntime.quantization.calibrate import HistogramCollector

    return HistogramCollector(method, False, BINS, QUANTISED_BINS, PERCENTILE, "same")


def _collect(collector: Any, arrays: Mapping[str, Any], known: Mapping[str, Range]) -> None:
    """The collector is given the ends first: else a sample larger than the first one adds bins of the first one's width without end."""
    import numpy as np

    for name, array in arrays.items():
        found = known.get(name)
        if found is None or not found.usable or not array.size:
            continue
        if name not in collector.histogram_dict:
            most = np.float32(max(abs(found.low), abs(found.high), float(np.finfo(np.float32).tiny)))
            edges = np.linspace(-most, most, BINS + 1, dtype=np.float32)
            collector.histogram_dict[name] = (np.zeros(BINS, np.int64), edges, np.float32(found.low), np.float32(found.high), most)
        collector.collect_value({name: array})


def _narrowed(collector: Any, known: Mapping[str, Range]) -> dict[str, Range]:
    if not collector.histogram_dict:
        return {}
    with redirect_stdout(StringIO()):
        found = collector.compute_collection_result()
    ends = {name: Range(float(values[0]), float(values[1])) for name, values in found.items()}
    return {
        name: Range(max(own.low, known[name].low), min(own.high, known[name].high)) for name, own in ends.items() if own.low <= own.high
    }
