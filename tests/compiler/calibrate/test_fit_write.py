"""The file that a calibration is written into reads back to the same numbers, and is formatted as `fmt` would."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_measurements import measured, truth_of

from autoglmc.compiler.calibrate.fit import Fitted, fit
from autoglmc.compiler.calibrate.fit_classes import CLASSES, known
from autoglmc.compiler.calibrate.fit_lines import HERE, rounded
from autoglmc.compiler.calibrate.fit_write import write_calibration
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.grammar.text.format import format_text
from autoglmc.targets.calibration import Calibration, Holdout, MemoryModel, PowerModel, Range, Rate

TARGET = load_target("x86_cpu")
FITTED = fit(measured(truth_of(3), 12, 0.02), TARGET)


def read_back(fitted: Fitted, folder: Path) -> Calibration:
    """Written, formatted again, read."""
    text = write_calibration(fitted, TARGET, "here")
    assert format_text(text) == text
    file = folder / "x86_cpu.here.hw"
    file.write_text(text)
    found = load_target(file)
    assert found.name == "x86_cpu_here"
    calibration = found.device("cpu").calibration
    assert calibration is not None
    return calibration


def plain(calibration: Calibration) -> Calibration:
    """Without the places in files."""
    parts = {name: getattr(calibration, name) for name in ("holdout", "memory", "power")}
    return replace(
        calibration, origin=HERE, blocks=tuple(replace(block, origin=HERE) for block in calibration.blocks),
        rates=tuple(replace(rate, origin=HERE) for rate in calibration.rates),
        **{name: part and replace(part, origin=HERE) for name, part in parts.items()},
    )  # fmt: skip


def test_a_fitted_calibration_reads_back(tmp_path: Path) -> None:
    assert plain(read_back(FITTED, tmp_path)) == plain(FITTED.calibration)


def test_every_class_is_a_line_that_the_language_takes(tmp_path: Path) -> None:
    """With its operators, operands and attributes: no class may be one that cannot be written."""
    rates = tuple(
        Rate(
            operators=known(row.operators, TARGET.opset[1]),
            value=1e9 + k,
            measure=row.measure,
            seen=None,
            inner=None,
            samples=9,
            spread=None,
            where=row.where,
            origin=HERE,
        )
        for k, row in enumerate(CLASSES)
        if known(row.operators, TARGET.opset[1])
    )
    calibration = replace(FITTED.calibration, rates=rates)
    assert plain(read_back(replace(FITTED, calibration=calibration), tmp_path)) == plain(calibration)


def digits(count: int, low: float, high: float) -> st.SearchStrategy[float]:
    """Numbers as they are written: of so many digits."""
    return st.floats(low, high).map(lambda value: rounded(value, count))


SHARES = digits(2, 0.01, 1.0)
RANGES = st.tuples(digits(2, 1.0, 1e9), digits(2, 1.0, 1e12)).map(lambda ends: Range(min(ends), max(ends)))
EXTENTS = st.tuples(st.integers(1, 10**9), st.integers(1, 10**9)).map(lambda ends: Range(float(min(ends)), float(max(ends))))
KINDS = st.sampled_from([
    (("Conv",), "operations"), (("com.microsoft::FusedMatMul", "MatMul"), "operations"), (("Gelu", "Erf"), "elements"),
    (("Transpose",), "bytes"),
])  # fmt: skip
PLAIN_LINES = st.builds(
    Rate, operators=st.just(()), value=digits(3, 1e3, 7e11), measure=st.just("bytes"), seen=st.none() | RANGES, inner=st.none() | EXTENTS,
    samples=st.none() | st.integers(1, 9999), spread=st.none() | SHARES, where=st.none(), origin=st.just(HERE),
    kinds=st.none() | st.lists(st.sampled_from(("Conv 2-D", "Conv 3-D", "Add", "LSTM both-ways batch")), unique=True).map(tuple),
)  # fmt: skip
LINES = st.builds(lambda line, kind: replace(line, operators=kind[0], measure=kind[1]), PLAIN_LINES, KINDS)
"""Each in a unit that the language takes for its operators, below the peak of the target."""


@settings(max_examples=15, deadline=None)
@given(
    lines=st.lists(LINES, min_size=1, max_size=4), launch=st.just(0.0) | digits(3, 1e-9, 1e-3), dispatch=digits(3, 1e-9, 2.0),
    bandwidth=st.none() | digits(3, 1e6, 1e12), traffic=st.none() | digits(3, 1e6, 1e12),
    beyond=st.integers(0, 1 << 32), note=st.text("abc \"\\/;{}é", max_size=12),
    shares=st.lists(SHARES, max_size=3), interval=st.none() | SHARES, base=digits(3, -1e9, 1e9), factor=SHARES, watts=digits(3, 0.1, 500.0),
)  # fmt: skip
def test_any_numbers_read_back(
    lines: list[Rate], launch: float, dispatch: float, bandwidth: float | None, traffic: float | None, beyond: int, note: str,
    shares: list[float], interval: float | None, base: float, factor: float, watts: float, tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    calibration = Calibration(
        note=note or "x", version="onnxruntime 1.32.0", launch=launch, dispatch=dispatch, weights_bandwidth=bandwidth,
        weights_beyond=float(beyond) if bandwidth else 0.0, blocks=(), rates=tuple(lines), activations_bandwidth=traffic,
        holdout=Holdout(within=tuple((share, 0.1) for share in shares[:1]), median=factor, interval=interval, models=7, origin=HERE),
        memory=MemoryModel(
            base=base, weights=factor, working=factor * 2, origin=HERE, weights_of=(("Gather", factor / 2),),
            buffers=(("Attention", factor), ("com.microsoft::Attention", 0.0)),
        ),
        power=PowerModel(full=watts, exponent=factor, origin=HERE), origin=HERE,
    )  # fmt: skip
    found = plain(read_back(replace(FITTED, calibration=calibration), tmp_path_factory.mktemp("hw")))
    assert replace(found, note="") == plain(replace(calibration, note=""))
    assert found.note.replace("'", '"').strip() == calibration.note.replace("'", '"').strip() or '"' in note or "\\" in note
