"""The manifest of a plan."""

from __future__ import annotations

from collections.abc import Mapping

from ..bundle.manifest import AttemptRecord, Manifest, TargetRecord
from ..bundle.precision_record import PrecisionRecord
from ..bundle.pruning_record import PruningRecord
from ..devices.ort_settings import OrtSettings
from ..emit.facts import decisions, errors, guesses
from ..emit.manifest_of import manifest_of
from ..plan.plan_model import PlannedModel
from ..plan.uncosted import uncosted_records


def describe(
    planned: PlannedModel,
    search: tuple[AttemptRecord, ...],
    settings: Mapping[int, OrtSettings],
    precision: PrecisionRecord | None = None,
    pruning: PruningRecord | None = None,
) -> Manifest:
    """The manifest but for its files. `search`: all attempts, this one last. `settings`: what onnxruntime leaves out, by segment."""
    from importlib.metadata import version

    loaded, work, target = planned.loaded, planned.work, planned.work.target
    assert work.placement is not None
    return manifest_of(
        planned.compiled,
        planned.arena,
        model_sha256=loaded.sha256,
        model_opset=loaded.source_opset,
        target=TargetRecord(name=target.name, sha256=target.digest, language=target.language),
        version=version("autoglmc"),
        confidence=planned.confidence,
        uncosted=uncosted_records(planned.uncosted),
        limits=planned.limits,
        guesses=guesses(work.placement),
        errors=errors(work),
        decisions=decisions(work),
        search=search,
        settings=settings,
        model_defaults=loaded.defaults,
        model_metadata=loaded.metadata,
        precision=precision,
        pruning=pruning,
    )
