"""Why operators are where they are, of whatever `compile` makes one bundle of: a model, its entries, several models that are joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from ..driver.entries.asked_entries import asked_entries, entries_of_models
from ..driver.entries.compile_asked import check_joined, several_entries
from ..driver.entries.compile_entries import Asked, tokens_of
from ..driver.entries.several_models import readers_of, several_models, sized_models, steps_of
from ..hw.buckets import bucket_shapes
from ..load.bind_shapes import Shapes
from ..load.source import Source
from ..state.request import StateRequest
from .as_json import as_json
from .explain_entries import Answers, Question, explain_entries


def explain_asked(
    models: Mapping[str, Source],
    question: Question,
    *,
    links: Sequence[str] = (),
    buckets: Sequence[str] = (),
    state: StateRequest | None = None,
    shapes: Shapes | None = None,
) -> dict[str, Any]:
    """Plain data: of one model as it stands, what `as_json` says; else what `explain_entries` does. links, buckets: the words of --link and
    --bucket. Raises as `compile_entries` and `compile_models` do for what is asked, and as `explain_model`."""
    target = question.target
    check_joined(models, links)
    if len(models) > 1:
        return _models(models, question, links, entries_of_models(buckets, target, state), state, shapes or {})
    (model,) = models.values()
    if not several_entries(models, buckets, state):
        sizes = {**(bucket_shapes(target, buckets[0]) if buckets else {}), **(shapes or {})}
        return as_json(question.why(question.plan(model, sizes)))
    entries = asked_entries(buckets, target, state)
    tokens = {name: asked.tokens or 1 for name, asked in entries.items()}
    return explain_entries(
        model, question, {name: asked.shapes for name, asked in entries.items()}, tokens=tokens, state=state, shapes=shapes
    )


def _models(
    models: Mapping[str, Source],
    question: Question,
    links: Sequence[str],
    entries: Mapping[str, Asked] | None,
    state: StateRequest | None,
    shapes: Shapes,
) -> dict[str, Any]:
    """In the order in which `compile_models` makes entries: those of the main model first."""
    given, answers = several_models(models, links, state, shapes), Answers(question)
    fixed = None
    if state is not None:
        fixed = steps_of(given, state, tokens_of(entries or {}), question.target, lambda name: nullcontext())
    sized = sized_models(given, readers_of(given, fixed), entries or (given.main,))
    if fixed is None:
        answers.add(given.main, given.source, given.shapes[given.main], given.main)
    for name, step in ({} if fixed is None else fixed.steps).items():
        answers.add_step(name, step, given.source, given.main)
    for model, each in sized.items():
        for name, one in each.items():
            answers.add(name, given.sources[model], {**given.shapes[model], **one.shapes}, model)
    return answers.facts(", ".join(map(str, models.values())), () if fixed is None else fixed.states)
