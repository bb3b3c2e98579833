"""Random placement problems: a few units, tensors between them, times of the same order everywhere."""

from __future__ import annotations

from hypothesis import strategies as st

from autoglmc.passes.solve.problem import Net, Problem, Room, Unit

MICRO = 1e-6


@st.composite
def problems(draw: st.DrawFn, most: int = 6, devices: int = 3) -> Problem:
    count = draw(st.integers(1, most))
    times = st.integers(1, 60)
    units = []
    for k in range(count):
        row: list[float | None] = [draw(times) * MICRO * 3]
        row += [draw(st.none() | times.map(lambda t: t * MICRO)) for _ in range(devices - 1)]
        units.append(Unit(f"u{k}", tuple(row), draw(st.integers(0, 3))))
    nets = [_net(draw, "x", -1, [0], False, devices)]
    for k in range(count):
        readers = draw(st.lists(st.integers(k + 1, count - 1), max_size=2, unique=True)) if k + 1 < count else []
        nets.append(_net(draw, f"t{k}", k, sorted(readers), not readers, devices))
    dispatch = tuple(draw(st.integers(0, 40)) * MICRO for _ in range(devices))
    rooms = (Room("sram", (1,), draw(st.integers(0, 12))),) if draw(st.booleans()) else ()
    return Problem(tuple(f"d{k}" for k in range(devices)), 0, dispatch, tuple(units), tuple(nets), rooms)


def _net(draw: st.DrawFn, name: str, producer: int, readers: list[int], to_host: bool, devices: int) -> Net:
    cost = draw(st.integers(0, 30)) * MICRO
    up = draw(st.integers(0, 30)) * MICRO
    table = tuple(tuple(0.0 if a == b else up if b == 0 else cost for b in range(devices)) for a in range(devices))
    return Net(name, producer, tuple(readers), to_host, table)
