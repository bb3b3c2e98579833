"""Whether a bundle is as accurate as asked, by its own run: against the float model on samples, and as functions of the user's see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import structs

from ..bundle.manifest import LimitRecord, Manifest
from ..bundle.precision_record import AccuracyRecord, ScoreRecord
from ..errors import UsageError
from ..load.source import Source
from ..quantities import count
from ..run.bundle import Bundle
from .accuracy import float_session, measure_accuracy
from .accuracy_script import AccuracyScript, Score, accuracy_script
from .asked_accuracy import OPTION, AskedAccuracy, ScriptLimit
from .calibration_data import CalibrationData
from .interval import mean_interval
from .split import Split

if TYPE_CHECKING:
    import onnxruntime

EXACT = 12
"""Decimals of a margin: 0.93 less 0.92 is a drop of 0.01."""


@dataclass(frozen=True, slots=True)
class AccuracyCheck:
    """Of one compilation. Scripts are imported, and have seen the float model."""

    source: Source
    """The float model."""
    limits: tuple[ScriptLimit, ...]
    scripts: Mapping[str, AccuracyScript]
    before: Mapping[str, Score]
    """By script, for the float model; none where the script compares the two itself."""

    def measured(self, folder: Path, manifest: Manifest, data: CalibrationData | None, split: Split | None) -> Manifest:
        """The manifest with what a run of the bundle in the folder shows. `data`: samples, where there are any."""
        outputs: tuple[AccuracyRecord, ...] = ()
        if data is not None and split is not None:
            outputs = measure_accuracy(folder, self.source, split.judged(data), split.holds_out)
            manifest = _told(manifest, outputs)
        scores = tuple(self._scores(folder)) if self.scripts else ()
        limits = (*(_measured(limit, outputs) for limit in manifest.limits), *(_record(limit, scores) for limit in self.limits))
        return structs.replace(manifest, limits=limits, scores=scores)

    def _scores(self, folder: Path) -> Iterator[ScoreRecord]:
        session = Bundle.load(folder).session(emulate=True)
        for words, script in self.scripts.items():
            if script.takes_both:
                found = script.score(session.run, _runner(float_session(self.source)))
                yield _score(words, None, found, found.values)
            else:
                found, before = script.score(session.run), self.before[words]
                yield _score(words, before.mean, found, _differences(script, before, found))


def accuracy_check(asked: AskedAccuracy, source: Source) -> AccuracyCheck:
    """Imports the scripts, and calls those that take one run with the float model's. Raises UsageError and UserError as they do, and
    UsageError where not even the float model keeps a limit."""
    scripts = {words: accuracy_script(words) for words in dict.fromkeys(limit.script for limit in asked.scripts)}
    for limit in asked.scripts:
        _check_fits(limit, scripts[limit.script])
    alone = {words: script for words, script in scripts.items() if not script.takes_both}
    reference = float_session(source) if alone else None
    before = {words: script.score(_runner(reference)) for words, script in alone.items()} if reference is not None else {}
    for limit in asked.scripts:
        if not limit.change and limit.script in before:
            _check_reachable(limit, before[limit.script].mean)
    return AccuracyCheck(source, asked.scripts, scripts, before)


def _check_fits(limit: ScriptLimit, script: AccuracyScript) -> None:
    if limit.change and script.takes_both:
        message = f"{limit.script} compares the bundle with the model itself, so there is no {limit.change} of it"
        if not limit.stated:
            message = f"{limit.script} compares the bundle with the model itself, so a limit on what it returns is needed"
        raise UsageError(message, help=f"write `{limit.script} >= NUMBER`, or `<=`")


def _check_reachable(limit: ScriptLimit, before: float) -> None:
    kept = before >= limit.value if limit.comparison.startswith(">") else before <= limit.value
    if not kept:
        message = f"the float model itself has {limit.script} {before:.6g}, and --accuracy asks for {limit.comparison} {limit.text}"
        change = "drop" if limit.comparison.startswith(">") else "rise"
        help = f"no precision brings that; `{limit.script} {change} <= 1 %` asks for what the float model has, less 0.01"
        raise UsageError(message, help=help.replace("less", "plus") if change == "rise" else help)


def _runner(session: onnxruntime.InferenceSession) -> Any:
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, dict(inputs)), strict=True))


def _differences(script: AccuracyScript, before: Score, after: Score) -> Sequence[float]:
    if len(before.values) != len(after.values):
        numbers = f"{count(len(before.values), 'number')} for the float model and {len(after.values)} for the bundle"
        raise UsageError(f"{script.words} returned {numbers}", where=str(script.file), help="one for each sample, of the same samples")
    return [new - old for old, new in zip(before.values, after.values, strict=True)]


def _score(words: str, before: float | None, found: Score, pairs: Sequence[float]) -> ScoreRecord:
    return ScoreRecord(script=words, before=before, after=found.mean, samples=len(found.values), interval=mean_interval(pairs))


def _told(manifest: Manifest, outputs: tuple[AccuracyRecord, ...]) -> Manifest:
    """What was measured in the records of what made the model another one."""
    changed = {
        name: structs.replace(record, accuracy=outputs)
        for name, record in (("precision", manifest.precision), ("pruning", manifest.pruning))
        if record is not None
    }
    return structs.replace(manifest, **changed)


def _measured(limit: LimitRecord, outputs: Sequence[AccuracyRecord]) -> LimitRecord:
    """A limit on the accuracy with what the samples show; on the cosine no more than what verification found."""
    if limit.kind != "accuracy" or not outputs:
        return limit
    if limit.subject == "cosine":
        return _with(limit, min((one.cosine for one in outputs), default=1.0), limit.value)
    tops = [1 - one.top1 for one in outputs if one.top1 is not None]
    return _with(limit, max(tops)) if tops else limit


def _with(limit: LimitRecord, value: float, other: float | None = None) -> LimitRecord:
    value = value if other is None else min(value, other)
    margin = round(limit.limit - value if limit.comparison.startswith("<") else value - limit.limit, EXACT)
    return structs.replace(limit, basis="measured", value=value, margin=margin)


def _record(limit: ScriptLimit, scores: Sequence[ScoreRecord]) -> LimitRecord:
    score = next(one for one in scores if one.script == limit.script)
    before = score.before if score.before is not None else 0.0
    value = {"": score.after, "drop": before - score.after, "rise": score.after - before}[limit.change]
    made = LimitRecord(
        kind="accuracy",
        subject=limit.subject,
        comparison=limit.comparison,
        limit=limit.value,
        text=limit.text,
        basis="measured",
        value=None,
        margin=None,
        unproven="",
        origin=str(OPTION),
    )
    return _with(made, value)
