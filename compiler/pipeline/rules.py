"""The rules of one compilation: the built-in ones and those of the target's own files. A file's rule takes the place of a built-in
rule or family of its name; nothing is registered anywhere. And what `autoglmc rules` lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...passes import library as built_in
from ...passes.rule.compile_rule import compile_rule, is_formula
from ...passes.rule.rewrite import Rewrite
from ...targets.model import Target
from ..errors import UsageError, did_you_mean


@dataclass(frozen=True, slots=True)
class RuleLibrary:
    own: tuple[Rewrite, ...]
    """Of the target's files, those that stand for one operator."""
    formulas: tuple[Rewrite, ...]
    """Of the target's files, those whose `match` is several operators: applied before operators are placed one by one."""
    substitutes: tuple[Rewrite, ...]
    """All that may stand for a single operator, the target's own first."""

    @property
    def every(self) -> tuple[Rewrite, ...]:
        """Each once; a built-in rule whose name a file has taken is not among them."""
        own = (*self.own, *self.formulas)
        names = {rule.name for rule in own}
        return (*own, *(rule for rule in built_in.every_rule() if rule.name not in names))

    def family(self, name: str) -> tuple[Rewrite, ...]:
        """What a `rewrite` line may choose from by that name. KeyError if there is nothing of it."""
        own = {rule.name: rule for rule in (*self.own, *self.formulas)}
        if name in own:
            return (own[name],) if own[name] in self.own else ()
        others = tuple(rule for rule in built_in.family(name) if rule.name not in own)
        return (*(rule for rule in self.own if rule.contract.kind != "bounded"), *others) if name == "decompose" else others


def library_of(target: Target) -> RuleLibrary:
    """The rules for a compilation to that target."""
    compiled = [(compile_rule(spec), is_formula(spec)) for spec in target.rules]
    names = {rule.name for rule, _ in compiled}
    own = tuple(rule for rule, formula in compiled if not formula)
    formulas = tuple(rule for rule, formula in compiled if formula)
    return RuleLibrary(own, formulas, (*own, *(rule for rule in built_in.SUBSTITUTE if rule.name not in names)))


def families_of(target: Target, library: RuleLibrary, without: frozenset[str]) -> Mapping[str, tuple[Rewrite, ...]]:
    """By every name that the target's `rewrite` lines use, the rules to choose from."""
    names = {line.rule for device in target.devices for line in device.rewrites} - {"native"}
    return {name: tuple(rule for rule in library.family(name) if rule.name not in without) for name in sorted(names)}


def list_rules(target: Target | None = None) -> list[dict[str, Any]]:
    """Every rule once, in the order of the stages that use it: name, stages, what it does as mathematics, operators it starts from
    and writes, contract, bound (absolute, per element of the rule's output) and over which inputs, families it belongs to.
    With a target, its own rules too, first."""
    library = library_of(target) if target is not None else None
    stages = _stages(library)
    families = {name: {rule.name for rule in rules} for name, rules in built_in.FAMILIES.items()}
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
        for rule in (library.every if library else built_in.every_rule())
    ]


def _stages(library: RuleLibrary | None) -> dict[str, set[str]]:
    """Names by the pass that applies them; fix-caches is done while a decoder is loaded (compiler/state). Rules of
    realise-placement are chosen by ask-devices and place-operators."""
    tuning = [rule for rules in (*built_in.TUNE.values(), *built_in.FOLLOW.values()) for rule in rules]
    stages: dict[str, Iterable[Rewrite]] = {
        "fix-caches": built_in.EXTENDING,
        "recover": built_in.RECOVER,
        "simplify": built_in.SIMPLIFY,
        "recover-whole": built_in.OFFER,
        "write-in-floats": built_in.IN_FLOATS,
        "keep-floats": built_in.BESIDE_FLOATS,
        "lower-ranks": built_in.ON_FEWER_AXES,
        "realise-placement": built_in.SUBSTITUTE,
        "tune-segments": tuning,
    }
    if library is not None:
        stages = {"fuse-formulas": library.formulas, **stages, "realise-placement": library.substitutes}
    return {stage: {rule.name for rule in rules} for stage, rules in stages.items()}


def check_rules(names: Iterable[str], target: Target) -> frozenset[str]:
    """The names; raises UsageError for the first that no rule has, of the compiler or of the target's file."""
    known = [rule.name for rule in library_of(target).every]
    for name in names:
        if name not in known:
            close = did_you_mean(name, known)
            help = close if close.startswith("did") else "`autoglmc rules` lists them"
            raise UsageError(f"there is no rule '{name}'", help=help)
    return frozenset(names)
