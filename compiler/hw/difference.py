"""What differs in meaning between two targets: numbers, operators and their conditions, links, memories, limits, rewrites, precision.

Names and titles of the targets, order, layout, provenance and place make no difference.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from ...grammar.words.properties import PROPERTIES
from ...grammar.words.units import written
from ...targets.formula import Expression, render
from ...targets.model import Bucket, Device, KernelChain, Limit, Link, Memory, OperatorRule, RewriteLine, Runtime, Target
from ...targets.origin import Origin
from ...targets.precision import Keep, Precision
from ...targets.rule_spec import RuleSpec
from .stated_calibration import calibration_entries
from .stated_precision import Entry, precision_entries, weights_entries


@dataclass(frozen=True, slots=True)
class Stated:
    """One thing that a target states: as text, as a number if it is one, and its place."""

    text: str
    value: float | None = None
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    section: str
    """ "device npu", "memory dram", "link npu <-> cpu", "limits", "precision", "rule relu_tanh", "target"."""
    subject: str
    """ "dispatch", "operator Conv", "rewrite Gelu"; "" for the section as a whole."""
    old: Stated | None
    new: Stated | None

    @property
    def kind(self) -> Literal["added", "removed", "changed"]:
        return "added" if self.old is None else "removed" if self.new is None else "changed"

    @property
    def ratio(self) -> float | None:
        """New over old, of two numbers."""
        if self.old is None or self.new is None or not self.old.value or self.new.value is None:
            return None
        return self.new.value / self.old.value


def differences(old: Target, new: Target) -> tuple[Difference, ...]:
    """Sections in the order of the old target, then those that only the new one has; () if both mean the same."""
    before, after = _sections(old), _sections(new)
    found: list[Difference] = []
    for name in dict.fromkeys((*before, *after)):
        one, other = before.get(name), after.get(name)
        if one is None or other is None:
            found.append(Difference(name, "", one[""] if one else None, other[""] if other else None))
            continue
        for subject in dict.fromkeys((*one, *other)):
            was, now = one.get(subject), other.get(subject)
            if subject and not _same(was, now):
                found.append(Difference(name, subject, was, now))
    return tuple(found)


def _same(one: Stated | None, other: Stated | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.value == other.value if one.value is not None or other.value is not None else one.text == other.text


# --- a target as sections of things stated; "" in a section is the section itself


def _sections(target: Target) -> dict[str, dict[str, Stated]]:
    numbers = {fact.path: Stated(fact.text, fact.value, fact.origin) for fact in target.facts}
    low, high = target.opset
    sections = {"target": {"": Stated(target.name), "opset": Stated(f"{low}..{high}")}}
    for memory in target.memories:
        fields = _fields(memory, "memory", memory.name, numbers)
        sections[f"memory {memory.name}"] = {"": Stated(memory.name, None, memory.origin), **dict(fields)}
    for device in target.devices:
        own = [line for line in device.precision.prefers if line not in target.precision.prefers]
        kept = [line for line in device.precision.keeps if line not in target.precision.keeps]
        forms = _entries((*weights_entries(device.weights), *precision_entries(own, kept)))
        sections[f"device {device.name}"] = {**_device(device, numbers), **forms}
        if device.calibration is not None:
            entries = calibration_entries(device.calibration)
            known = f"device.{device.name}.calibration"
            measured = {
                subject: Stated(text, value, at.origin if (at := numbers.get(f"{known}.{subject.replace(' ', '.')}")) else origin)
                for subject, text, value, origin in entries
            }
            sections[f"calibration of {device.name}"] = {"": Stated("yes", None, device.calibration.origin), **measured}
    for link in target.links:
        sections[_link_name(link)] = _link(link, numbers)
    sections["limits"] = {"": Stated("limits"), **dict(map(_limit, target.limits))}
    precision = target.precision
    sections["precision"] = {
        "": Stated("precision"),
        **({"default": Stated(precision.default)} if precision.default else {}),
        **{f"compute {into} for {operand}": Stated("yes") for into, operand in precision.compute},
        **{f"keep {dtype} {operator}{f' on {device}' if device else ''}": Stated("yes") for dtype, operator, device in precision.keep},
        **_entries(precision_entries(precision.prefers, [line for line in precision.keeps if not _plainly(line, precision)])),
    }
    if target.shapes:
        sections["shapes"] = {
            "": Stated("shapes"),
            **{bucket.name: Stated(_sizes(bucket), None, bucket.origin) for bucket in target.shapes},
        }
    for rule in target.rules:
        sections[f"rule {rule.name}"] = _rule(rule)
    return sections


def _entries(found: Iterable[Entry]) -> dict[str, Stated]:
    return {subject: Stated(text, None, origin) for subject, text, origin in found}


def _plainly(line: Keep, precision: Precision) -> bool:
    """Whether each operator of the line is an entry by itself: kept in a float dtype without a condition."""
    return all((line.form, name, line.device) in precision.keep for name in line.operators)


SKIPPED = frozenset(
    {
        "name",
        "source",
        "destination",
        "both",
        "origin",
        "zero_copy_origin",
        "supports",
        "denies",
        "kernels",
        "rewrites",
        "peaks",
        "calibration",
        "precision",
        "weights",
    }
)


def _fields(item: Memory | Device | Link, block: str, name: str, numbers: Mapping[str, Stated]) -> Iterator[tuple[str, Stated]]:
    """The plain properties of a block, without those that are absent; a number that no file states (a default) in the unit of its row."""
    dimensions = {number.field: row.dimension for row in PROPERTIES[block].values() for number in row.numbers}
    for field in dataclasses.fields(item):
        value = getattr(item, field.name)
        if field.name in SKIPPED or value is None or value == ():
            continue
        stated = numbers.get(f"{block}.{name}.{field.name}")
        if stated:
            yield field.name, replace(stated, value=float(value))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield field.name, Stated(written(value, dimensions.get(field.name, "plain number")), float(value))
        else:
            yield field.name, Stated(_plain(value), None, item.origin)


def _plain(value: Any) -> str:
    """A value as a person writes it; sets of names in one order."""
    if isinstance(value, Expression):
        return render(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Runtime):
        return " ".join((value.adapter, *value.words))
    if isinstance(value, tuple):
        return ", ".join(sorted(" ".join(map(str, item)) if isinstance(item, tuple) else str(item) for item in value))
    return str(value)


def _device(device: Device, numbers: Mapping[str, Stated]) -> dict[str, Stated]:
    entries = {"": Stated(f"{device.name} : {device.kind}", None, device.origin)}
    for peak in device.peaks:
        stated = numbers.get(f"device.{device.name}.peak.{peak.dtype}")
        text = stated.text if stated else written(peak.rate, PROPERTIES["device"]["peak"].dimension)
        entries[f"peak {peak.dtype}"] = Stated(text, peak.rate, stated.origin if stated else None)
    entries |= dict(_fields(device, "device", device.name, numbers))
    entries |= _operators(device)
    entries |= _conditions("deny", ((rule, "") for rule in device.denies))
    for operator in dict.fromkeys(line.operator for line in device.rewrites):
        lines = [line for line in device.rewrites if line.operator == operator]
        entries[f"rewrite {operator}"] = Stated(", then ".join(map(_rewrite, lines)), None, lines[0].origin)
    entries |= {f"kernel {_chain(chain)}": Stated("yes", None, chain.origin) for chain in device.kernels}
    return entries


def _operators(device: Device) -> dict[str, Stated]:
    """ "operator Conv" with its conditions by dtype."""
    entries: dict[str, Stated] = {}
    for block in device.supports:
        if block.everything:
            entries["every operator"] = Stated("yes", None, block.origin)
    return entries | _conditions("operator", ((r, d) for block in device.supports for r in block.rules for d in block.dtypes))


def _conditions(word: str, rules: Iterable[tuple[OperatorRule, str]]) -> dict[str, Stated]:
    """By operator: "fp16, fp32 where …", conditions of one dtype OR-ed; dtypes under the same condition together."""
    tables: dict[str, dict[str, dict[str, None]]] = {}
    origins: dict[str, Origin] = {}
    for rule, dtype in rules:
        name = f"{rule.domain}::{rule.operator}" if rule.domain else rule.operator
        where = "" if rule.where is None else render(rule.where)
        tables.setdefault(name, {}).setdefault(dtype, {})[where] = None
        origins.setdefault(name, rule.origin)
    entries: dict[str, Stated] = {}
    for name, dtypes in tables.items():
        conditions = {dtype: "" if "" in wheres else " or ".join(sorted(wheres)) for dtype, wheres in dtypes.items()}
        parts = []
        for where in sorted(set(conditions.values())):
            names = ", ".join(sorted(dtype for dtype, condition in conditions.items() if condition == where))
            parts.append(" where ".join(part for part in (names, where) if part) if where else names or "always")
        entries[f"{word} {name}"] = Stated("; ".join(parts), None, origins[name])
    return entries


def _rewrite(line: RewriteLine) -> str:
    words = [line.rule]
    words += [f"tol {line.tolerance:g}"] if line.tolerance is not None else []
    words += [f"keep {dtype} {operator}" for dtype, operator in line.keep]
    words += [f"where {render(line.where)}"] if line.where is not None else []
    return " ".join(words)


def _chain(chain: KernelChain) -> str:
    return " -> ".join(" | ".join(sorted(stage.operators)) + "?" * stage.optional for stage in chain.stages)


def _link_name(link: Link) -> str:
    """Both ways: the ends in one order."""
    ends = sorted((link.source, link.destination)) if link.both else (link.source, link.destination)
    return f"link {(' <-> ' if link.both else ' -> ').join(ends)}"


def _link(link: Link, numbers: Mapping[str, Stated]) -> dict[str, Stated]:
    fields = _fields(link, "link", f"{link.source}-{link.destination}", numbers)
    return {"": Stated(link.via or "zero copy", None, link.origin), **dict(fields)}


def _limit(limit: Limit) -> tuple[str, Stated]:
    subject = f"{limit.kind} {limit.subject}".strip()
    return f"{subject} {limit.comparison}", Stated(limit.text, limit.value, limit.origin)


def _sizes(bucket: Bucket) -> str:
    return ", ".join(f"{dim} {', '.join(map(str, sorted(sizes)))}" for dim, sizes in sorted(bucket.sizes))


def _rule(rule: RuleSpec) -> dict[str, Stated]:
    entries = {"": Stated(f"{rule.name}({', '.join(rule.parameters)})", None, rule.origin)}
    for field in dataclasses.fields(rule):
        value = getattr(rule, field.name)
        if field.name in ("name", "origin") or value is None:
            continue
        if field.name == "let":
            value = tuple(f"{name} = {render(formula)}" for name, formula in value)
        items = (
            [render(item) if isinstance(item, Expression) else str(item) for item in value] if isinstance(value, tuple) else [_plain(value)]
        )
        entries[field.name] = Stated(", ".join(items), None, rule.origin)
    return entries
