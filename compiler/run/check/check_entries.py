"""Whether the entries of a bundle belong together: names, models, plans, and what lies at one place in all of them, apart from the rest."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, pairwise

from ....targets.dtypes import ROUNDOFF
from ...bundle.entries import models_of, views
from ...bundle.manifest import EntryRecord, Manifest
from ...bundle.plan_records import SlotRecord
from ...bundle.state_record import CACHE_LENGTH, StateRecord
from ...errors import BundleError
from .check_links import allowed, links_once, wrong_links


def check_entries(manifest: Manifest, where: str) -> None:
    """Raises BundleError naming the entry or state that contradicts the others."""
    checks = (_wrong_names, _wrong_phases, _wrong_states, wrong_links, _shared_bytes)
    for problem in chain.from_iterable(check(manifest) for check in checks):
        raise BundleError(problem, where=where)


def _wrong_names(manifest: Manifest) -> Iterator[str]:
    names = [entry.name for entry in manifest.entries]
    if len(set(names)) < len(names):
        yield "entries: two have one name"
    for k, entry in enumerate(manifest.entries):
        if entry.ways and [one.taken for one in entry.ways].count(True) != 1:
            yield f"entries[{k}].ways: not exactly one of them is taken"
        if len({one.name for one in entry.ways}) < len(entry.ways):
            yield f"entries[{k}].ways: two have one name"
        if (entry.plan is None) != (k == 0):
            yield f"entries[{k}].plan is {'missing' if k else 'given'}: the first entry, and no other, has the plan of the manifest"
            return
    if (manifest.states or manifest.links or manifest.models) and not manifest.entries:
        yield f"{'states' if manifest.states else 'links or models'}: a bundle without entries has none"
    first = manifest.entries[0].model if manifest.entries else None
    named = {entry.model for entry in manifest.entries} - {first}
    if first in manifest.models or named != manifest.models.keys() or (first is None and named):
        yield "models: they are not those of the entries"


def _wrong_phases(manifest: Manifest) -> Iterator[str]:
    if manifest.phases is None:
        return
    names, models = [phase.model for phase in manifest.phases.each], models_of(manifest)
    unknown = next((name for name in names if name not in models), None)
    if unknown is not None:
        yield f"phases: {unknown!r} is none of the models"
    elif len(set(names)) < len(names):
        yield "phases: a model is in two of them"
    elif names[-1] != models[0]:
        yield f"phases: the last one is of {names[-1]!r}, and links lead to {models[0]!r}"


def _wrong_states(manifest: Manifest) -> Iterator[str]:
    if len({name for state in manifest.states for name in (state.past, state.present)}) < 2 * len(manifest.states):
        yield "states: a tensor is in two of them"
        return
    lengths = [state.length > 0 for state in manifest.states]
    if lengths != sorted(lengths, reverse=True):
        yield "states: one that is replaced as a whole is before one that holds rows"
        return
    found = views(manifest)
    for k, (entry, view) in enumerate(zip(manifest.entries, found, strict=True) if manifest.states else ()):
        if entry.model != manifest.entries[0].model:
            continue
        if manifest.states[0].length:
            yield from _wrong_tokens(entry, view, f"entries[{k}]")
        for number, state in enumerate(manifest.states):
            yield from _wrong_state(manifest, state, (found[0], view), entry.tokens, f"states[{number}], in the entry {entry.name!r}")


def _wrong_tokens(entry: EntryRecord, view: Manifest, at: str) -> Iterator[str]:
    shapes = {value.name: value.shape for value in (*view.model.inputs, *view.model.outputs)}
    if entry.tokens is None:
        yield f"{at}.tokens is missing: the bundle has states"
    for name, axis in entry.token_axes.items():
        shape = shapes.get(name)
        if shape is None or axis >= len(shape) or shape[axis] != entry.tokens:
            yield f"{at}.token_axes: {name!r} has no axis {axis} of {entry.tokens} tokens"
    if not any(value.name in entry.token_axes for value in view.model.inputs):
        yield f"{at}.token_axes names no input"
    length = next((value for value in view.model.inputs if value.name == CACHE_LENGTH), None)
    if length is None or (length.dtype, length.shape) != ("int64", (1,)):
        yield f"{at} has no input {CACHE_LENGTH!r}, int64[1]"


def _wrong_state(manifest: Manifest, state: StateRecord, both: tuple[Manifest, Manifest], tokens: int | None, at: str) -> Iterator[str]:
    first, view = (_slots_of(one, state) for one in both)
    if first is None or view is None:
        yield f"{at}: {state.past!r} is no input with a slot, or {state.present!r} no output with one"
        return
    past, present = view
    lengths = past.shape[state.axis : state.axis + 1]
    new = (*past.shape[: state.axis], tokens, *past.shape[state.axis + 1 :]) if state.length else past.shape
    if past.dtype != present.dtype or present.shape not in (past.shape, new) or (state.length and lengths != (state.length,)):
        both_shapes = f"{past.dtype}{list(past.shape)} goes out as {present.dtype}{list(present.shape)}"
        yield f"{at}: {both_shapes}, with {state.length} rows along axis {state.axis}"
    elif past.dtype != state.dtype:
        yield f"{at}: its slot is {past.dtype}, and it is said to be {state.dtype!r}"
    elif state.bound not in (0.0, ROUNDOFF.get(past.dtype, 0.0)):
        yield f"{at}.bound is {state.bound:g}: not what rounding to {past.dtype} does"
    elif past.packed_on_cpu or present.packed_on_cpu:
        yield f"{at}: its rows are padded or converted"
    elif (past.offset, past.bytes) != (first[0].offset, first[0].bytes) or past.bytes != state.bytes:
        yield f"{at}: it lies at {past.offset}, and at {first[0].offset} in the entry {manifest.entries[0].name!r}"
    elif not state.copied and past.shape == present.shape and past.offset != present.offset:
        yield f"{at}: it comes in at {past.offset} and goes out at {present.offset}, and nothing says that it is copied"


def _slots_of(view: Manifest, state: StateRecord) -> tuple[SlotRecord, SlotRecord] | None:
    slots = view.arena.slots
    past = next((value.slot for value in view.model.inputs if value.name == state.past), None)
    present = next((value.slot for value in view.model.outputs if value.name == state.present), None)
    if past is None or present is None or max(past, present) >= len(slots):
        return None
    return slots[past], slots[present]


def _own(view: Manifest) -> set[str]:
    """Inputs and outputs of an entry that are caches, and no new rows of one."""
    found = set()
    for state in view.states:
        past, present = _slots_of(view, state) or (None, None)
        same = past is None or present is None or past.shape == present.shape
        found |= {state.past, state.present} if same else {state.past}
    return found


def _shared_bytes(manifest: Manifest) -> Iterator[str]:
    """A slot that has bytes of a cache or of a link at any time: what lies there stays from run to run."""
    found = views(manifest) if manifest.states or manifest.links else ()
    if not found:
        return
    own = {name for view in found for name in _own(view)}
    kept = [(slot.offset, slot.offset + slot.bytes, slot.tensor) for slot in found[0].arena.slots if slot.tensor in _own(found[0])]
    kept = sorted([*kept, *((link.offset, link.offset + link.bytes, link.input) for link in links_once(manifest))])
    for k, (entry, view) in enumerate(zip(manifest.entries, found, strict=True)):
        here = allowed(manifest, entry.model) | _own(view)
        for slot in view.arena.slots:
            for begin, end, name in kept if slot.tensor not in here else ():
                if slot.offset < end and begin < slot.offset + slot.bytes:
                    yield f"entries[{k}]: {slot.tensor!r} has bytes of {'the cache' if name in own else 'the link to'} {name!r}"
                    return
    partner = {state.present: state.past for state in manifest.states}
    for (_, end, one), (begin, _, other) in pairwise(kept):
        if begin < end and other not in (partner.get(one), one) and one != partner.get(other):
            yield f"entries[0]: {one!r} and {other!r}, which stay from run to run, share bytes"
