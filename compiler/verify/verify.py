"""Compares a bundle with the untouched model, independently of everything that decided how the bundle looks.

Both run on inputs generated for the model (and on those given); every output is compared, and every tensor between segments that the model
has too. An output that is the same for every input proves nothing: then the bundle is not called verified, unless no input value can
reach that output.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import ModelError, VerifyError
from ..inputs.fitting_inputs import MadeUp, varied
from ..load.source import MemoryModel, Source
from ..load.weights import model_sha256
from ..quantities import count
from .compare import TensorDifference, difference, same
from .judge import APPROXIMATE, TOLERANCE, beyond, broken, held, narrow_limits, suspicious
from .narrow import narrowed
from .report import VerifyReport
from .verdicts import elsewhere, not_judged, segment_verdicts
from .verifiable import Verifiable

if TYPE_CHECKING:
    from .reference import Reference

SETS = 3
"""Input sets compared."""
MORE_SETS = 8
"""Input sets tried on the model alone before an output counts as independent of the inputs."""


def verify(
    source: Source,
    bundle: Verifiable,
    *,
    emulate: bool = False,
    seed: int = 0,
    inputs: Mapping[str, Any] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    progress: Callable[[str], None] | None = None,
) -> VerifyReport:
    """Run both and compare. `inputs` are compared besides the generated ones; `shapes` are for inputs whose shape the bundle leaves open.
    Segments whose runtime is not here run on the CPU; unless `emulate` says that this is enough, the bundle is then not verified.

    Raises VerifyError where the bundle was not made from this model, UserError for inputs that the bundle does not take, and what running
    either raises. A difference raises nothing: `verified` is False, and `reason` says why.
    """
    tell = progress or (lambda _: None)
    _same_model(source, bundle)
    trial = _Trial(source, bundle, emulate, {**(shapes or {}), **_bound(bundle)})
    if inputs is not None:
        tell("comparing on given")
        trial.compare("given", inputs)
    for number in range(seed, seed + SETS):
        tell(f"comparing on seed {number}")
        trial.compare_made_up(number)
    return trial.report()


def _same_model(source: Source, bundle: Verifiable) -> None:
    found = model_sha256(source)
    if found != bundle.manifest.model.sha256:
        kind = "model" if isinstance(source, MemoryModel) else "file"
        hashes = f"model.sha256 is {bundle.manifest.model.sha256[:12]}…, this {kind}'s is {found[:12]}…"
        what = f"the bundle was compiled from another model: {hashes}"
        help = "give the model the bundle was made from, or compile this one"
        if isinstance(source, MemoryModel):
            help += "; if it was compiled from a file, give the path of that file"
        raise VerifyError(what, where=str(source), help=help)


def _bound(bundle: Verifiable) -> dict[str, tuple[int, ...]]:
    return {value.name: value.shape for value in bundle.manifest.model.inputs if value.shape is not None}


class _Trial:
    """Both sides loaded once, and what was seen so far."""

    def __init__(self, source: Source, bundle: Verifiable, emulate: bool, shapes: Mapping[str, tuple[int, ...]]) -> None:
        from .reference import Reference, fixed_outputs, random_tensors, read_graph

        self.source, self.bundle, self.shapes, self.emulate = source, bundle, shapes, emulate
        self.model = read_graph(source)
        crossing = [port.tensor for segment in bundle.manifest.segments for port in segment.outputs]
        self.reference: Reference = Reference(source, self.model, crossing)
        self.session = bundle.session(emulate=True, poison=True)
        self.fixed, self.random = fixed_outputs(self.model.graph), random_tensors(self.model.graph)
        wanted = {value.name: value.shape for value in bundle.manifest.model.outputs}
        inputs = tuple(value.name for value in bundle.manifest.model.inputs)
        self.made_up = MadeUp(self.model, self.reference, shapes, inputs, wanted)
        self.names: list[str] = []
        self.fed: list[Mapping[str, Any]] = []
        self.expected: list[dict[str, Any]] = []
        self.got: list[dict[str, Any]] = []
        if set(self.reference.outputs) != set(wanted):
            raise VerifyError(f"the model has the outputs {sorted(self.reference.outputs)}, the bundle {sorted(wanted)}", where=str(source))

    def compare_made_up(self, seed: int) -> None:
        found = self.made_up.attempt(seed)
        if found is not None:
            self.compare(f"seed {seed}", *found)

    def compare(self, name: str, values: Mapping[str, Any], expected: dict[str, Any] | None = None) -> None:
        seen: dict[str, Any] = {}

        def observe(tensor: str, device: str, value: Any) -> None:
            if tensor in self.reference.tensors:
                seen[tensor] = value.copy() if hasattr(value, "copy") else value

        got = self.session.run(values, observe)
        self.names.append(name)
        self.fed.append(values)
        self.expected.append(self.reference.run(values) if expected is None else expected)
        self.got.append({**seen, **got})

    def report(self) -> VerifyReport:
        compared = [name for name in (*self.reference.outputs, *self.reference.tensors) if self.names and name not in self.random]
        differences = {name: self._difference(name) for name in compared}
        outputs = self._rounded(tuple(differences[name] for name in self.reference.outputs if name in differences))
        seen = [name for name in self.reference.tensors if all(name in got for got in self.got)]
        boundaries = tuple(differences[name] for name in seen if name in differences)
        still = self._unresponsive()
        approximated = any(bound.bound > 0 for bound in self.bundle.manifest.errors.bounds)
        limits = held(self.bundle.manifest.limits, outputs) if outputs else ()
        tolerance = None if approximated and limits else APPROXIMATE if approximated else TOLERANCE
        narrow = bool(self.session.narrow)
        proves_nothing = [*self._unfit(), *self._drawn(), *self._empty(), *self._silent(still)]
        reasons = [*proves_nothing, *beyond(outputs, boundaries, tolerance, narrow), *broken(limits)]
        manifest = self.bundle.manifest
        segments = segment_verdicts(manifest, self.session) if self.names else not_judged(manifest, "nothing was compared")
        live = [name for name in self.reference.outputs if name not in self.fixed]
        away = () if self.emulate else elsewhere(segments)
        grounds = () if reasons else (self._grounds(tolerance, outputs),)
        return VerifyReport(
            verified=not reasons and not away,
            reason="; ".join((*reasons, *away, *grounds)),
            reasons=(*reasons, *away),
            exercised=1 - len(still) / len(live) if live else 1.0,
            segments=segments,
            outputs=outputs,
            boundaries=boundaries,
            constant=tuple(name for name in self.reference.outputs if name in self.fixed),
            unresponsive=still,
            inputs=tuple(self.names),
            tolerance=tolerance,
            approximated=approximated,
            limits=limits,
            emulated=self.session.emulated,
            narrow=self.session.narrow,
            native=self.session.native,
        )

    def _grounds(self, tolerance: float | None, outputs: Sequence[TensorDifference]) -> str:
        """What a success rests on."""
        within = "the target's limits" if tolerance is None else f"{tolerance:g} of a standard deviation"
        own = [f"{d.name}: {d.rounding:.3g}" for d in outputs if d.rounding]
        compared = f"{count(len(outputs), 'output')} on {len(self.names)} input sets"
        if self.session.narrow:
            return f"{compared}, {narrow_limits(outputs, tolerance)}"
        besides = f" or the model's own rounding ({', '.join(own)})" if own else ""
        return f"{compared}, within {within}{besides}"

    def _rounded(self, outputs: tuple[TensorDifference, ...]) -> tuple[TensorDifference, ...]:
        """With the model's own rounding where it may explain a difference: its change under onnxruntime's optimisations, or under fp16
        where a device computed in that."""
        from .reference import Reference

        names = suspicious(outputs)
        if not names:
            return outputs
        if self.session.narrow:
            other = Reference(self.source, narrowed(self.model))
        else:
            other = Reference(self.source, self.model, optimised=True)
        results = [other.run(values) for values in self.fed]
        own = {name: difference(name, [(e[name], r[name]) for e, r in zip(self.expected, results, strict=True)]) for name in names}
        return tuple(
            replace(d, rounding=own[d.name].max_abs, rounding_over_std=own[d.name].max_abs_over_std) if d.name in own else d
            for d in outputs
        )

    def _difference(self, name: str) -> TensorDifference:
        pairs = [(e[name], g[name]) for e, g in zip(self.expected, self.got, strict=True) if name in g]
        return difference(name, pairs)

    def _unresponsive(self) -> tuple[str, ...]:
        """Outputs that stay the same over every set; sets are added, for the model alone, while there are any."""
        results = list(self.expected)
        if len(results) == 1:  # the given inputs alone
            with contextlib.suppress(ModelError):
                results.append(self.reference.run(varied(self.fed[0])))
        still = self._unchanged(results)
        for extra in range(MORE_SETS):
            if not still:
                break
            found = self.made_up.attempt(1000 + extra)
            results += [found[1]] if found is not None else []
            still = self._unchanged(results)
        return still

    def _unfit(self) -> list[str]:
        """Why nothing at all could be compared."""
        if self.names:
            return []
        return [f"the model takes none of the generated inputs ({self.made_up.unfit[0]}), so nothing was compared: give some that it takes"]

    def _drawn(self) -> list[str]:
        return [
            f"output {name} is random ({self.random[name]}), so it cannot be compared"
            for name in self.reference.outputs
            if name in self.random
        ]

    def _unchanged(self, results: list[dict[str, Any]]) -> tuple[str, ...]:
        """Outputs equal in all results; none of them without any result, which has a reason of its own."""
        live = [name for name in self.reference.outputs if results and name not in self.fixed and name not in self.random]
        return tuple(name for name in live if all(same(results[0][name], other[name]) for other in results[1:]))

    def _silent(self, still: tuple[str, ...]) -> list[str]:
        return [f"output {name} does not depend on any input, so its equality proves nothing" for name in still]

    def _empty(self) -> list[str]:
        """Outputs for which the model itself computes no finite number on some input set."""
        import numpy

        reasons = []
        for name in self.reference.outputs:
            for label, expected in zip(self.names, self.expected, strict=True):
                values = expected[name]
                if isinstance(values, (list, tuple)) or numpy.asarray(values).dtype.kind != "f":
                    continue
                if numpy.asarray(values).size and not numpy.isfinite(values).any():
                    reasons.append(f"output {name} of the model itself has no finite number on {label}, so its equality proves nothing")
                    break
        return reasons
