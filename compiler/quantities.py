"""Numbers as a person reads them: counts, bytes, seconds, and the values of limits with their units."""

from __future__ import annotations

import math

from .differing_digits import differing

BINARY = ("KiB", "MiB", "GiB", "TiB")


def count(number: int, noun: str) -> str:
    """1 tensor, 2 tensors, 3 passes, 4 entries."""
    if number != 1 and noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{number} {noun[:-1]}ies"
    plural = "es" if noun.endswith(("s", "x", "ch")) else "s"
    return f"{number} {noun}{'' if number == 1 else plural}"


def size(value: float) -> str:
    """Bytes: 1536 -> 1.5 KiB."""
    for unit in ("B", "KiB", "MiB"):
        if abs(value) < 1024:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.2f} GiB"


def time(seconds: float) -> str:
    """Seconds in the unit that needs no zeros."""
    if abs(seconds) >= 1:
        return f"{seconds:.2f} s"
    if abs(seconds) >= 1e-3:
        return f"{seconds * 1e3:.2f} ms"
    return f"{seconds * 1e6:.1f} us" if 0 < abs(seconds) < 1e-5 else f"{seconds * 1e6:.0f} us"


def change(seconds: float) -> str:
    """A difference of two times with its sign: +12.0 us."""
    return f"{'+' if seconds >= 0 else '-'}{time(abs(seconds))}"


def duration(seconds: float) -> str:
    """How long something will take: "8 s", "12 min", "1.5 h"."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def percent(share: float) -> str:
    """A share of a whole: "56 %", "3.4 %", "less than 0.1 %"; "0 %" is none. "10.4 %", since 10 % is a bound that is spoken of."""
    if 0 < share < 0.001:
        return "less than 0.1 %"
    return f"{share * 100:.0f} %" if share == 0 or share >= 0.1095 else f"{share * 100:.1f} %"


def reach(share: float) -> str:
    """The half width of an interval: "±18 %", "±4.5 %", "±500 %"."""
    return f"±{share * 100:.0f} %" if share >= 0.0995 else f"±{share * 100:.2g} %"


def times(first: float, second: float) -> tuple[str, str]:
    """Two times in one unit (ms), with as many digits as make them differ."""
    left, right = differing(first * 1e3, second * 1e3)
    return f"{left} ms", f"{right} ms"


def amount(kind: str, value: float) -> str:
    """A limit's value with its unit, rounded up (fps down): written into a target's file as a limit, `value` keeps it.

    kind: "memory", "package", "budget" (bytes), "latency" (seconds), "energy" (joules), "power" (watts); others are numbers without a
    unit."""
    if kind in ("memory", "package", "budget"):
        scale = max(1, min(4, int(math.log2(max(abs(value), 1))) // 10))
        return f"{math.ceil(value / 1024**scale * 1000) / 1000:.10g} {BINARY[scale - 1]}"
    if kind == "latency":
        return f"{_up(value, 1e-3)} ms"
    if kind == "energy":
        return f"{_up(value, 1e-3)} mJ"
    if kind == "fps":
        return f"{_down(value)}"
    if kind == "power":
        return f"{_up(value, 1.0)} W"
    return f"{value:g}"


def shown(kind: str, value: float) -> str:
    """`amount` for a screen: a latency in the unit in which `time` writes it."""
    if kind != "latency":
        return amount(kind, value)
    unit, name = (1.0, "s") if abs(value) >= 1 else (1e-3, "ms") if abs(value) >= 1e-3 else (1e-6, "us")
    return f"{_up(value, unit)} {name}"


def margin(kind: str, value: float) -> str:
    """For a screen: what is left below a limit, rounded down, where an amount is rounded up: 8 GiB less 933 KiB is not 8 GiB."""
    if kind == "fps":
        return amount(kind, value)
    text = shown(kind, -value) if value else shown(kind, 0.0)
    return text if not value else text[1:] if text.startswith("-") else f"-{text}"


def _up(value: float, unit: float) -> str:
    """Four digits of value / unit, the last one such that reading them back gives no less than `value`."""
    if not value:
        return "0"
    step = 10.0 ** (math.floor(math.log10(abs(value / unit))) - 3)
    count = math.ceil(value / unit / step - 1e-9)
    text = f"{count * step:.4g}"
    return text if float(text) * unit >= value else f"{(count + 1) * step:.4g}"


def _down(value: float) -> str:
    """Four digits of a value, the last one such that reading them back gives no more than it."""
    if value <= 0:
        return "0" if not value else f"-{_up(-value, 1.0)}"
    step = 10.0 ** (math.floor(math.log10(value)) - 3)
    count = math.floor(value / step + 1e-9)
    text = f"{count * step:.4g}"
    return text if float(text) <= value else f"{(count - 1) * step:.4g}"
