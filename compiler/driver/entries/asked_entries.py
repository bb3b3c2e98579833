"""The words of --bucket as entries that are to be made."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ....targets.model import Target
from ...errors import UsageError
from ...hw.buckets import bucket_shapes
from ...load.bind_shapes import parse_shapes
from ...state.request import StateRequest
from .compile_entries import Asked

ONLY = "step"
"""The entry of a model with states, where nothing else is said."""
STEP = "decode"
"""The entry that takes one token, where nothing else is said."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
"""What may name an entry or a model."""


def asked_entries(words: Sequence[str], machine: Target | None, state: StateRequest | None) -> dict[str, Asked]:
    """The entries that the words of --bucket name, in their order; of a model with states that no run makes longer, one where there are no
    words. machine: whose buckets may be named; None where there is none. Raises UsageError."""
    stateful = state is not None and state.length is not None
    if not words and not stateful:
        return {ONLY: Asked(shapes={})}
    if not words:
        raise UsageError("--state needs the steps that are to be taken", help="--bucket prefill=128 --bucket decode")
    often = Counter(_name(word) for word in words)
    found: dict[str, Asked] = {}
    for word in words:
        name, sizes = _name(word), _sizes(word, machine, state)
        tokens = _tokens(word, sizes) if stateful else None
        label = name if often[name] == 1 else f"{name}-{tokens if stateful else '-'.join(map(str, sizes.values()))}"
        if not NAME.fullmatch(label):
            raise UsageError(f"--bucket {word}: '{label}' cannot name an entry", help="use letters, digits, - and _, at most 40 of them")
        if label in found:
            raise UsageError(f"--bucket {word}: this entry is there already")
        found[label] = Asked(shapes={} if stateful else sizes, tokens=tokens)
    return found


def entries_of_models(words: Sequence[str], machine: Target, state: StateRequest | None) -> dict[str, Asked] | None:
    """The same of the model with states, where several models are joined; None where none has any. Raises UsageError, as for words that
    are about no model."""
    if words and state is None:
        raise UsageError("--bucket of several models is about the one with --state", help="give sizes of dims with --shape")
    return None if state is None else asked_entries(words, machine, state)


def _name(word: str) -> str:
    return re.split("[:=]", word, maxsplit=1)[0]


def _sizes(word: str, machine: Target | None, state: StateRequest | None) -> dict[str, Any]:
    """By dim; of a decoder, "" for tokens where no dim is named."""
    stateful = state is not None and state.length is not None
    name, colon, rest = word.partition(":")
    if colon:
        return dict(parse_shapes([rest]))
    name, equals, size = word.partition("=")
    if machine is not None and any(bucket.name == name for bucket in machine.shapes):
        return dict(bucket_shapes(machine, word))
    if stateful and (size.isdecimal() if equals else name == STEP):
        return {"": int(size) if equals else 1}
    if stateful:
        help = f"write --bucket {name}=128: tokens that a run takes"
        raise UsageError(f"--bucket {word} does not say how many tokens it takes", help=help)
    if machine is None:
        help = f"write --bucket {name}:seq=128, or --state and --max-length for a decoder"
        raise UsageError(f"--bucket {word} names no sizes", help=help)
    help = f"write --bucket {name}:seq=128, or `shapes {{ {name}: seq 128; }}` into the target"
    if state is not None:
        help = "caches that grow need --max-length TOKENS; " + help
    raise UsageError(f"the target '{machine.name}' has no shape bucket '{name}'", where=f"--bucket {word}", help=help)


def _tokens(word: str, sizes: dict[str, Any]) -> int:
    numbers = [size for size in sizes.values() if isinstance(size, int)]
    if len(numbers) != 1 or len(sizes) != 1 or not numbers[0]:
        raise UsageError(f"--bucket {word}: a step of a decoder has one size, its tokens, at least one")
    return numbers[0]
