"""The models of a bundle run one after the other, as its links join them, against their own files run so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from ...bundle.entries import models_of, views
from ...load.source import Source
from ...mapped_arrays import MappedArrays
from ...reference.recall import Recalling
from ...reference.store import default_store
from ..compare import TensorDifference
from ..decoder.stored_caches import stored_caches
from ..grounds import grounds
from ..look import AGAIN, judge_output
from ..reference import read_graph
from ..report import VerifyReport, differences
from ..terms import APPROXIMATE, EXACT, NARROW, STORED, Sample, Terms
from ..trial import NOISE, Untouched
from ..verdicts import elsewhere, segment_verdicts
from .pieces import Chain, chains
from .untouched_chain import UntouchedChain, Values

if TYPE_CHECKING:
    from ...bundle.manifest import Manifest
    from ..verifiable import Ran

_Seen = tuple[Chain, Sequence[Sequence[Values]], Values, Values]
"""A chain, inputs of its steps that write rows, all that is given to the model that reads them, and what the bundle made."""
UNFILLED = "what the models write does not fill what a step reads: they were not compared together"


class Together(Protocol):
    """A session of all models (run/decoder/linked.py)."""

    @property
    def ran(self) -> Mapping[str, Ran]:
        """By entry; one that was never open is opened, where not all of them are at the same time."""
        ...

    def step(self, name: str, inputs: Mapping[str, Any], *, at: int | None = None) -> Mapping[str, Any]: ...

    def reset(self) -> None: ...

    def poison(self) -> None: ...

    def cached(self) -> Mapping[str, Any]: ...

    def close(self) -> None: ...


def verify_chain(
    sources: Mapping[str, Source], manifest: Manifest, session: Together, *, emulate: bool, tell: Callable[[str], None]
) -> VerifyReport:
    """sources: the models by name. Outputs of every step and what the caches hold at the end are compared, for a few prompts with images
    at places of their own. Raises ModelError where a model refuses what was made up for it, and what running either raises."""
    with ExitStack() as opened:
        tell("evaluating the untouched models together")
        models = {name: Untouched(opened.enter_context(Recalling(source, default_store())), ()) for name, source in sources.items()}
        graphs, main = {name: read_graph(source) for name, source in sources.items()}, models_of(manifest)[0]
        stored = stored_caches(sources[main], graphs[main], manifest, opened)
        untouched = UntouchedChain(manifest, models, graphs, stored)
        return _Comparison(manifest, session, untouched, models, tell).report(emulate)


class _Comparison:
    """Of one bundle."""

    def __init__(
        self,
        manifest: Manifest,
        session: Together,
        untouched: UntouchedChain,
        models: Mapping[str, Untouched],
        tell: Callable[[str], None],
    ) -> None:
        self._manifest, self._session, self._untouched, self._models, self._tell = manifest, session, untouched, models, tell
        self._chains = chains(manifest)
        self._axes = next(entry.token_axes for entry in manifest.entries if entry.model == models_of(manifest)[0])
        caches = {state.present for state in manifest.states}  # what rounding these changes is measured
        bounds = [one for view in views(manifest) for one in view.errors.bounds]
        self._approximated = any(one.bound > 0 and one.site not in caches for one in bounds)

    def report(self, emulate: bool) -> VerifyReport:
        seen = self._seen()
        entries = zip(views(self._manifest), self._ran.items(), strict=True)
        verdicts = {name: segment_verdicts(view, ran) for view, (name, ran) in entries}
        segments = tuple(verdict for each in verdicts.values() for verdict in each)
        self._session.close()  # what it holds of weights goes before the untouched models take their memory
        outputs = self._compared(seen)
        away = () if emulate else tuple(f"{name}: {said}" for name, each in verdicts.items() for said in elsewhere(each))
        reasons = (*(() if outputs else (UNFILLED,)), *differences(outputs, ()), *away)
        labels = tuple(chain.label for chain in self._chains)
        unchecked = {path: said for model in self._models.values() for path, said in model.unchecked.items()}
        return VerifyReport(
            verified=not reasons,
            reason="; ".join(reasons or (grounds(outputs, labels, self._terms, unchecked),)),
            reasons=reasons,
            outputs=outputs,
            boundaries=(),
            constant=(),
            unresponsive=(),
            inputs=labels,
            approximated=self._approximated,
            limits=(),
            emulated=tuple(f"{name}: {one}" for name, ran in self._ran.items() for one in ran.emulated),
            narrow=self._narrow,
            native=tuple(dict.fromkeys(name for ran in self._ran.values() for name in ran.native)),
            segments=segments,
            runtime_faults=tuple(f"{path}: {said}" for model in self._models.values() for path, said in model.faults.items()),
            unchecked=tuple(f"{path}: {said}" if path else said for path, said in unchecked.items()),
        )

    @cached_property
    def _ran(self) -> Mapping[str, Ran]:
        """Asked for once the chains have run: before, entries may be closed, and would be opened for this alone."""
        return self._session.ran

    @cached_property
    def _narrow(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for ran in self._ran.values() for name in ran.narrow))

    @cached_property
    def _terms(self) -> Terms:
        terms = NARROW if self._narrow else EXACT if self._untouched.stored is None else STORED
        return replace(terms, loose=APPROXIMATE) if self._approximated else terms

    def _seen(self) -> list[_Seen]:
        seen: list[_Seen] = []
        arrays = MappedArrays()
        for seed, chain in enumerate(self._chains):
            self._tell(f"comparing the models together on {chain.label}")
            steps, (given, whole) = self._untouched.written(chain, seed), self._untouched.read(chain, seed)
            seen.append((chain, steps, whole, arrays.kept(self._run(chain, steps, given))))
        return seen

    def _compared(self, seen: Sequence[_Seen]) -> tuple[TensorDifference, ...]:
        half, found = bool(self._narrow), tuple[TensorDifference, ...]()
        for noise in NOISE[1:] if seen else ():
            answers = [self._untouched.answers(steps, chain, half=half, noise=noise) for chain, steps, _, _ in seen]
            samples: dict[str, list[Sample]] = {}
            for (chain, _, whole, got), each in zip(seen, answers, strict=True):
                expectation = self._untouched.expectation(chain, whole, each, half=half, noise=noise)
                for name, value in got.items():
                    samples.setdefault(name, []).append(expectation.sample(name, value))
            terms = self._terms if noise == NOISE[1] else self._terms.at_last
            found = tuple(self._judged(name, each, terms) for name, each in samples.items())
            if not any(d.fault for d in found) or max(d.excess for d in found) > AGAIN:
                break
        return found

    def _judged(self, name: str, samples: Sequence[Sample], terms: Terms) -> TensorDifference:
        return judge_output(name, samples, terms, not any(model.faults for model in self._models.values()))

    def _run(self, chain: Chain, steps: Sequence[Sequence[Values]], given: Values) -> dict[str, Any]:
        """Outputs of all steps, joined along the rows, and what the caches hold at the end."""
        import numpy as np

        session, axes, begin = self._session, self._axes, 0
        session.reset()
        parts: list[Mapping[str, Any]] = []
        for piece, inputs in zip(chain.pieces, steps, strict=True):
            session.poison()
            for one, values in zip(piece.written, inputs, strict=True):
                session.step(one.model, values, at=one.at)
            rows = range(begin, begin + piece.rows)
            cut = {name: value if name not in axes else np.take(value, rows, axes[name]) for name, value in given.items()}
            parts.append(session.step(piece.entry, cut))
            begin += piece.rows
        joined = {
            name: np.concatenate([part[name] for part in parts], axes[name]) if name in axes else value for name, value in parts[-1].items()
        }
        return {**joined, **session.cached()}
