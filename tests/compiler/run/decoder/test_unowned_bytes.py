"""Nothing reads what it does not own: whatever lies in the arena beside tokens that are there, outputs are the same bits."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_agents import LINKS, PIXELS, ROWS, Agent
from small_decoders import Decoder as Spec
from small_decoders import decoder

from autoglmc.compiler.bundle.entries import views
from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
from autoglmc.compiler.driver.entries.compile_models import compile_models
from autoglmc.compiler.state.request import StateRequest

STEPS = {"prefill": Asked(shapes={}, tokens=16), "decode": Asked(shapes={}, tokens=1)}
STATE = StateRequest((("past.*", "present.*"),), 64)
NAN = 0xFF
"""In every byte: NaN in floats, -1 in whole numbers."""
IMAGES = np.random.default_rng(3).standard_normal((2, ROWS, PIXELS)).astype(np.float32)
ENTRIES = st.sampled_from(["prefill", "decode"])


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Any]:
    place = tmp_path_factory.mktemp("plain") / "bundle"
    made = compile_entries(decoder(Spec(layers=2)), "x86_cpu", STEPS, state=STATE, output=place, verify=False).bundle
    return made.session(), made.session()


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Any]:
    place = tmp_path_factory.mktemp("agent") / "bundle"
    made = compile_models(Agent().models(), "x86_cpu", links=LINKS, entries=STEPS, state=STATE, output=place, verify=False).bundle
    return made.session(), made.session()


def owned(session: Any) -> Iterator[tuple[int, int]]:
    """(begin, end) in the arena: caches, whose places without a token the session poisons itself, and rows that wait to be read."""
    manifest = session.manifest
    slots = {slot.tensor: slot for slot in manifest.arena.slots}
    yield from ((slots[state.past].offset, slots[state.past].offset + state.bytes) for state in manifest.states)
    for link in manifest.links:
        shape = slots[link.input].shape
        yield link.offset, link.offset + session.filled[link.input] * (slots[link.input].bytes // shape[link.axis])


def poison(session: Any) -> None:
    """Every byte of the arena that nothing owns."""
    session.poison()
    base, begin = next(iter(session.sessions.values())).base, 0
    total = max(view.arena.total for view in views(session.manifest))
    for first, end in [*sorted(set(owned(session))), (total, total)]:
        if first > begin:
            ctypes.memset(base + begin, NAN, first - begin)
        begin = max(begin, end)


@settings(max_examples=15)
@given(steps=st.lists(st.tuples(ENTRIES, st.integers(1, 20)), min_size=1, max_size=4), cut=st.integers(0, 6))
def test_a_decoder_reads_what_it_owns(plain: Sequence[Any], steps: Sequence[tuple[str, int]], cut: int) -> None:
    clean, dirty = emptied(plain)
    for entry, tokens in steps:
        ids = {"input_ids": np.random.default_rng(tokens).integers(0, 32, (1, min(tokens, clean.room)))}
        if not clean.room:
            break
        poison(dirty)
        assert np.array_equal(clean.step(entry, ids)["logits"], dirty.step(entry, ids)["logits"])
        for one in (clean, dirty):
            one.truncate(max(one.length - cut, 0))


@settings(max_examples=25)
@given(
    steps=st.lists(st.tuples(ENTRIES, st.integers(1, 16), st.one_of(st.none(), st.integers(0, 10))), min_size=1, max_size=4),
    cut=st.integers(0, 6),
)
def test_an_agent_reads_what_it_owns(agent: Sequence[Any], steps: Sequence[tuple[str, int, int | None]], cut: int) -> None:
    """Rows of the decoder's input behind those that were written, too: a run that is filled up computes with them."""
    clean, dirty = emptied(agent)
    for entry, tokens, at in steps:
        tokens = 1 if entry == "decode" else tokens
        if clean.room < (1 if entry == "decode" else 16):
            break
        ids = {"input_ids": np.random.default_rng(tokens).integers(0, 32, (1, tokens))}
        made = []
        for one in (clean, dirty):
            if one is dirty:
                poison(dirty)
            one.step("embed", ids)
            for image, place in zip(IMAGES, [] if at is None else [at], strict=False):
                if place + ROWS <= tokens:
                    one.step("vision", {"patches": image}, at=place)
            if one is dirty:
                poison(dirty)
            made.append(one.step(entry)["logits"])
            one.truncate(max(one.length - cut, 0))
        assert np.array_equal(made[0], made[1])


def emptied(sessions: Sequence[Any]) -> Sequence[Any]:
    """One that is left alone and one that is poisoned."""
    for one in sessions:
        one.reset()
    return sessions
