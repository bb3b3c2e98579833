"""What `autoglmc rules` lists, and names of rules checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ...targets.model import Target
from ..errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from ...passes.rule.rewrite import Rewrite
    from .rule_library import RuleLibrary


def list_rules(target: Target | None = None) -> list[dict[str, Any]]:
    """Every rule once, in the order of the stages that use it: name, stages, what it does as mathematics, operators it starts from
    and writes, contract, bound (absolute, per element of the rule's output) and over which inputs, families it belongs to.
    With a target, its own rules too, first."""
    from ...passes.library import FAMILIES, every_rule
    from .rule_library import library_of

    library = library_of(target) if target is not None else None
    stages = _stages(library)
    families = {name: {rule.name for rule in rules} for name, rules in FAMILIES.items()}
    return [
        {
            "name": rule.name,
            "stages": [stage for stage, names in stages.items() if rule.name in names],
            "summary": rule.summary,
            "operators": list(rule.operators),
            "emits": list(rule.emits),
            "contract": rule.contract.kind,
            "bound": rule.contract.absolute,
            "over": rule.contract.over,
            "families": [name for name, members in families.items() if rule.name in members],
        }
        for rule in (library.every if library else every_rule())
    ]


def _stages(library: RuleLibrary | None) -> dict[str, set[str]]:
    """Names by the pass that applies them; rules of realise-placement are chosen by ask-devices and place-operators."""
    from ...passes.library import FOLLOW, OFFER, RECOVER, SIMPLIFY, SUBSTITUTE, TUNE

    tuning = [rule for rules in (*TUNE.values(), *FOLLOW.values()) for rule in rules]
    stages: dict[str, Iterable[Rewrite]] = {
        "recover": RECOVER,
        "simplify": SIMPLIFY,
        "recover-whole": OFFER,
        "realise-placement": SUBSTITUTE,
        "tune-segments": tuning,
    }
    if library is not None:
        stages = {"fuse-formulas": library.formulas, **stages, "realise-placement": library.substitutes}
    return {stage: {rule.name for rule in rules} for stage, rules in stages.items()}


def check_rules(names: Iterable[str], target: Target) -> frozenset[str]:
    """The names; raises UsageError for the first that no rule has, of the compiler or of the target's file."""
    from .rule_library import library_of

    known = [rule.name for rule in library_of(target).every]
    for name in names:
        if name not in known:
            close = did_you_mean(name, known)
            help = close if close.startswith("did") else "`autoglmc rules` lists them"
            raise UsageError(f"there is no rule '{name}'", help=help)
    return frozenset(names)
