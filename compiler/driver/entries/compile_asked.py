"""A bundle of whatever was asked for: one model, its entries, several models that are joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ....targets.model import Target
from ...errors import UsageError
from ...hw.buckets import bucket_shapes
from ...load.bind_shapes import Shapes
from ...load.source import Model
from ...state.request import StateRequest
from ..compile_model import compile_model
from ..result import CompileResult
from .asked_entries import asked_entries, entries_of_models
from .compile_entries import compile_entries
from .compile_models import compile_models
from .result import EntriesResult

OF_ONE_MODEL = ("precision", "accuracy")
"""Options that a bundle of several models does not take."""


def several_entries(models: Mapping[str, Any], buckets: Sequence[str], state: StateRequest | None) -> bool:
    """Whether that becomes a bundle of several entries, or one that keeps states."""
    return len(models) > 1 or state is not None or len(buckets) > 1


def compile_asked(
    models: Mapping[str, Model],
    target: Target,
    *,
    links: Sequence[str] = (),
    buckets: Sequence[str] = (),
    state: StateRequest | None = None,
    shapes: Shapes | None = None,
    alone: Mapping[str, Any],
    **options: Any,
) -> CompileResult | EntriesResult:
    """models: by name; of a single one the name means nothing. links, buckets: the words of --link and --bucket. alone: options that only
    a bundle of one entry takes. The others are those of `compile_model`.

    Raises UsageError for what contradicts itself, and as `compile_model`, `compile_entries` and `compile_models`."""
    check_joined(models, links)
    if not several_entries(models, buckets, state):
        sizes = {**(bucket_shapes(target, buckets[0]) if buckets else {}), **(shapes or {})}
        return compile_model(next(iter(models.values())), target, shapes=sizes, **alone, **options)
    check_of_one_entry(alone)
    if options.get("inputs") and (len(models) > 1 or state is not None):
        what = "--inputs is for a model as it stands: steps with states, and models that are joined, are compared on inputs that are made"
        raise UsageError(what, help="leave out --inputs")
    if len(models) == 1:
        entries = asked_entries(buckets, target, state)
        return compile_entries(next(iter(models.values())), target, entries, state=state, shapes=shapes, **options)
    check_of_one_entry({name: options.pop(name, None) for name in OF_ONE_MODEL})
    steps = entries_of_models(buckets, target, state)
    return compile_models(models, target, links=links, entries=steps, state=state, shapes=shapes, **options)


def check_joined(models: Mapping[str, Any], links: Sequence[str]) -> None:
    """Raises UsageError for links of one model."""
    if links and len(models) == 1:
        raise UsageError("--link joins several models, and there is one", help="give the files of all of them")


def check_of_one_entry(given: Mapping[str, Any]) -> None:
    """Raises UsageError for an option that is about a bundle of one entry."""
    odd = next((name for name, value in given.items() if value), None)
    if odd is not None:
        what = f"--{odd.replace('_', '-')} and several entries exclude each other"
        raise UsageError(what, help="compile them one by one, with --shape")
