"""The model that a bundle was compiled from, explained for the bundle's page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
from .invocation import read_target

if TYPE_CHECKING:
    from ....targets.model import Target
    from ...report.progress import Progress
    from ...run.bundle import Bundle


def explain_bundle(bundle: Bundle, model: Path, target: str | None, tell: Progress) -> tuple[dict[str, Any], Target]:
    """What devices say of the model's operators, at the sizes that the bundle has, and the target that was asked. target: None for the
    stock target of the name in the manifest.

    Raises UsageError where the bundle has states, or the model or target is another than its own, and what `explain_operators` raises."""
    from ...explain.explain_operators import explain_operators
    from ...load.weights import model_sha256

    manifest = bundle.manifest
    if manifest.states:
        message = "the bundle keeps caches from run to run: its operators are not those of the model as it is, so that cannot explain them"
        raise UsageError(message, where=str(bundle.folder), help="leave out --model; `autoglmc why MODEL` explains the model as it is")
    if (found := model_sha256(model)) != manifest.model.sha256:
        message = f"the bundle was compiled from another model: sha256 {manifest.model.sha256[:16]}…, and this one has {found[:16]}…"
        raise UsageError(message, where=str(model), help="give the file it was compiled from; a quantised or pruned one as it was saved")
    machine = read_target(manifest.target.name if target is None else target, tell)
    if machine.digest != manifest.target.sha256:
        message = f"the bundle was compiled for a target with other numbers or rules than {machine.name} has now"
        raise UsageError(message, help="give the file that it was compiled for with --target, or compile the model again with --report")
    tell("explain the operators")
    shapes = {value.name: tuple(value.shape) for value in manifest.model.inputs if value.shape}
    return explain_operators(model, machine, shapes=shapes).as_json(), machine
