"""How near a bundle is to the float model, by its own run: the bundle as it would be used against the model on onnxruntime, on samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..bundle.precision_record import AccuracyRecord
from ..devices.cpu_session import open_session
from ..errors import ModelError, first_line
from ..load.source import Source
from ..run.bundle import Bundle
from .interval import mean_interval
from .plain_model import session_of

if TYPE_CHECKING:
    import onnxruntime


def measure_accuracy(folder: Path, source: Source, samples: Iterable[Mapping[str, Any]], held_out: bool) -> tuple[AccuracyRecord, ...]:
    """Of a bundle, as `accuracy_of`. Devices that are not here are stood in for by the CPU."""
    return accuracy_of(Bundle.load(folder).session(emulate=True).run, source, samples, held_out)


def accuracy_of(
    run: Callable[[Mapping[str, Any]], Mapping[str, Any]], source: Source, samples: Iterable[Mapping[str, Any]], held_out: bool
) -> tuple[AccuracyRecord, ...]:
    """A record for each output of numbers that a run returns. run: what is measured, from inputs to outputs by name; source: the float
    model; held_out: whether scales were made without the samples."""
    pairs: dict[str, list[tuple[float, float | None]]] = {}
    reference = float_session(source)
    names = [output.name for output in reference.get_outputs()]
    for sample in samples:
        expected = dict(zip(names, _run(reference, names, sample, source), strict=True))
        got = run(sample)
        for name in names:
            if name in got and _is_real(expected[name]):
                pairs.setdefault(name, []).append((cosine(expected[name], got[name]), _top1(expected[name], got[name])))
    return tuple(_record(name, rows, held_out) for name, rows in pairs.items())


def float_session(source: Source) -> onnxruntime.InferenceSession:
    """The float model on onnxruntime. Raises ModelError where that refuses it."""
    try:
        return open_session(source, spin=False) if isinstance(source, Path) else session_of(source.proto)
    except Exception as problem:  # onnxruntime's exceptions share no base class
        raise _unmeasured(source, problem) from None


def _run(session: onnxruntime.InferenceSession, names: Sequence[str], sample: Mapping[str, Any], source: Source) -> Sequence[Any]:
    try:
        found: Sequence[Any] = session.run(list(names), dict(sample))
    except Exception as problem:  # onnxruntime's exceptions share no base class
        raise _unmeasured(source, problem) from None
    return found


def _unmeasured(source: Source, problem: Exception) -> ModelError:
    message = f"accuracy cannot be measured: the float model does not run on onnxruntime: {first_line(problem)}"
    return ModelError(message, where=str(source), help="--no-verify compiles without measuring it")


def _is_real(value: Any) -> bool:
    return hasattr(value, "dtype") and value.dtype.kind == "f" and value.size > 0


def cosine(expected: Any, got: Any) -> float:
    """1 of two arrays of zeros; of numbers that are not finite, -1."""
    import numpy as np

    a, b = np.asarray(expected, np.float64).ravel(), np.asarray(got, np.float64).ravel()
    if a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return -1.0
    size = np.sqrt((a @ a) * (b @ b))
    return float(np.clip(a @ b / size, -1.0, 1.0)) if size else float(not (a.any() or b.any()))


def _top1(expected: Any, got: Any) -> float | None:
    if expected.ndim == 0 or expected.shape[-1] < 2:
        return None
    return float((expected.argmax(-1) == got.argmax(-1)).mean())


def _record(name: str, rows: Sequence[tuple[float, float | None]], held_out: bool) -> AccuracyRecord:
    cosines, tops = [cosine for cosine, _ in rows], [top for _, top in rows if top is not None]
    return AccuracyRecord(
        output=name,
        samples=len(rows),
        held_out=held_out,
        cosine=sum(cosines) / len(rows),
        least_cosine=min(cosines),
        top1=sum(tops) / len(tops) if tops else None,
        cosine_interval=mean_interval(cosines),
        top1_interval=mean_interval(tops),
    )
