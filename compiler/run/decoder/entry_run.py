"""A run of one entry of a decoder on as many tokens as it takes. What can be looked up once is: the steps of a text are many and short."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...activity import unwatched_seconds
from ...bundle.manifest import EntryRecord
from ...bundle.plan_records import ValueRecord
from ...bundle.state_record import CACHE_LENGTH
from ..arena_memory import ArenaMemory
from ..generation import of_caller
from ..session import Session
from .caches import Caches

NOTHING: dict[str, Any] = {}
"""Values passed by name."""


class EntryRun:
    """An entry, loaded. `inputs` and `outputs` are those of a caller; `caches` lie where its session has them."""

    def __init__(self, session: Session, record: EntryRecord) -> None:
        self.session, self.record, self.tokens = session, record, record.tokens or 1
        inputs, outputs = of_caller(session.manifest)
        self.inputs: Mapping[str, ValueRecord] = {value.name: value for value in inputs if value.name != CACHE_LENGTH}
        self.outputs = tuple(value.name for value in outputs)
        generation = session.generations[0]
        self.caches = Caches(session.manifest, generation.slots)
        places = {name: (view, dtype, shape) for name, view, dtype, shape in generation.inputs}
        self._length = places.pop(CACHE_LENGTH)[0]
        self._places = [(name, *place) for name, place in places.items()]
        self._results = generation.outputs
        self._bound = self._length is not None and not generation.by_name and all(view is not None for _, view in self._results)
        """Whether all that comes in and goes out has a place in the arena."""

    def beside(self, memory: ArenaMemory) -> EntryRun:
        """The same entry, bound to another arena."""
        return EntryRun(self.session.beside(memory), self.record)

    def fits(self, inputs: Mapping[str, Any]) -> bool:
        """Whether these are just what one run takes, as those of nearly every step are."""
        if len(inputs) != len(self._places):
            return False
        for name, _, dtype, shape in self._places:
            array = inputs.get(name)
            if getattr(array, "dtype", None) != dtype or array.shape != shape:  # type: ignore[union-attr]
                return False
        return self._bound

    def run(self, inputs: Mapping[str, Any], length: int) -> dict[str, Any]:
        """Outputs of one run behind `length` tokens: arrays that fit (`fits`), or that one session may take. Raises as Session.run."""
        import numpy

        if not self._bound or unwatched_seconds() is not None:
            outputs: dict[str, Any] = self.session.run({**inputs, CACHE_LENGTH: numpy.array([length], numpy.int64)})
        else:
            self._length[0] = length
            for name, view, _, _ in self._places:
                view[...] = inputs[name]
            self.session.run_placed(NOTHING)
            outputs = {name: view.copy() for name, view in self._results}
        self.caches.settle()
        return outputs
