"""Rules of target files, which go through the same trial as the built-in ones."""

from __future__ import annotations

from collections.abc import Mapping

from rule_texts import MY_GELU

from .entry import Entry, operator
from .sketch import Sketch


def two(name: str) -> Entry:
    """An operator on two tensors of one shape."""

    def spell(s: Sketch) -> str:
        shape = s.shape()
        return str(s.op(name, s.input(shape), s.input(shape)))

    return Entry(spell=spell)


OWN: Mapping[str, tuple[str, Entry]] = {
    "my_gelu": (MY_GELU, Entry(spell=operator("Gelu", approximate=("none",)), opsets=(20, 24), single=True, dtypes=("float32", "float16"))),
    "leaky": (
        "rule leaky(x, a) { match LeakyRelu(x, alpha = a); emit Relu(x) - a * Relu(-x); }",
        Entry(spell=operator("LeakyRelu", alpha=(0.25, 0.3)), single=True),
    ),
    "swish": ("rule swish(x) { match HardSwish(x); emit x * HardSigmoid(x, alpha = 0.16666666666666666); }",
              Entry(spell=operator("HardSwish"), single=True, dtypes=("float32",))),
    "largest": ("rule largest(x, y) { match Max(x, y); emit y + Relu(x - y); }", two("Max")),
    "sigmoid": ("rule sigmoid(x) { match Sigmoid(x); let t = Tanh(0.5 * x); emit 0.5 + 0.5 * t; }", Entry(spell=operator("Sigmoid"))),
}  # fmt: skip
"""By name: the rule's text, and what it matches."""
