"""A spelling somewhere in a random graph: nodes before it make its inputs, nodes behind it read its results, and perhaps what is inside."""

from __future__ import annotations

from dataclasses import dataclass, field

import onnx
from hypothesis import strategies as st

from .entry import Entry
from .sketch import Sketch


@dataclass(frozen=True, slots=True)
class Trial:
    """A model with one spelling in it, and whether the rule may fire there."""

    model: onnx.ModelProto = field(repr=False)
    root: tuple[str, ...]
    kept: frozenset[str]
    """Tensors that must be there afterwards."""
    fires: bool
    sizes: dict[str, int]


@st.composite
def trials(draw: st.DrawFn, entry: Entry) -> Trial:
    sketch = Sketch(draw, draw(st.sampled_from(entry.dtypes)), draw(st.sampled_from(entry.opsets)))
    spelled = entry.spell(sketch)
    root = (spelled,) if isinstance(spelled, str) else tuple(spelled)
    inside = [name for node in sketch.nodes for name in node.output if name not in {*sketch.before, *sketch.hidden, *root}]
    fires, outputs = sketch.dtype not in entry.declined, []
    kept = {name for node in sketch.nodes for name in node.output if name in sketch.before}
    for name in sketch.draw(st.lists(st.sampled_from(inside), max_size=2, unique=True)) if inside and sketch.integer(0, 2) == 0 else ():
        ends = sketch.flip()
        fires &= name not in sketch.fragile and not (ends and name in sketch.nameless)
        kept |= {name} - sketch.nameless  # their other readers may be rewritten as well
        outputs.append(name if ends else sketch.op("Tanh", name))  # no root of any formula
    for name in root:
        if entry.may_end and sketch.flip():
            outputs.append(name)
        if name not in outputs or sketch.flip():
            outputs += [sketch.op(sketch.pick("Neg", "Tanh"), name) for _ in range(sketch.integer(1, 2))]
    return Trial(sketch.model(dict.fromkeys(outputs)), root, frozenset(kept), fires, dict(sketch.sizes))
