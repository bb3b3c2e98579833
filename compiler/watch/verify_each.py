"""After every pass: is the graph still valid, and does it still compute the model? If not, which rule at which site, and a small repro.

The whole model is run by onnxruntime without its optimisations and compared with the untouched model, with the tolerance that
verification uses (judge.py). A pass that approximates is judged in three steps: without its approximations, as any other; every
approximated operator alone, against its proved bound; and all together, for NaN, infinities and shapes. How far bounds may add up
in the whole model is not judged here: verification compares that with the target's limits. Later passes are compared
with what the approximated model gave.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...passes.place.placed import Site
from ..errors import PassError
from ..load.source import Source
from ..pipeline.table import Pass
from ..pipeline.whole_model import whole_model
from ..pipeline.work import Work
from .blame import FaultyApplication, application_at, find_faulty_application, run_limited
from .pass_judge import PassJudge, broken_invariants
from .repro import Story, save_repro
from .site_errors import broken_bounds

if TYPE_CHECKING:
    import onnx

Signature = tuple[tuple[str, tuple[str, ...], tuple[str, ...], tuple[bytes, ...]], ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """What one pass did to the whole model's outputs, against the untouched model or the last approximated state."""

    name: str
    changed: bool
    """Whether the pass changed the graph; if not, there was nothing to compare."""
    max_abs: float
    max_abs_over_std: float


class PassVerifier:
    """A Watcher (pipeline/run_passes.py) that raises PassError after the first pass that is wrong."""

    stage = "verify-each"

    def __init__(self, source: Source, repro: Path, inputs: Mapping[str, Any] | None = None) -> None:
        """repro: the folder to write where a pass is wrong. inputs: compared besides generated ones."""
        self.source, self.folder, self._inputs = source, repro, inputs
        self.checked: list[Checked] = []
        self._seen: Signature = ()

    def begin(self, work: Work) -> None:
        model = whole_model(work)
        self._judge = PassJudge(self.source, model, self._inputs)
        self.checked = []
        if fault := self._judge.fault(model, work):
            raise PassError(f"loading the model changed what it computes: {fault}", where=str(self.source), pass_name="load")
        self._remember("load", work, model)

    def after(self, row: Pass, work: Work) -> None:
        if fault := "; ".join(broken_invariants(work.graph)[:3]):
            self._refuse(row, fault, self._find(row))
        model = whole_model(work)
        if row.own or _signature(model) != self._seen:  # a user's pass may change the values of a weight
            if row.own and row.contract == "bounded":
                self._check_own_bounded(row, work, model)
            elif self._approximates(work):
                self._check_approximation(row, work, model)
            elif fault := self._judge.fault(model, work):
                self._refuse(row, fault, self._find(row))
        self._remember(row.name, work, model)

    def _approximates(self, work: Work) -> bool:
        return any(site.contract == "bounded" for site in self._new_sites(work))

    def _new_sites(self, work: Work) -> tuple[Site, ...]:
        return work.sites[len(self._start.sites) :]

    def _check_approximation(self, row: Pass, work: Work, model: onnx.ModelProto) -> None:
        bounded = {site.implementation.rule for site in self._new_sites(work) if site.contract == "bounded"}

        def exact(rule: str) -> bool:
            return rule not in bounded

        without = run_limited(self._start, row.run, None, exact)[0]
        if fault := self._judge.fault(whole_model(without), without):
            self._refuse(row, fault, find_faulty_application(self._start, row.run, self._judge.fault, exact))
        for site, fault in broken_bounds(whole_model(self._start), model, self._new_sites(work), self._judge.feeds[0]):
            number = run_limited(self._start, row.run, None)[1].log.index((site.implementation.rule, site.tensor)) + 1
            self._refuse(row, fault, application_at(self._start, row.run, number, fault))
        if fault := self._judge.gross_fault(model, work):
            self._refuse(row, fault, find_faulty_application(self._start, row.run, self._judge.gross_fault))
        self._judge.accept(model)

    def _check_own_bounded(self, row: Pass, work: Work, model: onnx.ModelProto) -> None:
        """A user's pass is held to its bound where it runs; here only the kind of a difference counts, as for all approximations."""
        if fault := self._judge.gross_fault(model, work):
            self._refuse(row, fault, find_faulty_application(self._start, row.run, self._judge.gross_fault))
        self._judge.accept(model)

    def _find(self, row: Pass) -> FaultyApplication | None:
        return find_faulty_application(self._start, row.run, self._judge.fault)

    def _remember(self, name: str, work: Work, model: onnx.ModelProto) -> None:
        signature = _signature(model)
        changed = signature != self._seen
        worst = max(self._judge.differences, key=lambda d: d.max_abs_over_std, default=None) if changed else None
        self.checked.append(Checked(name, changed, worst.max_abs if worst else 0.0, worst.max_abs_over_std if worst else 0.0))
        self._seen, self._start = signature, work.copy()

    def _refuse(self, row: Pass, fault: str, culprit: FaultyApplication | None) -> None:
        """Raises PassError, with the repro where there is a culprit."""
        where = str(self.source)
        if culprit is None:
            help = "no single application of a rule explains it; --print-after PASS shows the graph, --disable RULE compiles without a rule"
            help = f"compile without --pass {row.name} to see that it is the pass" if row.own else help
            raise PassError(f"pass {row.name} broke the model: {fault}", where=where, help=help, pass_name=row.name)
        name = next((n.name for n in culprit.before.graph.node if culprit.tensor in n.output), "")
        site = f"node '{name}' (writes '{culprit.tensor}')" if name else f"the node that writes '{culprit.tensor}'"
        story = Story(
            pass_name=row.name, rule=culprit.rule, site=site, fault=culprit.fault, target=self._start.target.name, allowed=culprit.bound
        )
        seen = save_repro(self.folder, culprit.before, culprit.after, self._judge.feeds[0], story)
        raise PassError(
            f"pass {row.name} broke the model: {culprit.rule} at {site}, application {culprit.number} of {culprit.of}: {culprit.fault}",
            where=where,
            help=f"the site alone is in {self.folder} ({seen}); {_advice(row, culprit)}",
            pass_name=row.name,
            rule=culprit.rule,
            site=name,
            tensor=culprit.tensor,
            repro=str(self.folder),
        )


def _advice(row: Pass, culprit: FaultyApplication) -> str:
    if row.own:
        return "the pass is yours: fix it, or compile without it"
    return f"please report it; --disable {culprit.rule} compiles without the rule"


def _signature(model: onnx.ModelProto) -> Signature:
    """Equal if a pass changed nothing: operators and the names that connect them (a replaced constant gets a new name)."""
    return tuple(
        (node.op_type, tuple(node.input), tuple(node.output), tuple(a.SerializeToString(deterministic=True) for a in node.attribute))
        for node in model.graph.node
    )
