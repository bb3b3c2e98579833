"""The order of the passes, as a table that is checked when it is imported: what each needs, gives and breaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from ...passes.library import RECOVER, SIMPLIFY
from ...passes.place.cut_segments import cut
from ...passes.place.fuse_formulas import fuse
from ...passes.place.place_operators import ask, place_relaxing, state
from ...passes.place.placed import Unplaceable
from ...passes.place.realise_placement import realise
from ...passes.rule.bodies import apply_everywhere
from ...passes.simplify.merge_equal import NAME as MERGE_EQUAL
from ...passes.simplify.merge_equal import merge_equal
from ...passes.simplify.remove_identity import name_outputs
from ...passes.simplify.split_dequantize import NAME as SPLIT_DEQUANTIZE
from ...passes.simplify.split_dequantize import split_dequantize
from ..errors import Infeasible, TargetError
from .recover_whole import recover_whole
from .tune_segments import rules_of, tune
from .work import Run, Work


class Fact(Enum):
    """Something that holds of the work and that a later pass may rely on."""

    TYPED = auto()
    """Every tensor whose dtype and shape can be known has them."""
    RECOVERED = auto()
    """What exporters scattered is one operator again."""
    SIMPLE = auto()
    WHOLE = auto()
    """Operators that only few devices have are recovered where the placement is cheaper with them."""
    ASKED = auto()
    """Every device has said how it would run every operator, and the placement problem is stated."""
    PLACED = auto()
    """Every operator has a device and an implementation there."""
    REALISED = auto()
    """The graph holds exactly what the devices will run."""
    CUT = auto()
    TUNED = auto()
    """Each segment is spelled as its runtime is fastest."""


@dataclass(frozen=True, slots=True)
class Pass:
    name: str
    run: Run
    needs: frozenset[Fact]
    gives: frozenset[Fact]
    breaks: frozenset[Fact]
    contract: str
    """exact, reassociates or bounded: the loosest contract among what the pass may apply."""
    own: bool = False
    """Whether the user wrote it: its contract is what its author declares."""


def recover(work: Work) -> None:
    work.decisions.extend(apply_everywhere(work.graph, work.enabled(RECOVER), work.allow))


def simplify(work: Work) -> None:
    if MERGE_EQUAL not in work.without:
        work.decisions.extend(merge_equal(work.graph, work.allow))
    work.decisions.extend(apply_everywhere(work.graph, work.enabled(SIMPLIFY), work.allow))
    if SPLIT_DEQUANTIZE not in work.without:
        work.decisions.extend(split_dequantize(work.graph, work.allow))
    work.decisions.extend(name_outputs(work.graph))
    work.graph.sweep()
    work.recovered = dict(Counter(node.kind for node in work.graph.nodes))


def fuse_formulas(work: Work) -> None:
    decisions, sites = fuse(work.graph, work.target, work.formulas, work.allow)
    work.decisions.extend(decisions)
    work.sites = (*work.sites, *sites)
    work.graph.sweep()


def ask_devices(work: Work) -> None:
    """Raises TargetError for operators no device runs."""
    asked = ask(work.graph, work.target, work.substitutes, work.families)
    if asked.unplaceable:
        raise _unplaceable(asked.unplaceable)
    work.question = state(asked)


def place_operators(work: Work) -> None:
    """Raises Infeasible where the operators cannot be placed at all. A plan that breaks a limit only because every plan does is
    left for the limits to refuse: they can say by how much."""
    question = work.question
    assert question is not None
    if work.asked_for is not None:
        work.placement = replace(work.asked_for, question=question)
        return
    work.placement = place_relaxing(question, work.effort)
    if work.placement is None:
        message = "no placement of the operators keeps the limits on partitions, or some tensor has no link to where it must go"
        raise Infeasible("placement", 0, 0, ("allow more partitions", "add the missing links"), message=message)


def realise_placement(work: Work) -> None:
    assert work.placement is not None
    work.parts, sites = realise(work.placement, {rewrite.name: rewrite for rewrite in work.substitutes}, work.allow)
    work.sites = (*work.sites, *sites)


def cut_segments(work: Work) -> None:
    work.cuts = cut(work.graph, work.parts, work.target)


def tune_segments(work: Work) -> None:
    used = {
        device.name: {s.implementation.rule for s in work.sites if s.implementation.device == device.name} for device in work.target.devices
    }
    rules = {d.name: work.enabled(rules_of(d, work.target.precision, used[d.name])) for d in work.target.devices}
    work.cuts, decisions = tune(work.cuts, work.target, rules, work.allow)
    work.decisions.extend(decisions)


def _unplaceable(found: Sequence[Unplaceable]) -> TargetError:
    first = found[0]
    more = f" (and {len(found) - 1} more: {', '.join(sorted({one.operator for one in found[1:]}))})" if len(found) > 1 else ""
    reasons = "; ".join(f"{refusal.device}: {refusal}" for refusal in first.refusals)
    help = "add the operator to a device's `supports`, a `rewrite` line for it, or a cpu with `supports all`"
    return TargetError(f"no device of the target runs {first.operator}{more}: {reasons}", where=f"node {first.node}", help=help)


def _row(name: str, run: Run, needs: str, gives: str, breaks: str, contract: str) -> Pass:
    return Pass(name, run, _facts(needs), _facts(gives), _facts(breaks), contract)


def _facts(words: str) -> frozenset[Fact]:
    return frozenset(Fact[word] for word in words.split())


# fmt: off
PIPELINE: tuple[Pass, ...] = (
    #    name                 run                 needs              gives        breaks   contract
    _row("recover",           recover,            "TYPED",           "RECOVERED", "",      "reassociates"),
    _row("simplify",          simplify,           "TYPED RECOVERED", "SIMPLE",    "",      "reassociates"),
    _row("fuse-formulas",     fuse_formulas,      "TYPED SIMPLE",    "",          "",      "bounded"),
    _row("recover-whole",     recover_whole,      "TYPED SIMPLE",    "WHOLE",     "",      "reassociates"),
    _row("ask-devices",       ask_devices,        "TYPED SIMPLE WHOLE", "ASKED",  "",      "exact"),
    _row("place-operators",   place_operators,    "ASKED",           "PLACED",    "",      "exact"),
    _row("realise-placement", realise_placement,  "PLACED",          "REALISED",  "SIMPLE", "bounded"),
    _row("cut-segments",      cut_segments,       "REALISED",        "CUT",       "",      "exact"),
    _row("tune-segments",     tune_segments,      "CUT",             "TUNED",     "",      "reassociates"),
)
# fmt: on


def check(table: Sequence[Pass], known: frozenset[Fact]) -> None:
    """Raises ValueError for the first pass that needs a fact which no pass before it gives, or which one broke."""
    broken: dict[Fact, str] = {}
    for row in table:
        for fact in sorted(row.needs - known, key=lambda fact: fact.value):
            why = f"'{broken[fact]}' broke it" if fact in broken else "no pass before it gives it"
            raise ValueError(f"pass '{row.name}' needs {fact.name}: {why}")
        broken.update(dict.fromkeys(row.breaks, row.name))
        known = known - row.breaks | row.gives


check(PIPELINE, frozenset({Fact.TYPED}))
