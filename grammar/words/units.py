"""Units of measurement: what each is of, and its size in SI."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

_DECIMAL = {"K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}

BYTES: Mapping[str, float] = {"B": 1.0, **{f"{k}B": v for k, v in {"k": 1e3, **_DECIMAL, **_BINARY}.items()}}
RATES: Mapping[str, float] = {f"{unit}/s": size for unit, size in BYTES.items()}
OPERATIONS: Mapping[str, float] = {
    **{f"{k}{word}": v for k, v in {"": 1.0, **_DECIMAL}.items() for word in ("FLOPS", "OPS", "FLOP/s", "OP/s")},
}
COUNTS: Mapping[str, float] = {f"{k}{word}": v for k, v in {"": 1.0, "k": 1e3, **_DECIMAL}.items() for word in ("OP", "FLOP")}
ELEMENTS: Mapping[str, float] = {f"{k}E": v for k, v in {"": 1.0, "k": 1e3, **_DECIMAL}.items()}
ELEMENT_RATES: Mapping[str, float] = {f"{unit}/s": size for unit, size in ELEMENTS.items()}
TIMES: Mapping[str, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "\u00b5s": 1e-6, "\u03bcs": 1e-6, "ns": 1e-9}
POWERS: Mapping[str, float] = {"W": 1.0, "mW": 1e-3, "uW": 1e-6, "\u00b5W": 1e-6, "\u03bcW": 1e-6, "kW": 1e3}
ENERGIES: Mapping[str, float] = {"J": 1.0, "mJ": 1e-3, "uJ": 1e-6, "\u00b5J": 1e-6, "\u03bcJ": 1e-6, "nJ": 1e-9, "Wh": 3600.0, "mWh": 3.6}
SHARES: Mapping[str, float] = {"%": 1e-2}

DIMENSIONS: Mapping[str, Mapping[str, float]] = {
    "size": BYTES,
    "bandwidth": RATES,
    "rate of operations": OPERATIONS,
    "time": TIMES,
    "power": POWERS,
    "energy": ENERGIES,
    "share": SHARES,
    "operations": COUNTS,
    "elements": ELEMENTS,
    "rate of elements": ELEMENT_RATES,
    "plain number": {},
}
WORK: Mapping[str, tuple[str, str, str]] = {
    "rate of work": ("rate of operations", "rate of elements", "bandwidth"),
    "work": ("operations", "elements", "size"),
}
"""Dimensions of numbers that are in one of several: work is counted in operations, elements or bytes."""
EXAMPLES: Mapping[str, str] = {
    "size": "64 B, 16 KiB, 1.5 GiB",
    "bandwidth": "51.2 GB/s",
    "rate of operations": "17 TOPS, 120 GFLOPS",
    "time": "150 us, 12 ms",
    "power": "2 W, 250 mW",
    "energy": "5 mJ, 0.2 J",
    "share": "60 %",
    "operations": "29 MOP, 1.4 GOP",
    "elements": "64 E, 2.4 ME",
    "rate of elements": "1.6 GE/s",
    "plain number": "4",
}
ALL_UNITS: Mapping[str, tuple[str, float]] = {unit: (name, size) for name, units in DIMENSIONS.items() for unit, size in units.items()}
DECIMAL_BYTES = frozenset(f"{k}B" for k in ("k", *_DECIMAL))


def units_of(dimension: str) -> Mapping[str, float]:
    """The units of a dimension, of DIMENSIONS or of WORK."""
    return {unit: size for name in WORK.get(dimension, (dimension,)) for unit, size in DIMENSIONS[name].items()}


def example_of(dimension: str) -> str:
    """Numbers with their units."""
    return ", ".join(EXAMPLES[name].split(", ")[0] for name in WORK[dimension]) if dimension in WORK else EXAMPLES[dimension]


def suggested_unit(word: str, dimension: str, number: str = "") -> str:
    """The unit that was probably meant; only capitals wrong counts as surest. `number`: what stands before it."""
    from .names import suggestion

    bits = _BIT_RATES.get(word.replace("bit/s", "bps").lower())
    if bits and dimension == "bandwidth" and number:
        return f"`{word}` counts bits: {number} {word} are {float(number) * bits / 8 / 1e9:g} GB/s"

    units = units_of(dimension)
    if word in _SLIPS.get(dimension, {}):
        return f"did you mean `{_SLIPS[dimension][word]}`?"
    same = [unit for unit in units if unit.lower() == word.lower()]
    if same:
        return f"did you mean `{same[0]}`?"
    trimmed = [unit for unit in units if unit.replace("/", "") == word or f"{unit.replace('/s', '')}ps" == word]
    if trimmed:
        return f"did you mean `{trimmed[0]}`?"
    return suggestion(word, units, short=True) or f"write for example {example_of(dimension)}"


_BIT_RATES: Mapping[str, float] = {"kbps": 1e3, "mbps": 1e6, "gbps": 1e9, "tbps": 1e12}
_SLIPS: Mapping[str, Mapping[str, str]] = {
    "time": {"msec": "ms", "usec": "us", "sec": "s", "micros": "us", "microseconds": "us", "milliseconds": "ms", "seconds": "s"},
    "size": {"bytes": "B", "byte": "B", "K": "KiB", "M": "MiB", "G": "GiB", "KIB": "KiB"},
    "bandwidth": {"Gbps": "GB/s"},
    "share": {"percent": "%", "pct": "%"},
    "rate of operations": {"TFLOP": "TFLOPS", "GFLOP": "GFLOPS", "TOP": "TOPS"},
    "power": {"watt": "W", "watts": "W"},
    "energy": {"joule": "J", "joules": "J"},
}


_SPELT: Mapping[str, tuple[str, ...]] = {
    "size": ("TiB", "GiB", "MiB", "KiB", "B"),
    "bandwidth": ("TB/s", "GB/s", "MB/s", "kB/s", "B/s"),
    "rate of operations": ("TOPS", "GOPS", "MOPS", "OPS"),
    "time": ("s", "ms", "us", "ns"),
    "power": ("W", "mW", "uW"),
    "energy": ("J", "mJ", "uJ", "nJ"),
    "operations": ("TOP", "GOP", "MOP", "kOP", "OP"),
    "elements": ("GE", "ME", "kE", "E"),
    "rate of elements": ("TE/s", "GE/s", "ME/s", "kE/s", "E/s"),
    "share": ("%",),
}


def written(value: float, dimension: str) -> str:
    """A number of SI as a person would write it: reads back as exactly that number; of all units the one with the shortest text."""
    texts = [text for unit in _SPELT.get(dimension, ()) if (text := _in_unit(value, unit, DIMENSIONS[dimension][unit]))]
    return min(texts, key=len) if texts else _plain(Decimal(repr(value)))


def _in_unit(value: float, unit: str, size: float) -> str:
    """ "1.5 GiB", or "" where that would not read back."""
    digits = _plain(Decimal(repr(value)) / Decimal(repr(size)))
    return f"{digits} {unit}" if float(Decimal(digits) * Decimal(repr(size))) == value else ""


def _plain(number: Decimal) -> str:
    shortest = number.normalize()
    exponent = int(shortest.as_tuple().exponent)
    return f"{shortest:f}" if -6 <= exponent <= 6 else f"{shortest:e}"
