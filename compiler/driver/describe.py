"""What the manifest says beside segments and arena."""

from __future__ import annotations

from ..bundle.manifest import AttemptRecord, TargetRecord
from ..emit.emit import ManifestFacts
from ..emit.facts import decisions, errors, guesses
from ..plan.plan_model import PlannedModel


def describe(planned: PlannedModel, search: tuple[AttemptRecord, ...]) -> ManifestFacts:
    """The facts of the manifest that neither segments nor arena know. `search`: all attempts, this one last."""
    from importlib.metadata import version

    loaded, work, target = planned.loaded, planned.work, planned.work.target
    assert work.placement is not None
    return ManifestFacts(
        model_sha256=loaded.sha256,
        model_opset=loaded.source_opset,
        target=TargetRecord(name=target.name, sha256=target.digest, language=target.language),
        tool_version=version("autoglmc"),
        limits=planned.limits,
        guesses=guesses(work.placement),
        errors=errors(work),
        decisions=decisions(work),
        search=search,
    )
