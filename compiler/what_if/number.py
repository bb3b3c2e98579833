"""The numbers of a target that can be set: every one that its blocks may state, and its limits, with how each is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...grammar.words.properties import PROPERTIES
from ...grammar.words.property import NumberField, Property
from ...grammar.words.units import written
from ...targets.formula import render
from ...targets.model import Device, Limit, Link, Memory, Target
from ...targets.origin import Fact

PREFIXES = ("device", "memory", "link", "limits")
"""First words of a path, which may be left out where one number is left that is meant."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number that a statement of the target states, or could state."""

    path: str
    """ "device.npu.dispatch", "device.npu.peak.fp16", "link.npu-cpu.handoff", "limits.memory.peak"."""
    dimension: str
    """A key of `units.DIMENSIONS`."""
    block: str
    """The head of its block: "device npu", "link npu <-> cpu", "limits"."""
    statement: str
    """What stands before the number: "dispatch", "peak fp16", "latency <="."""
    value: float | None
    """SI; None where the target states none and there is no default."""
    text: str
    """As it is written, with its unit; "" without a value."""
    provenance: str
    """Of the file ("guess", "vendor" …); "default" or "" where no file states it."""
    note: str = ""
    place: str = ""
    """Where it stands: "a16.hw:26"."""
    meaning: str = ""
    joined: str = ""
    """The statement that it shares with others, such as `power active 2 W, idle 0.1 W`; "" where it has its own."""
    beside: str = ""
    """The start of another statement that holds the same number, and is to say the same: `zero_copy where … else copy`."""
    condition: str = ""
    """Of a rate: which operators it is for."""
    template: tuple[str, ...] = ()
    """The statement where it is not `statement` and the number: text, then the path of a number, by turns."""
    doubling: bool = False
    """Whether it must be a power of two."""
    whole: bool = False
    """Whether only whole numbers of its unit mean something."""

    @property
    def short(self) -> str:
        """The path without its first word."""
        return self.path.partition(".")[2]

    @property
    def spellings(self) -> tuple[str, ...]:
        """What means it, the surest first: the path; without its first word; without `calibration`, too."""
        return tuple(dict.fromkeys((self.path, self.short, self.short.replace(".calibration.", ".", 1))))


def numbers_of(target: Target) -> tuple[Number, ...]:
    """In the order of the file's blocks: memories, devices, links, limits."""
    facts = {fact.path: fact for fact in target.facts}
    found: list[Number] = []
    for memory in target.memories:
        found += _block("memory", memory.name, f"memory {memory.name}", memory, facts)
    for device in target.devices:
        found += _peaks(device, facts)
        found += _block("device", device.name, f"device {device.name}", device, facts)
    for link in target.links:
        arrow = "<->" if link.both else "->"
        found += _block("link", f"{link.source}-{link.destination}", f"link {link.source} {arrow} {link.destination}", link, facts)
    return (*found, *_limits(target))


def _block(kind: str, name: str, head: str, item: Memory | Device | Link, facts: Mapping[str, Fact]) -> Iterator[Number]:
    for word, row in PROPERTIES[kind].items():
        for number in () if row.keyed else row.numbers:
            value = getattr(item, number.field)
            path = f"{kind}.{name}.{number.field}"
            statement = f"{word} {number.word}".strip()
            yield _number(path, head, statement, row, number, None if value is None else float(value), facts.get(path), item)


def _number(
    path: str, head: str, statement: str, row: Property, number: NumberField, value: float | None, fact: Fact | None, item: object
) -> Number:
    where = item.zero_copy_where if isinstance(item, Link) and number.field == "copy_bandwidth" else None
    return Number(
        path=path,
        dimension=row.dimension,
        block=head,
        statement=statement,
        value=value,
        text=fact.text if fact is not None else "" if value is None else written(value, row.dimension),
        provenance=fact.provenance if fact is not None else "" if value is None else "default",
        note=fact.note if fact is not None else "",
        place=str(fact.origin) if fact is not None else "",
        meaning=row.meaning,
        joined=statement.split()[0] if len(row.numbers) > 1 else "",
        beside="" if where is None else f"zero_copy where {render(where)} else copy",
        doubling=number.power_of_two,
        whole=row.dimension == "size",
    )


def _peaks(device: Device, facts: Mapping[str, Fact]) -> Iterator[Number]:
    row = PROPERTIES["device"]["peak"]
    for peak in device.peaks:
        path = f"device.{device.name}.peak.{peak.dtype}"
        yield _number(path, f"device {device.name}", f"peak {peak.dtype}", row, row.number(), peak.rate, facts.get(path), device)


def _limits(target: Target) -> Iterator[Number]:
    """Those that the file states and those that it could state."""
    stated = {(limit.kind, limit.subject): limit for limit in target.limits}
    for kind, row in PROPERTIES["limits"].items():
        for subject in _subjects(row, target):
            yield _limit(kind, subject, row, stated.get((kind, subject)))


def _subjects(row: Property, target: Target) -> tuple[str, ...]:
    return tuple(device.name for device in target.devices) if "device" in row.takes else row.words or ("",)


def _limit(kind: str, subject: str, row: Property, limit: Limit | None) -> Number:
    return Number(
        path=".".join(filter(None, ("limits", kind, subject))),
        dimension=row.dimension,
        block="limits",
        statement=" ".join(filter(None, (kind, subject, limit.comparison if limit is not None else row.sign))),
        value=None if limit is None else limit.value,
        text="" if limit is None else limit.text,
        provenance="" if limit is None else "stated",
        place="" if limit is None else str(limit.origin),
        meaning=row.meaning,
        whole=row.dimension == "size" or kind == "partitions",
    )
