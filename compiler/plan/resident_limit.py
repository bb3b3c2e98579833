"""Whether a plan leaves weights in their file as far as `resident` of a memory asks for: only onnxruntime's CPU can be told to."""

from __future__ import annotations

from ...targets.cost import weights_memory
from ...targets.model import Memory, Target
from ..errors import Infeasible
from ..quantities import size
from .segments import Compiled
from .session_weights import ORT, session_weights


def unmapped(compiled: Compiled, target: Target) -> Infeasible | None:
    """The error for sessions that hold more weights of their own than a memory allows, whatever is in the file; None where they do not."""
    found = (_problem(compiled, target, memory) for memory in target.memories if memory.resident is not None)
    return next((one for one in found if one is not None), None)


def _problem(compiled: Compiled, target: Target, memory: Memory) -> Infeasible | None:
    mine = [segment for segment in compiled.segments if weights_memory(target, segment.device).name == memory.name]
    apart = [segment for segment in mine if target.device(segment.device).runtime.adapter != ORT]
    needed, allowed = session_weights(apart, target).own, memory.resident or 0
    if needed <= allowed:
        return None
    names = ", ".join(dict.fromkeys(segment.device for segment in apart))
    what = f"sessions of {names} hold {size(needed)} of weights in {memory.name}, and {size(allowed)} may be resident there"
    help = f"--resident {needed} (bytes) at least, or a target on which fewer operators run there"
    return Infeasible(f"resident {memory.name}", needed, allowed, [help], message=what, where=str(memory.origin))
