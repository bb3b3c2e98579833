"""The state that the lowering of a target shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from ...targets.origin import Fact
from ...targets.rule_spec import RuleFacts
from ..text.diagnostics import Source, Span
from ..text.syntax import Rule, Statement
from ..words.reader import Quantity, Report
from .expression import OPERATOR_VARIABLES, Scope

ANY_OPSET = (1, 1000)


@dataclass(slots=True)
class Context:
    report: Report
    rules: Sequence[RuleFacts] = ()
    """Built-in rules; empty when the caller knows of none, which switches the checks of rule names off."""
    own_rules: Mapping[str, Rule] = field(default_factory=dict)
    """`rule` blocks of the files read."""
    devices: Mapping[str, Statement] = field(default_factory=dict)
    tables: Mapping[str, Statement] = field(default_factory=dict)
    opset: tuple[int, int] = ANY_OPSET
    opset_source: Source | None = None
    """The file that says `onnx opset`."""
    facts: list[Fact] = field(default_factory=list)
    unsourced: list[tuple[str, Span]] = field(default_factory=list)
    """Numbers that are no facts (`max rank 5`) and state no source: what they are, and where."""
    spans: dict[str, Span] = field(default_factory=dict)
    """Where each number ("device.npu.dispatch") and each named block ("device.npu") stands."""

    def fact(self, path: str, quantity: Quantity | None) -> float | None:
        """Keeps the number's provenance and gives its value."""
        if quantity is None:
            return None
        self.facts.append(quantity.fact(path))
        self.spans[path] = quantity.span
        return quantity.value

    def in_table(self, span: Span) -> bool:
        """Whether a line stands in a table, which knows no target."""
        return any(t.span.source is span.source and t.span.start <= span.start < t.span.end for t in self.tables.values())

    def opsets(self, span: Span) -> tuple[int, int]:
        """The opsets that a line is about: those the target declares, and all for a line of a table or of a file that was written
        without knowing them, since a file that includes it declares them anew. What such a line asks of later opsets is left out."""
        return ANY_OPSET if self.in_table(span) or self._below_opset(span.source) else self.opset

    def _below_opset(self, source: Source) -> bool:
        """Whether the file with `onnx opset` includes that source, directly or by another."""
        seen: set[str] = set()
        while self.opset_source is not None and source.name != self.opset_source.name and source.name not in seen:
            seen.add(source.name)
            if (by := self.report.included.get(source.name)) is None:
                return False
            source = by.source
        return bool(seen) and self.opset_source is not None and source.name == self.opset_source.name

    def scope(self, name: str, span: Span | None = None) -> Scope:
        """What a condition on that operator may ask, for the opsets the line at `span` is about."""
        opset = self.opsets(span) if span else self.opset
        return _scope(name, opset if "::" not in name else ANY_OPSET)


@lru_cache(maxsize=512)
def _scope(name: str, opset: tuple[int, int]) -> Scope:
    from ...targets.operators import operator_names, versions_of

    known = frozenset(operator_names())
    versions = versions_of(name.removeprefix("ai.onnx::"))
    if not versions:
        return Scope(f"`{name}`", OPERATOR_VARIABLES, known_operators=known)
    low, high = opset
    first = [version for version in versions if version.since <= low][-1:]
    forced = first + [version for version in versions if low < version.since <= high] or list(versions)
    operands = frozenset(slot.name for version in forced for slot in (*version.inputs, *version.outputs))
    attributes = frozenset(attribute for version in forced for attribute in version.attributes)
    kinds = {(attribute, kind.rstrip("!=")) for version in forced for attribute, kind in version.attributes.items()}
    types = {attribute: kind for attribute, kind in sorted(kinds) if len([name for name, _ in kinds if name == attribute]) == 1}
    return Scope(f"`{name}`", OPERATOR_VARIABLES, operands, attributes, types, known_operators=known)
