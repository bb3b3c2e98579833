"""The caches of a decoder in one arena: where their rows lie, which of them are filled, and copies of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...bundle.manifest import Manifest
from ...devices.adapter import Port
from ...devices.views import view_at
from ...errors import BundleError


class Caches:
    """Of all entries of a bundle: `slots` are those of any of them, which have the caches at the same places."""

    def __init__(self, manifest: Manifest, slots: Sequence[Port]) -> None:
        at = {slot.tensor: slots[k] for k, slot in enumerate(manifest.arena.slots)}
        self._pasts = [view_at(at[state.past]) for state in manifest.states]
        self._presents = [view_at(at[state.present]) for state in manifest.states]
        self._axes = [state.axis if state.length else None for state in manifest.states]
        """Of rows; None for a state that every run replaces."""
        whole = [a.shape == b.shape for a, b in zip(self._pasts, self._presents, strict=True)]
        self._moved = [k for k, state in enumerate(manifest.states) if state.copied and whole[k]]
        self._appended = [(self._pasts[k], self._presents[k], state.axis) for k, state in enumerate(manifest.states) if not whole[k]]
        """Those of which only the new rows go out."""
        ends = [state.present if same else state.past for state, same in zip(manifest.states, whole, strict=True)]
        self.addresses = tuple((at[s.past].address or 0, at[end].address or 0) for s, end in zip(manifest.states, ends, strict=True))
        """Of each, where it comes in and where it goes out; where its new rows are put into it, that is one place."""
        for state, same in zip(manifest.states, whole, strict=True):
            if same and not state.copied and at[state.past].address != at[state.present].address:
                raise BundleError(f"the cache {state.past!r} comes in and goes out at two addresses, and the manifest has it at one")

    def settle(self, rows: int) -> None:
        """After a run behind the first `rows` rows: caches that went out at another place than they come in are brought back, and rows
        that went out alone are put where they belong."""
        for k in self._moved:
            self._pasts[k][...] = self._presents[k]
        for past, new, axis in self._appended:
            past[_rows(axis, slice(rows, rows + new.shape[axis]))] = new

    def clear(self, *, states: bool = False) -> None:
        """All of them become zeros; states: those alone that every run replaces."""
        for view, axis in zip(self._pasts, self._axes, strict=True):
            if axis is None or not states:
                view[...] = 0

    def copy_to(self, other: Caches, rows: int | None = None) -> None:
        """The first `rows` rows; None: whole tensors."""
        for mine, theirs, axis in zip(self._pasts, other._pasts, self._axes, strict=True):
            cut = _first(axis, rows)
            theirs[cut] = mine[cut]

    def poison(self, rows: int) -> None:
        """All rows but the first `rows` become NaN."""
        for view, axis in zip(self._pasts, self._axes, strict=True):
            if axis is None:
                continue
            part = view[_rows(axis, slice(rows, None))]
            part.view(f"u{part.dtype.itemsize}")[...] = (1 << 8 * part.dtype.itemsize) - 1

    def filled(self, rows: int | None = None) -> dict[str, Any]:
        """Copies of the first `rows` rows, by number; None: of whole tensors."""
        return {str(k): view[_first(axis, rows)].copy() for k, (view, axis) in enumerate(zip(self._pasts, self._axes, strict=True))}


def replaces(manifest: Manifest) -> bool:
    """Whether there are states of which only the last ones are known: a run may not add tokens to them that do not count."""
    return not all(state.length for state in manifest.states)


def _first(axis: int | None, rows: int | None) -> tuple[slice, ...]:
    return () if rows is None or axis is None else _rows(axis, slice(0, rows))


def _rows(axis: int, rows: slice) -> tuple[slice, ...]:
    return (slice(None),) * axis + (rows,)
