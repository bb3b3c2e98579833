"""What a compilation takes of memory: weights that it makes lie in a file, and what it is about to take is held against the limit."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import inf

from ....passes.mapped.spill import SpillFailed, in_memory, spilling
from ....targets.dtypes import DTYPE, packed_bytes
from ....targets.model import Target
from ...activity import limits
from ...errors import UserError
from ...free_memory import container_room
from ...plan.held import weight_bytes
from ...plan.segments import Compiled
from ...plan.session_weights import session_weights
from ...run.give_back import give_back
from ...run.resident import status_bytes
from ...verify.memory_ahead import (
    SETS,
    MemoryAhead,
    PlannedSizes,
    Verifying,
    arrays_in_files,
    check_group_ahead,
    check_memory_ahead,
    memory_ahead,
)
from ..stages import LARGEST


@contextmanager
def weights_in_file() -> Iterator[None]:
    """Inside, weights that are made anew lie in a temporary file (passes/mapped/spill.py). Raises UserError where it cannot be written."""
    try:
        with spilling():
            yield
    except SpillFailed as problem:
        help = "make room there, or set TMPDIR to a folder that has some"
        raise UserError(str(problem), where=problem.folder, help=help) from problem


def check_memory(ahead: Callable[[int, bool], Sequence[MemoryAhead]], *, verify: bool) -> None:
    """Raises TooMuchMemory where --memory-limit, or without that a control group, allows less than what is about to be taken. ahead: from
    the private bytes of this process now, and whether temporary files are memory."""
    give_back()
    allowed, status, room = limits().memory, status_bytes(), container_room()
    if status is None or (allowed is None and room == inf):
        return
    held = status["RssAnon"]
    found = ahead(held, in_memory(tempfile.gettempdir()))
    if allowed is not None:
        check_memory_ahead(found, allowed, verify=verify)
    else:
        check_group_ahead(found, held, room, verify=verify)


def check_memory_of(compiled: Compiled, target: Target, arena: int, *, verify: bool) -> None:
    """Of writing and verifying one plan. arena: its bytes."""
    sizes = sizes_of(compiled, target, arena)

    def ahead(held: int, files: bool) -> tuple[MemoryAhead, ...]:
        temporary = arrays_in_files(sizes, SETS) if files and verify else 0
        return memory_ahead(sizes, held, temporary, Verifying(stages=sizes.weights < LARGEST) if verify else None)

    check_memory(ahead, verify=verify)


def sizes_of(compiled: Compiled, target: Target, arena: int) -> PlannedSizes:
    """What of a plan decides how much memory writing and verifying the bundle takes. arena: its bytes."""
    tensors = compiled.tensors
    constants = [packed_bytes(DTYPE.get(one.data_type, ""), one.dims) or 0 for segment in compiled.segments for one in segment.constants]
    return PlannedSizes(
        weights=weight_bytes(compiled.segments),
        packed=session_weights(compiled.segments, target).own,
        largest=max(constants, default=0),
        activations=arena + max((segment.internal_peak for segment in compiled.segments), default=0),
        given=sum(tensors[name].bytes or 0 for name in compiled.graph_inputs),
        made=sum(8 * (tensors[name].elements or 0) for name in compiled.graph_outputs),
    )
