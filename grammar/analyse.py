"""A .hw file to a `Target`: reads, resolves, lowers block by block, checks; collects everything it finds on the way."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from ..targets.collection import no_collection
from ..targets.deployment import Deployment
from ..targets.model import Bucket, Device, Limit, Link, Memory, Target
from ..targets.operators import dictionary_opset
from ..targets.precision import Precision
from ..targets.rule_formula import facts_of
from ..targets.rule_spec import RuleFacts, RuleSpec
from .check.calibration import check_calibrations
from .check.checks import check_names, check_sense
from .check.effect import check_effect
from .check.forms import check_forms
from .check.guesses import check_guesses, check_provenance
from .check.routes import check_routes
from .check.unused import check_unused
from .files.resolve import LANGUAGE, Load, Resolved, resolve
from .lower.context import Context
from .lower.deploy import lower_deploy
from .lower.device import check_table, lower_device
from .lower.digest import digest
from .lower.limits import lower_limits
from .lower.numbers import report_missing
from .lower.parts import lower_link, lower_memory
from .lower.precision import lower_precision, over
from .lower.shapes import lower_shapes
from .text.diagnostics import Diagnostic, Source, Span, first_of, note_includes, tidy
from .text.syntax import Rule, Statement, read
from .words.properties import PROPERTIES
from .words.reader import Reader, Report, TooMany
from .words.schema import unknown


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome for a file: the target if there is no error, and all messages, sorted."""

    target: Target | None
    diagnostics: tuple[Diagnostic, ...]
    tables: tuple[Span, ...] = ()
    """The names of the operator tables that the file declares; a file with tables may do without a target."""
    resolved: Resolved | None = None
    """The syntax that the target was lowered from; None without a target."""
    deployment: Deployment | None = None
    """What the file's own `deploy` block says, if there is no error; the file may do without a target then, too."""


@dataclass(slots=True)
class _Parts:
    """What has been read of the target's body so far."""

    title: str = ""
    confidence: str = ""
    opset: tuple[int, int] | None = None
    memories: list[Memory] = dataclasses.field(default_factory=list)
    devices: list[Device] = dataclasses.field(default_factory=list)
    links: list[Link] = dataclasses.field(default_factory=list)
    precision: Precision = dataclasses.field(default_factory=Precision)
    limits: tuple[Limit, ...] = ()
    shapes: tuple[Bucket, ...] = ()


@no_collection()
def analyse(source: Source, rules: Sequence[RuleFacts], load: Load, strict: bool = False) -> Result:
    """The target and every message about a file; `strict` adds guesses that limits rest on, and numbers without provenance.

    Never raises for what the file holds."""
    report = Report()
    resolved: Resolved | None = None
    target: Target | None = None
    deployment: Deployment | None = None
    stopped = False
    try:
        resolved = resolve(read(source), load, report)
        for name, table in resolved.tables.unused():
            check_table(name, table, Context(report, rules, resolved.rules, tables=resolved.tables.declared))
        target = _lower(resolved.target, resolved, rules, report, strict) if resolved.target is not None else None
        if resolved.deploy is not None:
            deployment = lower_deploy(resolved.deploy, Context(report))
    except TooMany:
        stopped = True
    found = first_of(tidy(note_includes(report.found, report.included)), stopped, source)
    failed = any(diagnostic.severity == "error" for diagnostic in found)
    own_tables = resolved.own_tables if resolved is not None else ()
    if failed:
        return Result(None, found, own_tables)
    return Result(target, found, own_tables, None if target is None else resolved, deployment)


def _lower(statement: Statement, resolved: Resolved, rules: Sequence[RuleFacts], report: Report, strict: bool) -> Target | None:
    body = [item for item in statement.body or () if isinstance(item, Statement)]
    for item in statement.body or ():
        if isinstance(item, Rule):
            report.error("HW0101", item.name.span, "a `rule` must be outside the target")
    devices = {item.words[0]: item for item in body if item.head.text == "device" and item.words}
    context = Context(report, rules, resolved.rules, devices, resolved.tables.declared)
    parts = _Parts()
    for item in [item for item in body if item.head.text == "onnx"]:  # first: operator checks need the opset range
        _block(item, parts, context, statement)
    specs: list[RuleSpec] = []
    if resolved.rules:
        from .lower.rule import lower_rules  # with check_claim a fifth of all imports, and few files have rules

        specs = lower_rules(resolved.rules, context)
    if rules:
        context.rules = (*(facts for facts in rules if facts.name not in resolved.rules), *map(facts_of, specs))
    for item in [item for item in body if item.head.text != "onnx"]:
        _block(item, parts, context, statement)
    parts.devices = [over(device, parts.precision) for device in parts.devices]
    if specs:
        from .check.claims import check_claims

        check_claims([(resolved.rules[spec.name], spec) for spec in specs], parts.devices, context)
    check_names(body, context)
    check_sense(parts.memories, parts.devices, parts.links, parts.precision, parts.limits, context)
    check_effect(parts.devices, context)
    check_calibrations(parts.devices, parts.memories, parts.precision, context)
    check_routes(parts.devices, statement.span.source, context)
    if strict:
        check_guesses(parts.limits, context)
        check_provenance(context)
    report_missing("target", f"target `{statement.args[0].text}`", statement.body, statement.args[0].span, context)
    if parts.opset is None:
        return None
    target = _target(statement, parts, specs, context)
    check_unused(target, context)
    check_forms(target, context)
    return target


def _target(statement: Statement, parts: _Parts, specs: list[RuleSpec], context: Context) -> Target:
    name = statement.args[0].text
    target = Target(
        name=name,
        title=parts.title or name,
        language=LANGUAGE,
        opset=parts.opset or (1, 1),
        memories=tuple(parts.memories),
        devices=tuple(parts.devices),
        links=tuple(parts.links),
        precision=parts.precision,
        limits=parts.limits,
        rules=tuple(specs),
        facts=tuple(sorted(context.facts, key=lambda fact: fact.path)),
        digest="",
        confidence=parts.confidence,
        shapes=parts.shapes,
    )
    return dataclasses.replace(target, digest=digest(target))


def _block(item: Statement, parts: _Parts, context: Context, target: Statement) -> None:
    reader = Reader(item, context.report)
    named = f"{item.head.text}.{'-'.join(item.words[:2] if item.head.text == 'link' else item.words[:1])}"
    match item.head.text:
        case "name":
            title = reader.take("string", "a title in quotes")
            reader.end()
            parts.title = title.text if title else ""
        case "confidence":
            known = PROPERTIES["target"]["confidence"]
            word = reader.take_choice(known.words, known.choice)
            reader.end()
            parts.confidence = word.text if word else ""
        case "onnx":
            parts.opset = _opset(reader, context)
            context.opset = parts.opset or context.opset
            context.opset_source = item.head.span.source
        case "memory" | "device" | "link":
            if item.args:
                context.spans[named] = item.args[0].span.to(item.args[-1].span) if item.head.text == "link" else item.args[0].span
            _add(item, parts, context)
        case "precision":
            context.spans["precision"] = item.head.span
            parts.precision = lower_precision(item, context)
        case "limits":
            _limit_spans(item, context)
            parts.limits = lower_limits(item, context)
        case "shapes":
            parts.shapes = lower_shapes(item, context)
        case _:
            unknown(item, "target", f"target `{target.args[0].text}`", context.report)


def _add(item: Statement, parts: _Parts, context: Context) -> None:
    match item.head.text:
        case "memory":
            memory = lower_memory(item, context)
            parts.memories += [memory] if memory else []
        case "device":
            device = lower_device(item, context)
            parts.devices += [device] if device else []
        case _:
            link = lower_link(item, context)
            parts.links += [link] if link else []


def _limit_spans(item: Statement, context: Context) -> None:
    for line in item.body or ():
        if isinstance(line, Statement):
            subject = " ".join(arg.text for arg in takewhile(lambda arg: arg.kind == "word", line.args))
            context.spans[f"limits.{line.head.text}.{subject}"] = line.span


def _opset(reader: Reader, context: Context) -> tuple[int, int] | None:
    """`onnx opset 13..21` or `onnx opset 17`"""
    known = PROPERTIES["target"]["onnx"]
    if reader.take_choice(known.words, known.choice) is None:
        return None
    low = reader.take("number", "an opset, as in `onnx opset 13..21`")
    high = reader.take("number", "the newest opset after `..`") if low and reader.take_sign("..") else low
    reader.skip_provenance()
    reader.end()
    if low is None or high is None:
        return None
    known_opsets = range(1, dictionary_opset() + 1)
    numbers = [int(one.text) if one.text.isdecimal() and len(one.text) < 9 else 0 for one in (low, high)]
    if not (numbers[0] in known_opsets and numbers[1] in known_opsets and numbers[0] <= numbers[1]):
        message = f"`{low.text}..{high.text}` is not a valid opset range; opsets 1..{dictionary_opset()} are known"
        context.report.error("HW0108", low.span.to(high.span), message)
        return None
    return numbers[0], numbers[1]
