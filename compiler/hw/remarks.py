"""Which diagnostics the user of a target sees: every warning; remarks on how a calibration was made are summed up in one line a file.

What of them concerns a model, its screen says itself: operators without a rate, of a rate that rests on few, larger than any measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ...grammar import Diagnostic, render
from ..quantities import count

REMARKS = frozenset({"HW0702", "HW0703", "HW0704", "HW0706", "HW0707", "HW0708"})
"""Of lines and how they were measured. Not what makes a calibration wrong, nor what another runtime makes of it (HW0709)."""


def told(found: Sequence[Diagnostic]) -> Iterator[str]:
    """A text for each warning, and one for all remarks of a file."""
    remarks = Counter(one.span.source.name for one in found if one.code in REMARKS)
    yield from (render(one).rstrip() for one in found if one.code not in REMARKS)
    for file, number in remarks.items():
        yield f"calibration in {file}: {count(number, 'remark')} on how it was measured; `autoglmc check {file}` lists them"
