"""The options of `autoglmc compile` that make a bundle of several entries, and of a decoder one that keeps its caches."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from ...errors import UsageError
from .complete import complete_buckets

if TYPE_CHECKING:
    from ....targets.model import Target
    from ...driver.entries.compile_entries import Asked
    from ...state.request import StateRequest

BUCKET = (
    "Sizes that the target's `shapes` block names: decode, or prefill=64 where it names several. --shape wins. Repeatable: a bundle with "
    "an entry for each. With --state a number is tokens at once, and decode is 1. NAME:seq=32 names sizes here."
)
FUNCTION = (
    "A function of the .aimodel: prefill=64 takes 64 tokens at once, decode one, of a decoder (--state, --max-length); NAME:seq=32 names "
    "sizes of dims. Repeatable: weights are in the file once."
)
STATE = (
    "Inputs that are caches, and the outputs that take their place: 'past.*=present.*'. They stay in the bundle's memory (of an .aimodel: "
    "they are states of its functions) from run to run, and a run is a step. Repeatable."
)
GIVEN = (
    "An input of the model with --state that is given in every step, although it follows from the number of tokens: position_ids, where an "
    "image's tokens have positions of their own. Repeatable."
)
LINK = (
    "Of several MODELs: an output that another one reads, 'vision.features=decoder.inputs_embeds@image', without a copy. A model is "
    "named after its file, or by NAME=FILE; @ROWS marks an output that fills only some of the rows, from where each step says. Repeatable."
)
LENGTH = "Tokens that the caches of --state hold at most; without it, --state names states of one shape, which every run replaces."
CACHE_DTYPE = (
    "Keep the caches of --state in fp16: half the bytes, each value rounded to 11 significant bits (beyond 65504 it becomes that) before "
    "anything reads it [default: the dtype that the model has]."
)
ONLY = "step"
"""The entry of a model with states, where nothing else is said."""
STEP = "decode"
"""The entry that takes one token, where nothing else is said."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


def entry_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds them to a command, as keyword arguments buckets, states, max_length, given, cache_dtype and links."""
    return step_options(click.option("--link", "links", metavar="OUTPUT=INPUT", multiple=True, help=LINK)(command))


def step_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same without links: buckets, states, max_length, given and cache_dtype."""
    bucket = click.option("--bucket", "buckets", metavar="NAME[=SIZE]", multiple=True, help=BUCKET, shell_complete=complete_buckets)
    dtype = click.option("--cache-dtype", type=click.Choice(["fp16"]), help=CACHE_DTYPE)
    return bucket(_state_options(dtype(command)))


def function_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same for one file with several functions: buckets, states, max_length and given."""
    bucket = click.option("--bucket", "buckets", metavar="NAME[=TOKENS]", multiple=True, help=FUNCTION)
    return bucket(_state_options(command))


def _state_options(command: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.option("--state", "states", metavar="INPUT=OUTPUT", multiple=True, help=STATE),
        click.option("--max-length", type=click.IntRange(2, 1 << 24), metavar="TOKENS", help=LENGTH),
        click.option("--given", metavar="INPUT", multiple=True, help=GIVEN),
    )
    for option in reversed(options):
        command = option(command)
    return command


def asked_entries(words: Sequence[str], machine: Target | None, state: StateRequest | None) -> dict[str, Asked]:
    """The entries that the words of --bucket name, in their order; of a model with states that no run makes longer, one where there are no
    words. machine: whose buckets may be named; None where there is none. Raises UsageError."""
    from ...driver.entries.compile_entries import Asked

    stateful = state is not None and state.length is not None
    if not words and not stateful:
        return {ONLY: Asked(shapes={})}
    if not words:
        raise UsageError("--state needs the steps that are to be taken", help="--bucket prefill=128 --bucket decode")
    often = Counter(_name(word) for word in words)
    found: dict[str, Asked] = {}
    for word in words:
        name, sizes = _name(word), _sizes(word, machine, stateful)
        tokens = _tokens(word, sizes) if stateful else None
        label = name if often[name] == 1 else f"{name}-{tokens if stateful else '-'.join(map(str, sizes.values()))}"
        if not NAME.fullmatch(label):
            raise UsageError(f"--bucket {word}: '{label}' cannot name an entry", help="use letters, digits, - and _, at most 40 of them")
        if label in found:
            raise UsageError(f"--bucket {word}: this entry is there already")
        found[label] = Asked(shapes={} if stateful else sizes, tokens=tokens)
    return found


def _name(word: str) -> str:
    return re.split("[:=]", word, maxsplit=1)[0]


def _sizes(word: str, machine: Target | None, stateful: bool) -> dict[str, Any]:
    """By dim; of a decoder, "" for tokens where no dim is named."""
    from ...hw.buckets import bucket_shapes
    from ...load.bind_shapes import parse_shapes

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
    raise UsageError(f"the target '{machine.name}' has no shape bucket '{name}'", where=f"--bucket {word}", help=help)


def _tokens(word: str, sizes: dict[str, Any]) -> int:
    numbers = [size for size in sizes.values() if isinstance(size, int)]
    if len(numbers) != 1 or len(sizes) != 1 or not numbers[0]:
        raise UsageError(f"--bucket {word}: a step of a decoder has one size, its tokens, at least one")
    return numbers[0]
