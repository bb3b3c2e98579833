"""The rules of one compilation: the built-in ones and those of the target's own files. A file's rule takes the place of a built-in
rule or family of its name; nothing is registered anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...passes import library as built_in
from ...passes.rule.compile_rule import compile_rule, is_formula
from ...passes.rule.rewrite import Rewrite
from ...targets.model import Target


@dataclass(frozen=True, slots=True)
class RuleLibrary:
    own: tuple[Rewrite, ...]
    """Of the target's files, those that stand for one operator."""
    formulas: tuple[Rewrite, ...]
    """Of the target's files, those whose `match` is several operators: applied before operators are asked for one by one."""
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
