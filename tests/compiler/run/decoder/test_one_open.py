"""Entries that come and go compute what entries that are all open compute, and are opened as those are."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from small_decoders import Decoder as Spec
from small_decoders import decoder

from autoglmc.compiler.devices import ort
from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
from autoglmc.compiler.errors import UsageError
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.run.decoder.decoder import Decoder
from autoglmc.compiler.run.decoder.entry_run import Opener
from autoglmc.compiler.state.request import StateRequest

ENTRIES = {"wide": Asked(shapes={}, tokens=8), "narrow": Asked(shapes={}, tokens=3), "decode": Asked(shapes={}, tokens=1)}
STEPS = (("wide", 8), ("decode", 1), ("narrow", 2), ("narrow", 3), ("wide", 5), ("decode", 1), ("wide", 8))


@pytest.fixture(scope="module", params=[Spec(layers=2), Spec(last=True)], ids=["all logits", "the last logits"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    state = StateRequest((("past.*", "present.*"),), 30)
    made = compile_entries(decoder(request.param), "x86_cpu", ENTRIES, state=state, output=tmp_path_factory.mktemp("d") / "b", verify=False)
    return made.bundle


def one_open(bundle: Bundle) -> Decoder:
    return Decoder(bundle.folder, bundle.manifest, one_open=True)


def stepped(decoder: Decoder) -> list[Mapping[str, Any]]:
    draw, found = np.random.default_rng(4), []
    for entry, tokens in STEPS:
        decoder.poison()
        found += [decoder.step(entry, {"input_ids": draw.integers(0, 32, (1, tokens))}), decoder.filled()]
    return found


def test_they_compute_the_same_bits(bundle: Bundle) -> None:
    expected, got = stepped(bundle.session()), stepped(one_open(bundle))
    for right, mine in zip(expected, got, strict=True):
        assert right.keys() == mine.keys() and all(right[name].tobytes() == mine[name].tobytes() for name in right)


def test_one_session_is_there_at_a_time(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[weakref.ref[Any]] = []
    alive: list[int] = []
    load = Opener.__call__

    def noted(self: Opener, *arguments: Any) -> Any:
        alive.append(sum(one() is not None for one in opened))
        run = load(self, *arguments)
        opened.append(weakref.ref(run.session))
        return run

    monkeypatch.setattr(Opener, "__call__", noted)
    decoder = one_open(bundle)
    assert not opened
    stepped(decoder)
    assert len(opened) > len(STEPS) // 2 and set(alive) == {0}
    assert decoder.length == 28
    decoder.close()
    gc.collect()
    assert not any(one() for one in opened)


def test_every_entry_is_opened_as_a_user_s_session_opens_it(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same file with the same settings of onnxruntime: what is verified is what will run."""
    seen: list[tuple[Any, ...]] = []
    original = ort.open_session

    def noted(*arguments: Any, **options: Any) -> Any:
        seen.append((*arguments, *sorted(options.items())))
        return original(*arguments, **options)

    monkeypatch.setattr(ort, "open_session", noted)
    bundle.session()
    users, seen[:] = list(seen), []
    stepped(one_open(bundle))
    assert len(users) == len(ENTRIES) and set(map(repr, seen)) == set(map(repr, users))


def test_what_ran_is_known_of_entries_that_took_no_step(bundle: Bundle) -> None:
    decoder = one_open(bundle)
    decoder.step("wide", {"input_ids": np.ones((1, 8), np.int64)})
    assert list(decoder.ran) == list(ENTRIES)
    assert {name: one.devices for name, one in decoder.ran.items()} == dict.fromkeys(ENTRIES, ("CPU",))


def test_an_unknown_entry_is_refused(bundle: Bundle) -> None:
    decoder = one_open(bundle)
    with pytest.raises(UsageError, match="no entry 'wyde'"):
        decoder.step("wyde", {"input_ids": np.ones((1, 8), np.int64)})


def test_a_fork_gives_way_or_is_in_the_way(bundle: Bundle) -> None:
    """Both share what is open; neither closes it under the other."""
    decoder = one_open(bundle)
    decoder.step("decode", {"input_ids": np.array([[3]])})
    fork = decoder.fork()
    with pytest.raises(UsageError, match="'wide' cannot be opened: a fork of this session has 'decode' open"):
        decoder.step("wide", {"input_ids": np.ones((1, 8), np.int64)})
    assert fork.length == decoder.length == 1
    fork.close()
    decoder.step("wide", {"input_ids": np.ones((1, 8), np.int64)})
    assert decoder.length == 9
