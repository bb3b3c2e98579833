"""Random placement problems for plans in which devices work at once: exports, units kept together, parallel hosts, limits on pieces."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st
from placement_problems import MICRO, problems

from autoglmc.passes.solve.problem import Option, Problem


@st.composite
def overlap_problems(draw: st.DrawFn, most: int = 4, devices: int = 2, parallel: bool = True) -> Problem:
    problem = draw(problems(most, devices))
    exports = st.just(()) | st.tuples(*[st.integers(0, 20).map(lambda t: t * MICRO)] * devices)
    nets = tuple(replace(net, export=draw(exports)) for net in problem.nets)
    count = len(problem.units)
    together = draw(st.sets(st.integers(0, count - 1), min_size=2, max_size=2)) if count > 1 and draw(st.booleans()) else set()
    limits = draw(st.just(()) | st.just((None, *[1] * (devices - 1))))
    return replace(
        problem, nets=nets, together=(tuple(sorted(together)),) if together else (), most_pieces=limits,
        parallel=(0,) if parallel and draw(st.booleans()) else (),
    )  # fmt: skip


@st.composite
def problems_with_options(draw: st.DrawFn, most: int = 3, devices: int = 2) -> Problem:
    """Each unit with up to two options a device, the errors limited."""
    problem = draw(problems(most, devices))
    units = []
    for unit in problem.units:
        rows = []
        for seconds in unit.seconds:
            more = [Option(draw(st.integers(1, 60)) * MICRO, draw(st.integers(0, 2)))] if draw(st.booleans()) else []
            rows.append(() if seconds is None else (Option(seconds, draw(st.integers(0, 2))), *more))
        units.append(replace(unit, options=tuple(rows)))
    return replace(problem, units=tuple(units), most_error=float(draw(st.integers(0, 4))), rooms=())
