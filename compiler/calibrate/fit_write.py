"""A calibration as text: a file that extends the target with what was measured, and leaves the target's own file as it is."""

from __future__ import annotations

from collections.abc import Iterable

from ...targets.calibration import Calibration, Holdout, MemoryModel, PowerModel, Range, Rate
from ...targets.formula import render
from ...targets.model import Target
from ..hw.format_files import canonical
from .fit import Fitted
from .fit_lines import rounded

RATE_UNITS = {"operations": "OPS", "elements": "E/s", "bytes": "B/s"}
FLOATING = "FLOPS"
WORK_UNITS = {"operations": "OP", "elements": "E", "bytes": "B"}
DECIMAL = (("P", 15), ("T", 12), ("G", 9), ("M", 6), ("k", 3), ("", 0))
BINARY = (("GiB", 2.0**30), ("MiB", 2.0**20), ("KiB", 2.0**10))


HEAD = """hw 1;

include "{include}";

// {title}: what `autoglmc calibrate` measured. Numbers changed by hand are no longer what was measured; calibrate again instead.

target {name} extends {target} {{
  device {device} {{
{block}  }}
}}
"""


def write_calibration(fitted: Fitted, target: Target, name: str, *, device: str = "", include: str = "") -> str:
    """The file `TARGET.NAME.hw`, as `autoglmc fmt` would write it: a target TARGET_NAME that extends `target`. `include`: how the
    target's own file is named in it."""
    return write_frame(target, name, device or fitted.device, include or f"{target.name}.hw", calibration_text(fitted.calibration))


def write_frame(target: Target, name: str, device: str, include: str, block: str = "") -> str:
    """The same around any block. Raises HwError for a name that the language cannot spell."""
    text = HEAD.format(
        include=_quoted(include), title=_quoted(f"{target.name} with {name}"), name=f"{target.name}_{name}", target=target.name,
        device=device, block=block,
    )  # fmt: skip
    return canonical(text)


def calibration_text(calibration: Calibration, indent: int = 4) -> str:
    """The block, as it stands inside a device."""
    head = f'calibration @measured("{_quoted(calibration.note)}") {{'
    rows: list[tuple[str, str]] = []
    if calibration.version:
        rows.append(("version", f'"{_quoted(calibration.version)}"'))
    if calibration.holdout is not None:
        rows.append(("holdout", _holdout(calibration.holdout)))
    if calibration.launch is not None:
        rows.append(("launch", _seconds(calibration.launch)))
    if calibration.dispatch is not None:
        rows.append(("dispatch", _seconds(calibration.dispatch)))
    if calibration.weights_bandwidth is not None:
        rows.append(("weights", f"{_scaled(calibration.weights_bandwidth, 'B/s')} beyond {_size(calibration.weights_beyond)}"))
    if calibration.activations_bandwidth is not None:
        rows.append(("activations", _scaled(calibration.activations_bandwidth, "B/s")))
    rows += [("block", f"{', '.join(b.operators)} {b.axis} {b.multiple}") for b in calibration.blocks]
    rows += [("rate", _rate(rate)) for rate in calibration.rates]
    rows += _models(calibration.memory, calibration.power)
    lines = [head, *(f"  {name} {text};" for name, text in rows), "}"]
    return "".join(f"{' ' * indent}{line}\n" for line in lines)


def _models(memory: MemoryModel | None, power: PowerModel | None) -> Iterable[tuple[str, str]]:
    if memory is not None:
        yield "memory", memory_text(memory)
    if power is not None:
        yield "power", f"full {_plain(power.full)} W, exponent {_plain(power.exponent)}"


def memory_text(memory: MemoryModel) -> str:
    """ "base 2 MiB, weights 102 %, working 110 %, weights Gather 0 %"."""
    parts = [f"base {_size(memory.base)}, weights {_percent(memory.weights)}, working {_percent(memory.working)}"]
    parts += [f"weights {operator} {_percent(factor)}" for operator, factor in memory.weights_of]
    return ", ".join([*parts, *(f"buffers {operator} {_percent(factor)}" for operator, factor in memory.buffers)])


def _rate(rate: Rate) -> str:
    unit = FLOATING if rate.measure == "operations" else RATE_UNITS[rate.measure]
    parts = [", ".join(rate.operators), _scaled(rate.value, unit)]
    if rate.seen is not None:
        parts.append(f"seen {_range(rate.seen, WORK_UNITS[rate.measure])}")
    if rate.inner is not None:
        parts.append(f"inner {_plain(rate.inner.low)}..{_plain(rate.inner.high)}")
    if rate.kinds is not None:
        parts.append(f'of "{_quoted(", ".join(rate.kinds))}"')
    if rate.samples is not None:
        parts.append(f"n {rate.samples}")
    if rate.spread is not None:
        parts.append(f"within {_percent(rate.spread)}")
    if rate.where is not None:
        parts.append(f"where {render(rate.where)}")
    return " ".join(parts)


def _holdout(holdout: Holdout) -> str:
    parts = [f"{_percent(share)} within {_percent(error)}" for share, error in holdout.within]
    parts += [
        f"{name} {_percent(value)}" for name, value in (("median", holdout.median), ("interval", holdout.interval)) if value is not None
    ]
    return ", ".join(parts + ([f"models {holdout.models}"] if holdout.models is not None else []))


def _scaled(value: float, unit: str) -> str:
    """ "65 GFLOPS": the prefix that leaves 1 to 999 before the point."""
    letter, power = _prefix(value)
    return f"{_shifted(value, power)} {letter.upper() if unit == FLOATING else letter}{unit}"


def _prefix(value: float) -> tuple[str, int]:
    return next((one for one in DECIMAL if abs(value) >= 10.0 ** one[1]), DECIMAL[-1])


def _range(seen: Range, unit: str) -> str:
    letter, power = _prefix(seen.high)
    return f"{_shifted(seen.low, power)}..{_shifted(seen.high, power)} {letter}{unit}"


def _seconds(value: float) -> str:
    if value == 0.0:
        return "0 us"
    for unit, power in (("s", 0), ("ms", -3), ("us", -6)):
        if value >= 10.0**power:
            return f"{_shifted(value, power)} {unit}"
    return f"{_shifted(value, -9)} ns"


def _size(value: float) -> str:
    for unit, size in BINARY:
        if abs(value) >= size and rounded(value / size, 6) * size == value:
            return f"{_plain(value / size)} {unit}"
    return f"{_plain(value)} B"


def _percent(share: float) -> str:
    return f"{_shifted(share, -2)} %"


def _shifted(value: float, power: int) -> str:
    """value / 10^power in full, without an exponent, so that reading it back gives the same number."""
    from decimal import Decimal

    return _full(Decimal(repr(value)).scaleb(-power))


def _plain(value: float) -> str:
    from decimal import Decimal

    return _full(Decimal(repr(value)))


def _full(number: object) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', "'")
