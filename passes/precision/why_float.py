"""Why an operator has no other form than fp32 on a target, whatever it would lose."""

from __future__ import annotations

from ...targets.dtypes import PLAIN_FLOATS
from ...targets.model import Target
from ...targets.origin import Origin
from ...targets.precision import FORMS, Keep
from ...targets.quantised.forms_on import Choice, choices_on
from ..graph.graph import Graph
from ..graph.node import Node
from .eligible import FLOATS_ONLY, first_opset_of, writable
from .operators import NEVER

NOT_WRITTEN = "it is not written in"


def no_other_form(graph: Graph, node: Node, target: Target) -> str:
    """A sentence without its subject: "no device of a16 lists Erf in fewer bits"."""
    kind = node.kind
    written = {graph.tensor(name).dtype for name in node.writes}
    if not written & PLAIN_FLOATS:
        return f"its results are no floats, but {', '.join(sorted(written)) or 'nothing'}"
    choices = {device.name: choices_on(device, graph.view(node)) for device in target.devices}
    kept = [(device, line) for device, found in choices.items() if (line := _kept(found)) is not None]
    others = {choice.form.name for found in choices.values() for choice in found} - {"fp32"}
    if kept and not others:
        return "; ".join(f"`keep fp32 {', '.join(line.operators)}` holds on {device} ({place(line.origin)})" for device, line in kept)
    if not others:
        return f"no device of {target.name} lists {kind} in fewer bits"
    names = ", ".join(name for name in FORMS if name in others)
    if node.operator in NEVER:
        return f"{kind} has no integer form that is known here: it takes more than one step inside"
    if node.operator in FLOATS_ONLY and others == {"fp16"}:
        return f"{kind} adds up many numbers, which halves are too coarse for: it stays in fp32 in every compilation"
    needed = max(first_opset_of(FORMS[name]) for name in others)
    if not any(writable(graph, node, FORMS[name]) for name in others):
        if graph.newest < needed:
            return f"{names} need opset {needed}, and the model's operators end before"
        return f"this {kind} cannot be written in {names}: not all it reads are floats that vary, or its weights are no constant"
    if node.operator in ("Relu", "Clip"):
        return "in integers it is part of the operator in front of it, whose range ends where it cuts off"
    return f"{NOT_WRITTEN} {names} on {target.name}"


def place(origin: Origin) -> str:
    """`a16.hw:31:5`."""
    return f"{origin}:{origin.column}" if origin.line else str(origin)


def _kept(found: tuple[Choice, ...]) -> Keep | None:
    return next((choice.line for choice in found if isinstance(choice.line, Keep) and choice.form.name == "fp32"), None)
