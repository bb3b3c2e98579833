"""Verification as part of a compilation: the bundle is run against the model before it takes its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import structs

from ..bundle.manifest import BoundRecord, Manifest
from ..errors import BundleError, ModelError, VerifyError
from ..inputs.fitting_inputs import MadeUp
from ..inputs.samples import Given
from ..load.load_model import LoadedModel
from ..load.source import Source
from ..reference.recall import Recalling
from ..run.bundle import Bundle
from ..verify.limits import broken, broken_limits
from ..verify.report import VerifyReport
from ..verify.stages import Stage
from ..verify.verify import verify
from .verdict import Inexact, Rejected

TRIES = 3
"""Generated inputs that the untouched model is given before it counts as one that does not run."""


class Differs(VerifyError):
    """The bundle computes something else than the model it was compiled from."""


EXPORT = "look for what the export changed; without --expect the bundle is held against the model alone"


@dataclass(frozen=True, slots=True)
class Judged:
    """A bundle held against its model."""

    report: VerifyReport
    against: Inexact | Rejected | None
    """Why the bundle is refused; None if it is kept, which includes one whose outputs respond to no input (the report says so)."""
    faithful: bool = False
    """Whether it computes what the untouched model does, so that no runtime is at fault: only its source framework disagrees."""

    def written_into(self, manifest: Manifest) -> Manifest:
        """The manifest with what was judged and measured; the target's limits as planned where verification does not answer them."""
        known = {(limit.kind, limit.subject): limit for limit in self.report.limits}
        return structs.replace(
            manifest,
            limits=tuple(known.get((limit.kind, limit.subject), limit) for limit in manifest.limits),
            errors=structs.replace(manifest.errors, measured=self.report.records()),
            verification=self.report.verification(),
        )


def judge_bundle(
    folder: Path,
    loaded: LoadedModel,
    bounds: tuple[BoundRecord, ...],
    *,
    emulate: bool,
    inputs: Given | None = None,
    expect: Mapping[str, Any] | None = None,
    oracle: Recalling | None = None,
    stages: tuple[Stage, ...] = (),
) -> Judged:
    """Runs the bundle in `folder` and the untouched model on generated inputs, and on `inputs` if given. `bounds`: its approximated sites;
    expect: what the source framework computes for `inputs`;
    stages: what became of the model on the way.

    Raises VerifyError where the bundle does not run although the model does, ModelError where the model does not either."""
    try:
        report = verify(loaded.source, Bundle.load(folder), emulate=emulate, inputs=inputs, expect=expect, oracle=oracle, stages=stages)
    except BundleError as problem:
        _blame_the_model(folder, loaded.source)
        # the folder is gone when this is read, and the user did nothing wrong
        message = f"the bundle does not run: {problem.message.replace(f'{folder}/', '')}"
        help = "the untouched model does run here: please report this"
        raise VerifyError(message, where=str(loaded.source), help=help) from problem
    where = str(loaded.source)
    against = _against(report, bounds, where)
    unexpected = "; ".join(one.reason for one in report.expected if one.reason)
    if against is None and unexpected:
        return Judged(report, Rejected(VerifyError(unexpected, where=where, help=EXPORT)), faithful=True)
    return Judged(report, against)


def _against(report: VerifyReport, bounds: tuple[BoundRecord, ...], where: str) -> Inexact | Rejected | None:
    different = report.differences
    over = broken_limits(report.limits)
    if (different and report.approximated) or (over and not different):
        return Inexact(differences=different, limits=over, bounds=bounds, where=where)
    wrong = [*different, *broken(over)]
    if not wrong:
        return None
    report_it = "please report this, with the model if you can: --verify-each names the rule at fault"
    help = "loosen the limit, or the `tol` of a rewrite line in the target" if report.approximated or over else report_it
    return Rejected(Differs(f"the bundle differs from the model: {'; '.join(wrong)}", where=where, help=help))


def _blame_the_model(folder: Path, source: Source) -> None:
    """Raises ModelError where the untouched model does not run either: bound to sizes that it cannot have."""
    from ..verify.reference import Reference, read_graph

    inputs = Bundle.load(folder).manifest.model.inputs
    shapes = {value.name: value.shape for value in inputs if value.shape is not None}
    model = read_graph(source)
    made_up = MadeUp(model, Reference(source, model), shapes, tuple(value.name for value in inputs))
    if all(made_up.attempt(seed) is None for seed in range(TRIES)):
        sizes = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        message = f"the untouched model does not run with {sizes}: {made_up.unfit[0]}"
        raise ModelError(message, where=str(source), help="bind sizes that it can have with --shape")
