"""How much memory joining and verifying the entries of a bundle takes, told before anything is written or run (verify/memory_ahead.py)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil

from ....targets.operator_view import TensorView
from ...emit.join_entries import Part
from ...verify.decoder.steps import scripts
from ...verify.decoder.verify_replaced import FEWEST, TIMES
from ...verify.memory_ahead import MemoryAhead, PlannedSizes, Verifying, arrays_in_files, memory_ahead
from ..result import CompileResult
from .compile_memory import check_memory, sizes_of
from .publish_entries import Made


def check_memory_of_entries(made: Made, *, verify: bool) -> None:
    """Raises TooMuchMemory where --memory-limit is less than that."""

    def ahead(held: int, files: bool) -> tuple[MemoryAhead, ...]:
        plans = tuple(_plans(made)) if verify else ()
        temporary = sum(_sizes(result).weights for result in made.results.values()) if files else 0
        kept = max((arrays_in_files(sizes, how.sets) for sizes, how in plans), default=0) if files else 0
        found = [one for sizes, how in plans for one in memory_ahead(sizes, held, temporary + kept, how)]
        return (*memory_ahead(next(map(_sizes, made.results.values())), held, temporary, None), *found)

    check_memory(ahead, verify=verify)


def _plans(made: Made) -> Iterator[tuple[PlannedSizes, Verifying]]:
    """What is compared, and how; entries that keep nothing have been compared one by one."""
    main = [part for part in made.parts if part.model == made.parts[0].model]
    each = [_sizes(made.results[part.name]) for part in main]
    whole = _most(each)
    if made.states and made.axes is None:
        steps = len(main) * max(TIMES, ceil(FEWEST / len(main)))
        sizes = replace(whole, packed=sum(one.packed for one in each), given=steps * whole.given, made=steps * whole.made)
        yield sizes, Verifying(message=True)
    elif made.states:
        plans = scripts({part.name: part.tokens or 1 for part in main}, _length(made, main[0]))
        tokens = max(plan.tokens for plan in plans)
        whole = _most([_for_tokens(made, part, tokens) for part in main])
        yield whole, Verifying(at_once=False, sets=len(plans))
        if made.compared:  # the entry of the most tokens is open beside a session of the float model, on texts as long as the caches
            longest = max(main, key=lambda part: part.tokens or 0)
            sizes = _for_tokens(made, longest, _length(made, longest))
            yield replace(sizes, packed=sizes.packed + made.compared), Verifying(sets=1)
    if made.links:
        every = {part.name: _sizes(made.results[part.name]) for part in made.parts}
        packed = sum(one.packed for one in every.values())
        yield replace(whole, packed=packed), Verifying(at_once=False)
        for part in made.parts[len(main) :]:
            yield every[part.name], Verifying(at_once=False)


def _sizes(result: CompileResult) -> PlannedSizes:
    return sizes_of(result.compiled, result.work.target, result.manifest.arena.mapped)


def _most(each: Sequence[PlannedSizes]) -> PlannedSizes:
    """Of entries of which one is open at a time."""
    fields = PlannedSizes.__dataclass_fields__
    return PlannedSizes(**{name: max(getattr(one, name) for one in each) for name in fields})


def _length(made: Made, part: Part) -> int:
    """Tokens that the caches hold."""
    assert made.axes is not None, "caches grow along an axis"
    past = next(iter(made.axes))
    return _extent(made.results[part.name].compiled.tensors[past], made.axes[past])


def _for_tokens(made: Made, part: Part, tokens: int) -> PlannedSizes:
    """Sizes of the entry, those of its outputs as the untouched model makes them for so many tokens at once."""
    compiled, own = made.results[part.name].compiled, part.tokens or 1
    sizes, bytes_made = _sizes(made.results[part.name]), 0
    grown = {present: (made.axes or {}).get(past) for past, present in made.states}
    for view in (compiled.tensors[name] for name in compiled.graph_outputs):
        axis = grown.get(view.name)
        rows = _extent(view, axis) if axis is not None else own if view.name in part.token_axes else tokens
        bytes_made += 8 * (view.elements or 0) * tokens // rows
    return replace(sizes, activations=max(sizes.activations, sizes.activations * tokens // own), made=bytes_made)


def _extent(view: TensorView, axis: int) -> int:
    assert view.shape is not None, "caches have a known shape"
    return view.shape[axis] or 1
