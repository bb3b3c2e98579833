"""What the models' own files compute one after the other: each is evaluated by itself, and what it writes is put into the rows of the next
one's input here, by the words of the links alone: no address and no slot of the bundle's takes part.

A model reads what the one before it writes in the dtype that both files declare, so that is rounded to it in between. How far rounding in
the first models moves the outputs of the last one is measured as well: its input is made anew from each way to round those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...bundle.entries import models_of, of_model
from ...devices.views import numpy_dtype
from ...inputs.generate_inputs import generate_inputs
from ...reference.messages import Answer, Question
from ..decoder.step_feeds import StepFeeds, empty_caches
from ..decoder.stored_caches import StoredCaches
from ..expectation import Expectation, expected_of
from ..trial import Untouched
from .pieces import Chain, Piece, Written

if TYPE_CHECKING:
    import onnx

    from ...bundle.manifest import Manifest

Values = Mapping[str, Any]
Way = Callable[[Answer, Answer], "Values | None"]
"""From a model's answer and its answer with other roundings to one of its results."""


class UntouchedChain:
    """The models, by name; graphs: as they are in their files. stored: of the main one, where the bundle keeps caches in another dtype."""

    def __init__(
        self,
        manifest: Manifest,
        models: Mapping[str, Untouched],
        graphs: Mapping[str, onnx.ModelProto],
        stored: StoredCaches | None = None,
    ) -> None:
        self._manifest, self._models, self._graphs, self.stored = manifest, models, graphs, stored
        self.main = models_of(manifest)[0]
        self._views = {name: of_model(manifest, name) for name in models}

    def written(self, chain: Chain, seed: int) -> list[list[Values]]:
        """By piece, the inputs of each step that writes rows."""
        numbers = iter(range(1000 * seed, 1000 * (seed + 1)))
        return [[self._made(one, next(numbers)) for one in piece.written] for piece in chain.pieces]

    def read(self, chain: Chain, seed: int) -> tuple[Values, Values]:
        """Inputs of the model that links lead to, for all rows: those that a session is given, and all that the file takes, without what is
        linked to it."""
        view, linked = self._views[self.main], {link.input for link in self._manifest.links}
        if view.states:
            feeds = StepFeeds(self._graphs[self.main], view.entries[0].token_axes, empty_caches(view))
            given, whole = feeds(seed, chain.rows)
        else:
            shapes = {value.name: value.shape for value in view.model.inputs if value.shape is not None}
            given = whole = generate_inputs(self._graphs[self.main], seed, shapes)
        return ({name: value for name, value in given.items() if name not in linked}, {n: v for n, v in whole.items() if n not in linked})

    def answers(self, steps: Sequence[Sequence[Values]], chain: Chain, *, half: bool, noise: int) -> list[list[tuple[Answer, Answer]]]:
        """Of the models that write rows. Their processes are ended behind that: a model's weights are loaded once at a time."""
        found = []
        for piece, inputs in zip(chain.pieces, steps, strict=True):
            asked = [(self._models[one.model], values) for one, values in zip(piece.written, inputs, strict=True)]
            found.append([(model.answer(values), model.roundings(values, half=half, noise=noise)) for model, values in asked])
        for name, model in self._models.items():
            if name != self.main:
                model.oracle.close()
        return found

    def expectation(
        self, chain: Chain, whole: Values, answers: Sequence[Sequence[tuple[Answer, Answer]]], *, half: bool, noise: int
    ) -> Expectation:
        """whole: inputs that nothing is linked to. Raises ModelError where a model refuses what was made up for it."""
        main = self._models[self.main]

        def along(way: Way) -> Values:
            return {**whole, **self._joined(chain, answers, way)}

        def noisy(k: int) -> Sequence[Values]:
            question = Question(inputs=along(lambda _, rounded: rounded.noise[k]), own=False, exact=False, noise=1, first=k)
            return main.oracle.ask(question).noise

        right = along(lambda plain, _: expected_of(plain))
        found = Expectation.of(chain.label, main.answer(right), main.roundings(right, half=half))
        own = main.oracle.ask(Question(inputs=along(lambda plain, _: plain.own), exact=False)).own
        ways = [own, *(way for k in range(noise) for way in noisy(k))]
        if half:
            ways.append(main.oracle.ask(Question(inputs=along(lambda _, rounded: rounded.half), own=False, exact=False, half=True)).half)
        if self.stored is not None:
            self.stored.check(found.expected)
            ways += self.stored.ways(right, noise)
        return replace(found, roundings=(*(way for way in ways if way is not None), *found.roundings))

    def _made(self, one: Written, seed: int) -> Values:
        view, axes = self._views[one.model], self._views[one.model].entries[0].token_axes
        shapes = {}
        for value in view.model.inputs:
            shape = list(value.shape or ())
            if value.name in axes and one.at is None:
                shape[axes[value.name]] = one.rows
            shapes[value.name] = tuple(shape)
        made = generate_inputs(self._graphs[one.model], seed, shapes)
        return {name: made[name] for name in shapes}

    def _joined(self, chain: Chain, answers: Sequence[Sequence[tuple[Answer, Answer]]], way: Way) -> dict[str, Any]:
        """The linked inputs, for the rows of all pieces."""
        import numpy as np

        links = {link.input: link for link in self._manifest.links}
        each = [self._rows(piece, found, way) for piece, found in zip(chain.pieces, answers, strict=True)]
        return {name: np.concatenate([one[name] for one in each], links[name].axis) for name in links}

    def _rows(self, piece: Piece, answers: Sequence[tuple[Answer, Answer]], way: Way) -> dict[str, Any]:
        """Of one piece, what its models write in the order in which they are run."""
        import numpy as np

        values = {value.name: value for value in self._views[self.main].model.inputs}
        made: dict[str, Any] = {}
        for link in self._manifest.links:
            shape = list(values[link.input].shape or ())
            shape[link.axis] = piece.rows
            made.setdefault(link.input, np.zeros(shape, numpy_dtype(values[link.input].dtype)))
        for one, (plain, rounded) in zip(piece.written, answers, strict=True):
            found = way(plain, rounded) or plain.own
            assert found is not None
            for link in (link for link in self._manifest.links if link.model == one.model):
                whole = made[link.input]
                shape = [-1 if axis == link.axis else size for axis, size in enumerate(whole.shape)]
                rows, begin = np.asarray(found[link.output]).reshape(shape), (one.at or 0) if link.label else 0
                whole[(slice(None),) * link.axis + (slice(begin, begin + rows.shape[link.axis]),)] = rows
        return made
