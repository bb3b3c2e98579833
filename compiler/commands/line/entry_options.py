"""The options of `autoglmc compile` that make a bundle of several entries, and of a decoder one that keeps its caches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from .complete import complete_buckets

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


def entry_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds them to a command, as keyword arguments buckets, states, max_length, given, cache_dtype and links."""
    link = click.option("--link", "links", metavar="OUTPUT=INPUT", multiple=True, help=LINK)
    bucket = click.option("--bucket", "buckets", metavar="NAME[=SIZE]", multiple=True, help=BUCKET, shell_complete=complete_buckets)
    dtype = click.option("--cache-dtype", type=click.Choice(["fp16"]), help=CACHE_DTYPE)
    return bucket(_state_options(dtype(link(command))))


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
