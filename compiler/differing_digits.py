"""Two numbers printed with as many digits as make them differ, so that no message says "measured 1, allowed 1"."""

from __future__ import annotations

LEAST, MOST = 3, 17
"""Significant digits. With 17 no two doubles read alike."""


def differing(first: float, second: float) -> tuple[str, str]:
    """Both with the same number of significant digits, at least LEAST and as few as make them read differently: ("0.9999892", "0.99999").

    What they read is in the order of the numbers. Equal numbers, and NaN beside NaN, read alike. Zeros at the end are not printed."""
    pairs = ((f"{first + 0.0:.{digits}g}", f"{second + 0.0:.{digits}g}") for digits in range(LEAST, MOST + 1))  # + 0.0: no "-0"
    shortest = next(pairs)
    return shortest if shortest[0] != shortest[1] else next((pair for pair in pairs if pair[0] != pair[1]), shortest)
