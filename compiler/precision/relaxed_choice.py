"""What to say where no mixture of forms keeps a target's limits: which of them, and changes that were found and measured to be enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from ...passes.precision.choose_forms import FormChoice
from ...passes.precision.relax_forms import LOSS, NoChoice
from ..errors import Infeasible
from ..quantities import amount


def infeasible(found: NoChoice, measured: Callable[[FormChoice], float], cosine: float) -> Infeasible:
    """`measured`: the cosine of a choice. A change to another limit is reported only where its choice reaches the `cosine` asked for."""
    names = [f"`{'accuracy cosine' if name == LOSS else name}`" for name in found.limits]
    together = f"{', '.join(names[:-1])} and {names[-1]} together" if len(names) > 1 else names[0] if names else "the limits"
    none = "no choice of devices and precisions keeps" if found.proven else "no choice of devices and precisions was found that keeps"
    resource = found.limits[0] if found.limits else "placement"
    return Infeasible(resource, 0, 0, _changes(found, measured, cosine), message=f"{none} {together}")


def _changes(found: NoChoice, measured: Callable[[FormChoice], float], cosine: float) -> Iterator[str]:
    for one in found.relaxed:
        got = measured(one.choice)
        if one.limit == LOSS:
            yield f"`accuracy cosine >= {_down(got)}`"
        elif got >= cosine:
            yield f"`{_limit(one.limit, one.value)}`"


def _limit(name: str, value: float) -> str:
    kind = name.partition(" ")[0]
    return f"fps >= {amount(kind, 1 / value)}" if kind == "fps" else f"{name} <= {amount(kind, value)}"


def _down(cosine: float) -> str:
    """Rounded down to as many digits as tell it from 1."""
    digits = max(3, 2 - math.floor(math.log10(max(1 - cosine, 1e-9))))
    return f"{math.floor(cosine * 10**digits) / 10**digits:.{digits}g}"
