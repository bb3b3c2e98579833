"""A bundle whose states every run replaces, held against its model: several steps at once, as one model (unrolled.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import structs

from ...bundle.entries import views
from ...load.read_model import read_model
from ...load.source import MemoryModel, Source
from ...load.weights import check_weights, load_external, model_sha256
from ..report import VerifyReport
from ..verdicts import elsewhere, segment_verdicts
from ..verify import verify
from .unrolled import Step, controls, in_step, unrolled

if TYPE_CHECKING:
    from ...bundle.manifest import Manifest
    from ..verifiable import Runnable

FEWEST, TIMES = 3, 2
"""Steps, and how often each entry takes one."""


class Carrying(Protocol):
    """A session that carries states from step to step (run/decoder/recurrent.py)."""

    @property
    def sessions(self) -> Mapping[str, Runnable]: ...

    def step(self, entry: str, inputs: Mapping[str, Any]) -> Mapping[str, Any]: ...

    def reset(self) -> None: ...

    def states(self) -> Mapping[str, Any]: ...


def verify_replaced(
    source: Source, manifest: Manifest, session: Carrying, *, emulate: bool, tell: Callable[[str], None]
) -> Mapping[str, VerifyReport]:
    """A report for each entry: outputs of all steps are compared together, segments are its own."""
    model, _ = read_model(source)
    if check_weights(model, source):
        load_external(model, source)
    plans = dict(zip((entry.name for entry in manifest.entries), views(manifest), strict=True))
    names = [*plans] * max(TIMES, -(-FEWEST // len(plans)))
    steps = [Step(entry=name, inputs=plans[name].model.inputs, outputs=plans[name].model.outputs) for name in names]
    states = {state.past: state.present for state in manifest.states}
    whole = MemoryModel(unrolled(model, states, steps), f"{source} in {len(steps)} steps")
    report = verify(whole, _Steps(whole, manifest, session, states, steps), emulate=True, progress=tell)
    found = {}
    for name, plan in plans.items():
        segments = segment_verdicts(plan, session.sessions[name])
        away = () if emulate else elsewhere(segments)
        reasons = (*report.reasons, *away)
        about: dict[str, Any] = {"reasons": reasons, "reason": "; ".join(reasons) or report.reason}
        found[name] = replace(report, verified=not reasons, segments=segments, boundaries=(), limits=(), **about)
    return found


class _Steps:
    """All steps, as a bundle that is run once."""

    def __init__(self, whole: MemoryModel, manifest: Manifest, carrying: Carrying, states: Mapping[str, str], steps: list[Step]) -> None:
        self._carrying, self._states, self._steps = carrying, states, steps
        first = views(manifest)[0]
        kept = {value.name for value in whole.proto.graph.input} | {value.name for value in whole.proto.graph.output}
        inputs = [self._renamed(k, value) for k, step in enumerate(steps) for value in step.inputs]
        outputs = [self._renamed(k, value) for k, step in enumerate(steps) for value in step.outputs]
        model = structs.replace(
            first.model,
            sha256=model_sha256(whole),
            inputs=tuple({value.name: value for value in inputs if value.name in kept}.values()),
            outputs=tuple(value for value in outputs if value.name in kept),
        )
        self.manifest = structs.replace(first, model=model, limits=())
        session = carrying.sessions[steps[0].entry]
        self.devices, self.absent, self.not_run = session.devices, session.absent, session.not_run
        each = carrying.sessions.values()
        self.emulated, self.narrow, self.native = (
            tuple(dict.fromkeys(name for one in each for name in getattr(one, what))) for what in ("emulated", "narrow", "native")
        )

    def session(self, *, emulate: bool = False, poison: bool = False, resident: int | None = None) -> Runnable:
        return self

    def run(self, inputs: Mapping[str, Any], observe: Callable[[str, str, Any], None] | None = None) -> Mapping[str, Any]:
        self._carrying.reset()
        outputs: dict[str, Any] = {}
        for k, step in enumerate(self._steps):
            given = {value.name: inputs[self._name(k, value.name)] for value in step.inputs if value.name not in self._states}
            outputs |= {in_step(k, name): value for name, value in self._carrying.step(step.entry, given).items()}
        return outputs | {in_step(len(self._steps) - 1, name): value for name, value in self._carrying.states().items()}

    def _name(self, k: int, name: str) -> str:
        return name if name in controls(self._steps[k]) else in_step(k, name)

    def _renamed(self, k: int, value: Any) -> Any:
        return structs.replace(value, name=self._name(k, value.name))
