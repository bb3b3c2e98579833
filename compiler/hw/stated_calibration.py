"""A calibration as `autoglmc diff` compares it and as `autoglmc show --json` gives it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from ...grammar.words.units import written
from ...targets.calibration import Block, Calibration, Holdout, MemoryModel, PowerModel, Range, Rate
from ...targets.formula import render
from ...targets.origin import Origin

A_SECOND: Mapping[str, str] = {"operations": "rate of operations", "elements": "rate of elements", "bytes": "bandwidth"}
COUNTED: Mapping[str, str] = {"operations": "operations", "elements": "elements", "bytes": "size"}
"""By measure, the dimension of a rate and of an amount of work."""
Entry = tuple[str, str, float | None, Origin]
"""(subject, text, value if it is one number, place)"""


def calibration_entries(calibration: Calibration) -> Iterator[Entry]:
    """What it states; the rates of an operator together, in their order."""
    origin = calibration.origin
    if calibration.version:
        yield "version", calibration.version, None, origin
    scalars = (("launch", calibration.launch, "time"), ("dispatch", calibration.dispatch, "time"))
    for name, value, dimension in (*scalars, ("weights", calibration.weights_bandwidth, "bandwidth")):
        if value is not None:
            yield name, written(value, dimension), value, origin
    if calibration.weights_bandwidth is not None:
        yield "weights beyond", written(calibration.weights_beyond, "size"), calibration.weights_beyond, origin
    for block in calibration.blocks:
        for operator in block.operators:
            yield f"block {operator} {block.axis}", str(block.multiple), float(block.multiple), block.origin
    for operator in dict.fromkeys(name for rate in calibration.rates for name in rate.operators):
        lines = [rate for rate in calibration.rates if operator in rate.operators]
        value = lines[0].value if lines == [_bare(lines[0])] else None
        yield f"rate {operator}", ", then ".join(map(_rate, lines)), value, lines[0].origin
    for name, model in (("holdout", calibration.holdout), ("memory", calibration.memory), ("power", calibration.power)):
        if model is not None:
            yield name, _model(model), None, model.origin


def _bare(rate: Rate) -> Rate:
    return dataclasses.replace(rate, where=None, seen=None, inner=None, samples=None, spread=None)


def _rate(rate: Rate) -> str:
    words = [written(rate.value, A_SECOND[rate.measure])]
    words += [f"seen {_range(rate.seen, COUNTED[rate.measure])}"] if rate.seen else []
    words += [f"inner {_range(rate.inner, 'plain number')}"] if rate.inner else []
    words += [f"n {rate.samples}"] if rate.samples is not None else []
    words += [f"within {written(rate.spread, 'share')}"] if rate.spread is not None else []
    words += [f"where {render(rate.where)}"] if rate.where is not None else []
    return " ".join(words)


def _range(seen: Range, dimension: str) -> str:
    return f"{written(seen.low, dimension)}..{written(seen.high, dimension)}"


def _model(model: Holdout | MemoryModel | PowerModel) -> str:
    match model:
        case MemoryModel():
            parts = [f"base {written(model.base, 'size')}, weights {model.weights:.4g}, working {model.working:.4g}"]
            parts += [f"weights {operator} {factor:.4g}" for operator, factor in model.weights_of]
            return ", ".join([*parts, *(f"buffers {operator} {factor:.4g}" for operator, factor in model.buffers)])
        case PowerModel():
            return f"full {written(model.full, 'power')}, exponent {model.exponent:g}"
    parts = [f"{written(share, 'share')} within {written(error, 'share')}" for share, error in sorted(model.within, key=lambda one: one[1])]
    parts += [f"{name} {written(value, 'share')}" for name, value in (("median", model.median), ("interval", model.interval)) if value]
    return ", ".join([*parts, *([f"models {model.models}"] if model.models is not None else [])])


def calibration_json(calibration: Calibration) -> dict[str, Any]:
    """Every value in SI, conditions as text."""
    return {
        "note": calibration.note,
        "version": calibration.version,
        "launch": calibration.launch,
        "dispatch": calibration.dispatch,
        "weights": {"bandwidth": calibration.weights_bandwidth, "beyond": calibration.weights_beyond},
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
