"""The statements of a `calibration` block, one row each, as properties.py has those of the others."""

from __future__ import annotations

from collections.abc import Mapping

from ...targets.calibration import Axis
from .property import ENERGY, SPACE, TIME, NumberField, Property

AXES: tuple[Axis, ...] = ("channels", "rows", "columns", "inner")
CALIBRATION: Mapping[str, Property] = {
    "version": Property('version "onnxruntime 1.32.0";', "The runtime it was measured with.", blank=""),
    "holdout": Property(
        "holdout 82 % within 15 %, 88 % within 20 %, median 5 %, interval 18 %, models 41;",
        "How models were predicted that the fit did not see; 90 % of them are within `interval` of what is predicted.", "share",
        (
            NumberField("share", most=1.0, zero=True), NumberField("within", "within", zero=True),
            NumberField("median", "median", zero=True), NumberField("interval", "interval", zero=True),
            NumberField("models", "models", "plain number"),
        ),
        words=("within", "median", "interval", "models"), choice="a figure of `holdout`", blank="",
    ),
    "launch": Property(
        "launch 1 us;", "One kernel inside a running segment; the device's own if not stated.", "time",
        (NumberField("launch", zero=True, predicts=TIME),), blank="",
    ),
    "dispatch": Property(
        "dispatch 5 us;", "Starting one segment; the device's own if not stated.", "time",
        (NumberField("dispatch", zero=True, predicts=TIME),), blank="",
    ),
    "weights": Property(
        "weights 23 GB/s beyond 24 MiB;",
        "Weights beyond what stays in caches between runs are streamed, and that time is added; lines in bytes take at least as long.",
        "bandwidth", (NumberField("weights", predicts=TIME), NumberField("beyond", "beyond", "size", zero=True, predicts=TIME)),
        words=("beyond",), choice="a size", blank="",
    ),
    "activations": Property(
        "activations 85 GB/s;",
        "Operators whose line counts operations also read and write what is no constant at this rate, and that time is added.",
        "bandwidth", (NumberField("activations", predicts=TIME),), blank="",
    ),
    "block": Property(
        "block Conv channels 16;", "The runtime rounds `channels`, `rows`, `columns` or `inner` up to this before it computes.",
        "plain number", tuple(NumberField(axis, axis, predicts=TIME) for axis in AXES),
        words=AXES, choice="an extent", takes=("operator",), repeated=True, ordered=True, listed=True, blank="",
    ),
    "rate": Property(
        'rate Conv 65 GFLOPS seen 0.01..29 MOP inner 8..576 of "Conv 2-D" n 231 within 22 % where attr.group > 1;',
        "Work a second of these operators, in operations, elements or bytes. The first line that applies counts. `seen`: the least and "
        "most work measured, `inner`: the extent that one result is computed from, `of`: the kinds that keep to the rate, `n`: how many "
        "were measured, `within`: half of their time is this near.",
        "rate of work",
        (
            NumberField("value", predicts=TIME), NumberField("seen", "seen", "work"),
            NumberField("inner", "inner", "plain number"), NumberField("samples", "n", "plain number"),
            NumberField("spread", "within", "share", zero=True),
        ),
        words=("seen", "inner", "of", "n", "within"), choice="what was measured", takes=("operator",), repeated=True, ordered=True,
        listed=True, blank="",
    ),
    "memory": Property(
        "memory base 2 MiB, weights 102 %, working 110 %, weights Gather 0 %, buffers Attention 300 %;",
        "Private memory of a process that runs a bundle: base + weights · bytes of weights + working · bytes of all else. An operator may "
        "hold its weights at a factor of its own, and take `buffers` of its operands and results while it runs.", "size",
        (
            NumberField("base", "base", negative=True, predicts=SPACE),
            NumberField("weights", "weights", "share", zero=True, predicts=SPACE),
            NumberField("working", "working", "share", zero=True, predicts=SPACE),
            NumberField("buffers", "buffers", "share", zero=True, predicts=SPACE),
        ),
        words=("base", "weights", "working", "buffers"), choice="a part of the memory", takes=("operator",), blank="",
    ),
    "power": Property(
        "power full 27 W, exponent 0.83;", "Average draw: full · u ^ exponent, u the share of a run in which the device computes.", "power",
        (NumberField("full", "full", predicts=ENERGY), NumberField("exponent", "exponent", "plain number", predicts=ENERGY)),
        words=("full", "exponent"), choice="a part of the power", blank="",
    ),
}  # fmt: skip
