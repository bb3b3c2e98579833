"""What a task of the precision benchmark is: a model, samples, and how far its answers are right."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Arrays = Mapping[str, np.ndarray]
Run = Callable[[Arrays], Arrays]
"""Runs a model once: inputs by name to outputs by name."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Inputs of one or more runs in turn, and the right answer."""

    steps: tuple[Arrays, ...]
    truth: Any


@dataclass(frozen=True, slots=True)
class Task:
    """A model with real inputs whose right answers are known."""

    name: str
    metric: str
    model: Path
    """fp32, every dim bound: what each side starts from."""
    calibration: tuple[Arrays, ...]
    wrong_calibration: tuple[Arrays, ...]
    """Inputs of another kind: what is calibrated with them must do worse."""
    held_out: tuple[Sample, ...]
    reduce: Callable[[Arrays, Arrays], np.ndarray]
    """Inputs and outputs of one run to the little that is scored."""
    score: Callable[[Sequence[np.ndarray], Sequence[Any], Sequence[np.ndarray], Sequence[Any]], np.ndarray]
    """Answers and truths of the references, then of the held-out samples: a share between 0 and 1 for each of the latter."""
    references: tuple[Sample, ...] = ()
    """Labelled samples that the task learns from, with the model that is judged (centroids)."""
    carried: Mapping[str, str] = field(default_factory=dict)
    """Output to the input that takes it in the sample's next step."""
    least: float = 0.9
    """fp32 is right at least so often; below, the inputs are made wrongly."""

    def answers(self, run: Run, samples: Iterable[Sample]) -> list[np.ndarray]:
        """What a model answers to each sample: one row per step."""
        return [self._answer(run, sample) for sample in samples]

    def _answer(self, run: Run, sample: Sample) -> np.ndarray:
        rows, kept = [], {}
        for step in sample.steps:
            feeds = {**step, **kept}
            found = run(feeds)
            kept = {target: found[source] for source, target in self.carried.items()}
            rows.append(self.reduce(feeds, found))
        return np.stack(rows)

    def scores(self, references: Sequence[np.ndarray], answers: Sequence[np.ndarray], shuffled: int | None = None) -> np.ndarray:
        """One share per held-out sample; with a seed, against the labels of other samples."""
        known, truths = [s.truth for s in self.references], [s.truth for s in self.held_out]
        if shuffled is not None:
            generator = np.random.default_rng(shuffled)
            known, truths = ([labels[i] for i in generator.permutation(len(labels))] for labels in (known, truths))
        return self.score(references, known, answers, truths)

    def digest(self) -> str:
        """Of the model and of every sample: what cached answers belong to."""
        found = hashlib.sha256(self.model.read_bytes())
        for arrays in (*self.calibration, *self.wrong_calibration, *(step for s in (*self.references, *self.held_out) for step in s.steps)):
            for name in sorted(arrays):
                found.update(name.encode())
                found.update(np.ascontiguousarray(arrays[name]).tobytes())
        return found.hexdigest()[:16]
