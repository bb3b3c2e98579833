"""A calibration as `autoglmc diff` compares it and as `autoglmc show --json` gives it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...grammar.words.units import written
from ...targets.calibration import Block, Calibration, Holdout, MemoryModel, PowerModel, Range, Rate
from ...targets.formula import render
from ...targets.origin import Origin

A_SECOND: Mapping[str, str] = {"operations": "rate of operations", "elements": "rate of elements", "bytes": "bandwidth"}
COUNTED: Mapping[str, str] = {"operations": "operations", "elements": "elements", "bytes": "size"}
"""By measure, the dimension of a rate and of an amount of work."""
DECIMAL = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
Entry = tuple[str, str, float | None, Origin]
"""(subject, text, value if it is one number, place)"""


def calibration_entries(calibration: Calibration) -> Iterator[Entry]:
    """What it states, number by number."""
    origin = calibration.origin
    if calibration.version:
        yield "version", calibration.version, None, origin
    scalars = (("launch", calibration.launch, "time"), ("dispatch", calibration.dispatch, "time"))
    for name, value, dimension in (*scalars, ("weights", calibration.weights_bandwidth, "bandwidth")):
        if value is not None:
            yield name, written(value, dimension), value, origin
    if calibration.weights_bandwidth is not None:
        yield "weights beyond", written(calibration.weights_beyond, "size"), calibration.weights_beyond, origin
    if calibration.activations_bandwidth is not None:
        yield "activations", written(calibration.activations_bandwidth, "bandwidth"), calibration.activations_bandwidth, origin
    for block in calibration.blocks:
        for operator in block.operators:
            yield f"block {operator} {block.axis}", str(block.multiple), float(block.multiple), block.origin
    for operator in calibration.priced:
        yield from _rates(operator, calibration.lines(operator))
    yield from _models(calibration)


def _rates(operator: str, lines: Sequence[Rate]) -> Iterator[Entry]:
    """Each rate of an operator by its condition, what was measured of it, and their order where there are several."""
    for rate in lines:
        condition = f" where {render(rate.where)}" if rate.where is not None else ""
        yield f"rate {operator}{condition}", written(rate.value, A_SECOND[rate.measure]), rate.value, rate.origin
        if seen := _seen(rate):
            yield f"measured {operator}{condition}", seen, None, rate.origin
    if len(lines) > 1:
        order = ", then ".join("the rest" if rate.where is None else render(rate.where) for rate in lines)
        yield f"order {operator}", order, None, lines[0].origin


def _seen(rate: Rate) -> str:
    words = [f"seen {_range(rate.seen, COUNTED[rate.measure])}"] if rate.seen else []
    words += [f"inner {_range(rate.inner, 'plain number')}"] if rate.inner else []
    words += [f"of {', '.join(rate.kinds)}"] if rate.kinds else []
    words += [f"n {rate.samples}"] if rate.samples is not None else []
    words += [f"within {written(rate.spread, 'share')}"] if rate.spread is not None else []
    return " ".join(words)


def _range(seen: Range, dimension: str) -> str:
    shown = _decimal if dimension == "size" else written
    return f"{shown(seen.low, dimension)}..{shown(seen.high, dimension)}"


def _decimal(value: float, dimension: str) -> str:
    """Bytes that are moved, as `calibrate` writes them: 4.3 MB."""
    size, unit = next((pair for pair in DECIMAL if value >= pair[0]), (1.0, "B"))
    return f"{value / size:.6g} {unit}"


def _models(calibration: Calibration) -> Iterator[Entry]:
    """Every number of the hold-out and of the models of memory and power."""
    held, memory, power = calibration.holdout, calibration.memory, calibration.power
    if held is not None:
        for share, error in sorted(held.within, key=lambda one: one[1]):
            yield f"holdout within {written(error, 'share')}", written(share, "share"), share, held.origin
        for name, value in (("median", held.median), ("interval", held.interval)):
            if value is not None:
                yield f"holdout {name}", written(value, "share"), value, held.origin
        if held.models is not None:
            yield "holdout models", str(held.models), float(held.models), held.origin
    if memory is not None:
        yield "memory base", written(memory.base, "size"), memory.base, memory.origin
        yield "memory weights", written(memory.weights, "share"), memory.weights, memory.origin
        yield "memory working", written(memory.working, "share"), memory.working, memory.origin
        for word, own in (("weights", memory.weights_of), ("buffers", memory.buffers)):
            yield from ((f"memory {operator} {word}", written(factor, "share"), factor, memory.origin) for operator, factor in own)
    if power is not None:
        yield "power full", written(power.full, "power"), power.full, power.origin
        yield "power exponent", f"{power.exponent:g}", power.exponent, power.origin


def calibration_json(calibration: Calibration) -> dict[str, Any]:
    """Every value in SI, conditions as text."""
    return {
        "note": calibration.note,
        "version": calibration.version,
        "launch": calibration.launch,
        "dispatch": calibration.dispatch,
        "weights": {"bandwidth": calibration.weights_bandwidth, "beyond": calibration.weights_beyond},
        "activations": calibration.activations_bandwidth,
        "blocks": [_part(block) for block in calibration.blocks],
        "rates": [_part(rate) for rate in calibration.rates],
        **{name: _part(getattr(calibration, name)) for name in ("holdout", "memory", "power")},
    }


def _part(part: Rate | Block | Holdout | MemoryModel | PowerModel | None) -> dict[str, Any] | None:
    if part is None:
        return None
    fields = dataclasses.asdict(dataclasses.replace(part, where=None)) if isinstance(part, Rate) else dataclasses.asdict(part)
    if isinstance(part, Rate):
        fields["where"] = None if part.where is None else render(part.where)
    return {**fields, "origin": {"file": part.origin.file, "line": part.origin.line, "column": part.origin.column}}
