"""What `autoglmc show` and `autoglmc diff` say, as data for machines and as lines for people."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ...targets.formula import Expression, render
from ...targets.model import Device, Link, OperatorRule, Target
from ...targets.origin import Origin
from .difference import Difference, Stated
from .stated_calibration import calibration_json
from .stated_precision import precision_json, weights_json

OF_OPERATORS = ("rate", "measured")
"""First words of what a calibration says of operators one by one."""
SHORT = 60
"""Letters of two texts that fit on one line."""


def target_json(target: Target) -> dict[str, Any]:
    """Every resolved value with its place; numbers in SI with provenance."""
    return {
        "name": target.name,
        "title": target.title,
        "confidence": target.confidence,
        "digest": target.digest,
        "opset": list(target.opset),
        "values": [{**dataclasses.asdict(fact), "origin": _place(fact.origin)} for fact in target.facts],
        "memories": [{"name": m.name, "shared": list(m.shared), "origin": _place(m.origin)} for m in target.memories],
        "devices": [_device(device) for device in target.devices],
        "links": [
            {"between": [k.source, k.destination], "both": k.both, "via": k.via, "zero_copy": _zero_copy(k), "origin": _place(k.origin)}
            for k in target.links
        ],
        "precision": precision_json(target.precision),
        "limits": [{**dataclasses.asdict(limit), "origin": _place(limit.origin)} for limit in target.limits],
        "shapes": [{"name": b.name, "sizes": dict(b.sizes), "origin": _place(b.origin)} for b in target.shapes],
        "rules": [{"name": rule.name, "origin": _place(rule.origin)} for rule in target.rules],
    }


def _device(device: Device) -> dict[str, Any]:
    rewrites = [
        {
            "operator": line.operator,
            "rule": line.rule,
            "tolerance": line.tolerance,
            "keep": line.keep,
            **_condition(line.where, line.origin),
        }
        for line in device.rewrites
    ]
    return {
        "name": device.name,
        "kind": device.kind,
        "runtime": " ".join((device.runtime.adapter, *device.runtime.words)),
        "static_shapes": device.static_shapes,
        "layout": device.layout,
        "every_operator": any(block.everything for block in device.supports),
        "operators": [{"dtypes": block.dtypes, **_rule(rule)} for block in device.supports for rule in block.rules],
        "denied": [_rule(rule) for rule in device.denies],
        "kernels": [{"stages": [dataclasses.asdict(s) for s in chain.stages], "origin": _place(chain.origin)} for chain in device.kernels],
        "rewrites": rewrites,
        "calibration": None if device.calibration is None else calibration_json(device.calibration),
        "precision": precision_json(device.precision),
        "weights": weights_json(device.weights),
        "origin": _place(device.origin),
    }


def _rule(rule: OperatorRule) -> dict[str, Any]:
    name = f"{rule.domain}::{rule.operator}" if rule.domain else rule.operator
    return {"operator": name, **_condition(rule.where, rule.origin)}


def _condition(where: Expression | None, origin: Origin) -> dict[str, Any]:
    return {"where": None if where is None else render(where), "origin": _place(origin)}


def _zero_copy(link: Link) -> bool | str:
    return render(link.zero_copy_where) if link.zero_copy and link.zero_copy_where is not None else link.zero_copy


def _place(origin: Origin) -> dict[str, Any]:
    return {"file": origin.file, "line": origin.line, "column": origin.column}


def difference_json(found: Iterable[Difference]) -> list[dict[str, Any]]:
    return [
        {
            "section": one.section,
            "subject": one.subject,
            "kind": one.kind,
            "old": _stated(one.old),
            "new": _stated(one.new),
            "ratio": one.ratio,
        }
        for one in found
    ]


def _stated(one: Stated | None) -> dict[str, Any] | None:
    return None if one is None else {"text": one.text, "value": one.value, "origin": _place(one.origin) if one.origin else None}


def difference_lines(found: Iterable[Difference]) -> Iterator[str]:
    """A heading a section, then what was changed (~), added (+) and removed (-); operators gained and lost in one line each."""
    for section, group in itertools.groupby(found, key=lambda one: one.section):
        differences = list(group)
        if not differences[0].subject:
            yield _line(differences[0])
            continue
        yield section
        for one in _alike(differences):
            if one.kind == "changed" or not one.subject.startswith("operator "):
                yield from (f"  {line}" for line in _line(one).split("\n"))
        for sign, kind in (("+", "added"), ("-", "removed")):
            names = [d.subject.removeprefix("operator ") for d in differences if d.kind == kind and d.subject.startswith("operator ")]
            if names:
                yield f"  {sign} operators {', '.join(names)}"


def _alike(found: Sequence[Difference]) -> Iterator[Difference]:
    """Rates of several operators that changed in the same way as one: "rate Gelu, Erf"."""
    groups: dict[tuple[str, ...], list[Difference]] = {}
    for number, one in enumerate(found):
        word, _, rest = one.subject.partition(" ")
        _, _, condition = rest.partition(" ")
        texts = tuple(stated.text if stated is not None else "" for stated in (one.old, one.new))
        key = (word, condition, *texts) if word in OF_OPERATORS and one.section.startswith("calibration ") else (str(number),)
        groups.setdefault(key, []).append(one)
    for group in groups.values():
        names = ", ".join(one.subject.split(" ")[1] for one in group) if len(group) > 1 else ""
        word, _, rest = group[0].subject.partition(" ")
        _, gap, condition = rest.partition(" ")
        yield dataclasses.replace(group[0], subject=f"{word} {names}{gap}{condition}") if names else group[0]


def _line(one: Difference) -> str:
    sign = {"added": "+", "removed": "-", "changed": "~"}[one.kind]
    name = one.subject or one.section
    shown = one.new or one.old
    assert shown is not None
    if one.old is None or one.new is None:
        between = " " if name[-1] in "<>=" else ": "
        text = "" if shown.text == "yes" or not one.subject else f"{between}{shown.text}"
        return f"{sign} {name}{text}{_at(shown)}"
    if len(one.old.text) + len(one.new.text) > SHORT:
        return f"{sign} {name}{_at(one.new)}\n    - {one.old.text}\n    + {one.new.text}"
    ratio = f" (x {one.ratio:.3g})" if one.ratio is not None else ""
    return f"{sign} {name}: {one.old.text} -> {one.new.text}{ratio}{_at(one.new)}"


def _at(shown: Stated) -> str:
    return f"  [{shown.origin}]" if shown.origin else ""
