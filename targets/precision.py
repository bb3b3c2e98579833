"""In which number formats an operator may run, and what a target says about the choice: `precision { … }`, `weights int4 block 32;`.

A form is what one operator reads and writes: dtype of its activations, dtype of its weights. Which forms a device runs an operator in
follows from its table and these statements: `targets/quantised/forms_on.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .formula import Expression
from .origin import Origin

FormName = Literal["fp32", "fp16", "a16w8", "a8w8", "w8", "w4"]


@dataclass(frozen=True, slots=True)
class Form:
    """One way to hold the numbers of an operator."""

    name: FormName
    activations: str
    """Dtype of what it reads and writes beside constants."""
    weights: str
    """Dtype that its weights are stored in."""
    block: int
    """Elements of a weight along its inner axis that share a scale; 0: one scale a channel or a tensor, or none at all."""
    accumulator: str
    """Dtype that products are summed in, and in which a bias is stored."""
    per_channel: bool = False
    """Whether each output channel of the weights has a scale of its own."""
    symmetric: bool = False
    """Whether the device wants activations whose zero point is 0 (128 of uint8): else theirs is where calibration puts it."""
    float_results: bool = False
    """Whether it computes in integers and writes floats, where no integers are read: no QuantizeLinear behind."""

    @property
    def quantised(self) -> bool:
        """Whether activations are integers: DequantizeLinear before, QuantizeLinear behind."""
        return self.accumulator == "int32"


FORMS: Mapping[FormName, Form] = {
    "fp32": Form("fp32", "fp32", "fp32", 0, "fp32"),
    "fp16": Form("fp16", "fp16", "fp16", 0, "fp32"),
    "a16w8": Form("a16w8", "uint16", "int8", 0, "int32", per_channel=True),
    "a8w8": Form("a8w8", "uint8", "int8", 0, "int32", per_channel=True),
    "w8": Form("w8", "fp32", "int8", 0, "fp32", per_channel=True),
    "w4": Form("w4", "fp32", "int4", 32, "fp32"),
}
"""The usual form of each name, the most exact first; what a device takes may differ in dtypes and scales (`forms_on`)."""
OTHER_FORM_NAMES: Mapping[str, FormName] = {"int8": "a8w8", "int16": "a16w8", "int4": "w4"}
"""Dtypes that a statement may write in place of a form: `prefer int8`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefer:
    """`prefer a8w8 Conv, MatMul where loss <= 0.1 % and rank(X) == 4;`: this form before those that no line prefers."""

    form: FormName
    operators: tuple[str, ...]
    """"Conv", "com.microsoft::Gelu"; () for all."""
    device: str
    """The device it is about; "" for every one that the block is about."""
    most_loss: float | None
    """The largest loss at which it holds, as a share: 0.001; None at any. A unit's loss: by how much the outputs of the model change, root
    mean square over that of the outputs, where this unit alone runs in the form."""
    where: Expression | None
    """The rest of its condition."""
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """`keep fp32 Softmax, LayerNormalization where …;`: this form or not on this device; stronger than every `prefer`."""

    form: FormName
    operators: tuple[str, ...]
    device: str
    where: Expression | None
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """`precision { … }` of a target or a device: of the lines of one kind, the first that applies to an operator counts."""

    default: str | None = None
    """Of a target: the float dtype that is computed in where there is a choice."""
    compute: tuple[tuple[str, str], ...] = ()
    """Of a target, (computed in, for operands of): `compute fp16 for fp32` is ("fp16", "fp32")."""
    keep: tuple[tuple[str, str, str], ...] = ()
    """Of a target, (float dtype, operator, device or ""): lines of `keep` without a condition."""
    prefers: tuple[Prefer, ...] = ()
    keeps: tuple[Keep, ...] = ()
    """With those of `keep`. Those of a device come before its target's, which follow them here."""


NO_PRECISION = Precision()
"""Of a target or device that says nothing about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFormat:
    """`weights int4 block 32 symmetric MatMul, Gemm where …;`: a form of constant weights that the device takes as it is."""

    dtype: str
    """int4, uint4, int8, uint8."""
    block: int
    """Elements along the inner axis that share a scale; 0: one scale an output channel."""
    symmetric: bool
    """Whether zero points must be 0 (8 of uint4)."""
    activations: str
    """Integer dtype of the activations beside such weights: `for uint16`; "" for floats."""
    operators: tuple[str, ...]
    """() for all that have weights and that the device's table lists."""
    widened: bool = False
    """Whether the runtime makes floats of them when it loads the model, so that a run reads those."""
    where: Expression | None
    origin: Origin
