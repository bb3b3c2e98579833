"""The numbers of a device's calibration that can be set: its rates by operator, launches, weights, blocks, and its models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from ...grammar.words.calibration_properties import CALIBRATION
from ...grammar.words.units import written
from ...targets.calibration import Calibration, Holdout, Measure, MemoryModel, PowerModel, Range, Rate
from ...targets.formula import render
from ...targets.model import Device
from ...targets.origin import Fact, Origin
from .number import Number

A_SECOND: Mapping[Measure, str] = {"operations": "rate of operations", "elements": "rate of elements", "bytes": "bandwidth"}
COUNTED: Mapping[Measure, str] = {"operations": "OP", "elements": "E", "bytes": "B"}
Part = tuple[str, float | None, str, Origin]
"""(path below the calibration, value, dimension, where its statement begins)"""


def calibration_numbers(device: Device, facts: Sequence[Fact]) -> Iterator[Number]:
    """In the order of the language; an operator of several rates has `rate.Conv.1`, `rate.Conv.2`, the first that applies first."""
    if device.calibration is None:
        return
    block = _Block(device, facts)
    yield from block.scalars(device.calibration)
    yield from block.rates(device.calibration)
    yield from block.models(device.calibration)


class _Block:
    """One calibration, and what its file says of its numbers."""

    def __init__(self, device: Device, facts: Sequence[Fact]) -> None:
        self._head, self._path = f"device {device.name}.calibration", f"device.{device.name}.calibration"
        self._facts = sorted(
            (fact for fact in facts if fact.path.startswith(f"{self._path}.")),
            key=lambda fact: (fact.origin.file, fact.origin.line, fact.origin.column),
        )

    def scalars(self, of: Calibration) -> Iterator[Number]:
        for name, value in (("launch", of.launch), ("dispatch", of.dispatch)):
            yield self._number((name, value, "time", of.origin), (f"{name} ", name))
        weights = ("weights ", "weights", " beyond ", "weights.beyond") if of.weights_bandwidth is not None else ("weights ", "weights")
        yield self._number(("weights", of.weights_bandwidth, "bandwidth", of.origin), weights)
        if of.weights_bandwidth is not None:
            yield self._number(("weights.beyond", of.weights_beyond, "size", of.origin), weights)
        for block in of.blocks:
            for operator in block.operators:
                name = f"block.{operator}.{block.axis}"
                yield self._number(
                    (name, float(block.multiple), "plain number", block.origin), (f"block {operator} {block.axis} ", name), whole=True
                )

    def rates(self, of: Calibration) -> Iterator[Number]:
        for operator in of.priced:
            lines = of.lines(operator)
            names = [f"rate.{operator}{f'.{k}' if len(lines) > 1 else ''}" for k in range(1, len(lines) + 1)]
            template = [f"rate {operator} "]
            for name, rate in zip(names, lines, strict=True):
                template += [name, _measured(rate) + ("" if rate is lines[-1] else f"; rate {operator} ")]
            for name, rate in zip(names, lines, strict=True):
                condition = "" if rate.where is None else render(rate.where)
                yield self._number((name, rate.value, A_SECOND[rate.measure], rate.origin), template, condition)

    def models(self, of: Calibration) -> Iterator[Number]:
        if of.holdout is not None and of.holdout.interval is not None:
            part = ("holdout.interval", of.holdout.interval, "share", of.holdout.origin)
            yield self._number(part, _holdout(of.holdout))
        for name, parts in (("memory", _memory(of.memory)), ("power", _power(of.power))):
            template: list[str] = []
            for words, path, _, _ in parts:
                template += [f"{', ' if template else f'{name} '}{words} ", f"{name}.{path}"]
            yield from (self._number((f"{name}.{path}", value, kind, of.origin), template) for _, path, value, kind in parts)

    def _number(self, part: Part, template: Sequence[str], condition: str = "", whole: bool = False) -> Number:
        name, value, dimension, begin = part
        fact = None if value is None else self._fact(name, begin)
        return Number(
            path=f"{self._path}.{name}",
            dimension=dimension,
            block=self._head,
            statement="",
            value=value,
            text=fact.text if fact is not None else "" if value is None else written(value, dimension),
            provenance=fact.provenance if fact is not None else "" if value is None else "default",
            note=fact.note if fact is not None else "",
            place=str(fact.origin) if fact is not None else "",
            meaning=CALIBRATION[name.split(".")[0]].meaning,
            condition=condition,
            whole=whole or dimension == "size",
            template=tuple(f"{self._path}.{one}" if k % 2 else one for k, one in enumerate(template)),
        )

    def _fact(self, name: str, begin: Origin) -> Fact | None:
        """That of the number: rates and blocks are kept under the first operator of their line, so that the place decides."""
        kind, _, rest = name.partition(".")
        if kind not in ("rate", "block"):
            named = {fact.path: fact for fact in self._facts}
            return named.get(f"{self._path}.{name}")
        last = "value" if kind == "rate" else rest.rpartition(".")[2]
        start = (begin.line, begin.column)
        mine = (
            fact
            for fact in self._facts
            if fact.path.startswith(f"{self._path}.{kind}.") and fact.path.endswith(f".{last}") and fact.origin.file == begin.file
        )
        return next((fact for fact in mine if (fact.origin.line, fact.origin.column) >= start), None)


Term = tuple[str, str, float, str]
"""(words before the number, path below the statement, value, dimension)"""


def _memory(of: MemoryModel | None) -> list[Term]:
    if of is None:
        return []
    whole: list[Term] = [
        ("base", "base", of.base, "size"),
        ("weights", "weights", of.weights, "share"),
        ("working", "working", of.working, "share"),
    ]
    own = ((word, pair) for word, pairs in (("weights", of.weights_of), ("buffers", of.buffers)) for pair in pairs)
    return [*whole, *((f"{word} {name}", f"{name}.{word}", factor, "share") for word, (name, factor) in own)]


def _power(of: PowerModel | None) -> list[Term]:
    return [] if of is None else [("full", "full", of.full, "power"), ("exponent", "exponent", of.exponent, "plain number")]


def _measured(rate: Rate) -> str:
    """What stands behind the number: " seen 0.01..29 OP n 231 where attr.group > 1"."""
    words = [f"seen {_range(rate.seen)} {COUNTED[rate.measure]}"] if rate.seen is not None else []
    words += [f"inner {_range(rate.inner)}"] if rate.inner is not None else []
    words += [f'of "{", ".join(rate.kinds)}"'] if rate.kinds is not None else []
    words += [f"n {rate.samples}"] if rate.samples is not None else []
    words += [f"within {written(rate.spread, 'share')}"] if rate.spread is not None else []
    words += [f"where {render(rate.where)}"] if rate.where is not None else []
    return "".join(f" {word}" for word in words)


def _range(seen: Range) -> str:
    return "..".join(f"{Decimal(repr(end)).normalize():f}" for end in (seen.low, seen.high))


def _holdout(of: Holdout) -> tuple[str, ...]:
    before = [f"{written(share, 'share')} within {written(error, 'share')}" for share, error in of.within]
    before += [f"median {written(of.median, 'share')}"] if of.median is not None else []
    return f"holdout {''.join(f'{one}, ' for one in before)}interval ", "holdout.interval", f", models {of.models}" if of.models else ""
