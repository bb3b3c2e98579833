"""Misused sessions: each call gets an error that says what is wrong, and the session goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_agents import LINKS, PIXELS, ROWS, Agent
from small_decoders import Decoder as Spec
from small_decoders import decoder

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
from autoglmc.compiler.driver.entries.compile_models import compile_models
from autoglmc.compiler.errors import UsageError, UserError
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.run.decoder.entry_run import EntryRun
from autoglmc.compiler.state.request import StateRequest

STEPS = {"prefill": Asked(shapes={}, tokens=16), "decode": Asked(shapes={}, tokens=1)}
STATE = StateRequest((("past.*", "present.*"),), 24)
MODELS = Path(__file__).parents[3] / "models"
KINDS = ("decoder", "linked", "recurrent", "plain")
IDS = np.array([[3, 1, 4]])
PATCHES = np.ones((ROWS, PIXELS), np.float32)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    place = tmp_path_factory.mktemp("bundles")
    common: dict[str, Any] = {"entries": STEPS, "state": STATE, "verify": False}
    made = {
        "decoder": compile_entries(decoder(Spec()), "x86_cpu", output=place / "d", **common),
        "linked": compile_models(Agent().models(), "x86_cpu", links=LINKS, output=place / "l", **common),
        "recurrent": compile_entries(
            MODELS / "gru_tiny.onnx",
            "x86_cpu",
            {"step": Asked(shapes={"steps": 5})},
            state=StateRequest((("h_in", "h_out"),), None),
            output=place / "r",
            verify=False,
        ),
        "plain": compile_model(MODELS / "gru_tiny.onnx", "x86_cpu", shapes={"steps": 5}, output=place / "p", verify=False),
    }
    return {name: one.bundle for name, one in made.items()}


@pytest.fixture(scope="module")
def used(bundles: dict[str, Bundle]) -> dict[str, tuple[Any, list[int]]]:
    """By kind, a session that everything is done with, and the text that an untouched one makes."""
    kinds = ("decoder", "linked")
    return {kind: (bundles[kind].session(), list(bundles[kind].session().generate([1, 2, 3], max_tokens=3))) for kind in kinds}


USES: dict[str, dict[str, Callable[[Any], Any]]] = {
    "decoder": {
        "step": lambda s: s.step("decode", {"input_ids": np.array([[1]])}),
        "several runs": lambda s: s.step("decode", {"input_ids": IDS}),
        "generate": lambda s: s.generate([1, 2]),
        "reset": lambda s: s.reset(),
        "truncate": lambda s: s.truncate(0),
        "fork": lambda s: s.fork(),
        "poison": lambda s: s.poison(),
        "filled": lambda s: s.filled(),
        "addresses": lambda s: s.addresses(),
        "ran": lambda s: s.ran,
    },
    "linked": {
        "step": lambda s: s.step("embed", {"input_ids": IDS}),
        "generate": lambda s: s.generate([1, 2]),
        "reset": lambda s: s.reset(),
        "forget": lambda s: s.forget(),
        "truncate": lambda s: s.truncate(0),
        "fork": lambda s: s.fork(),
        "poison": lambda s: s.poison(),
        "cached": lambda s: s.cached(),
        "release": lambda s: s.release("vision"),
        "ran": lambda s: s.ran,
    },
    "recurrent": {
        "step": lambda s: s.step("step", {"x": np.ones((1, 5, 4), np.float32)}),
        "reset": lambda s: s.reset(),
        "fork": lambda s: s.fork(),
        "states": lambda s: s.states(),
    },
    "plain": {
        "run": lambda s: s.run({"x": np.ones((1, 5, 4), np.float32), "h_in": np.zeros((1, 1, 6), np.float32)}),
        "run_many": lambda s: s.run_many([]),
        "put": lambda s: s.put({}),
        "get": lambda s: s.get(),
        "run_step": lambda s: s.run_step(0),
        "view": lambda s: s.view("x", "cpu"),
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_session_says_so_whatever_is_asked_of_it(bundles: dict[str, Bundle], kind: str) -> None:
    with bundles[kind].session() as session:
        fork = session.fork() if kind != "plain" else session
    session.close()  # again
    for name, use in USES[kind].items():
        with pytest.raises(UsageError, match="this session is closed") as told:
            use(session)
        assert "bundle.session()" in told.value.help, name
    with pytest.raises(UsageError, match="closed"), session:
        pass
    if kind != "plain":
        with fork:  # it has an arena of its own, and what it shares
            next(iter(USES[kind].values()))(fork)


def test_what_was_seen_of_an_arena_outlives_the_session(bundles: dict[str, Bundle]) -> None:
    session = bundles["plain"].session()
    x = np.ones((1, 5, 4), np.float32)
    session.run({"x": x, "h_in": np.zeros((1, 1, 6), np.float32)})
    seen = session.view("x", "cpu")[0]
    session.close()
    del session
    assert np.array_equal(seen, x[0])


WRONG: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a length that is text": (lambda s: s.truncate("3"), "they cannot be cut to '3'"),
    "half a token": (lambda s: s.truncate(1.5), "they cannot be cut to 1.5"),
    "more than there are": (lambda s: s.truncate(4), "they cannot be cut to 4"),
    "fewer than none": (lambda s: s.truncate(-1), "they cannot be cut to -1"),
    "inputs without names": (lambda s: s.step("decode", [1]), "inputs are a mapping from names to arrays, not list"),
    "no inputs": (lambda s: s.step("decode", None), "inputs are a mapping from names to arrays, not NoneType"),
    "another entry": (lambda s: s.step("decod", {"input_ids": IDS}), "the bundle has no entry 'decod'"),
    "an entry name that is not a string": (lambda s: s.step(["decode"], {"input_ids": IDS}), "the bundle has no entry"),
    "a prompt that is text": (lambda s: s.generate("the cat"), "ids are ids of tokens, whole numbers in a row"),
    "a prompt that is one number": (lambda s: s.generate(3), "ids are ids of tokens, whole numbers in a row"),
    "a prompt of fractions": (lambda s: s.generate([1, 2.5]), "ids are ids of tokens, whole numbers in a row"),
    "half of a limit": (lambda s: s.generate([1], max_tokens=2.5), "max_tokens is 0 or more, not 2.5"),
    "a temperature that is text": (lambda s: s.generate([1], temperature="hot"), "temperature is a number, not 'hot'"),
    "half a seed": (lambda s: s.generate([1], seed=0.5), "seed is a whole number, not 0.5"),
}
OF_DECODER: dict[str, tuple[Callable[[Any], Any], str]] = {
    "rows of two lengths": (lambda s: s.step("decode", {"input_ids": [[1], [2, 3]]}), "input 'input_ids' is no array"),
    "another dtype": (
        lambda s: s.step("decode", {"input_ids": IDS.astype(np.float32)}),
        r"'input_ids' is float32\[1, 3\], the entry takes",
    ),
    "another rank": (lambda s: s.step("decode", {"input_ids": IDS[0]}), r"'input_ids' is int64\[3\], the entry takes"),
    "no token": (lambda s: s.step("decode", {"input_ids": IDS[:, :0]}), "the inputs have 0 tokens"),
    "too many": (lambda s: s.step("decode", {"input_ids": np.ones((1, 25), np.int64)}), "25 more tokens do not fit"),
    "another input": (lambda s: s.step("decode", {"ids": IDS}), "the entry takes no input 'ids'|missing input 'input_ids'"),
    "names that are none": (lambda s: s.step("decode", {3: IDS, "input_ids": IDS}), "the entry takes no input 3"),
}
OF_LINKED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "rows of two lengths": (lambda s: s.step("embed", {"input_ids": [[1], [2, 3]]}), "input 'input_ids' is no array"),
    "another dtype": (lambda s: s.step("embed", {"input_ids": IDS.astype(np.float32)}), "is float32"),
    "a place that is text": (lambda s: s.step("vision", {"patches": PATCHES}, at="0"), "at is a whole number, not '0'"),
    "a place before the first": (lambda s: s.step("vision", {"patches": PATCHES}, at=-1), "rows begin at 0, and 'at' is -1"),
    "another model": (lambda s: s.release("nope"), "the bundle has no entry 'nope'"),
    "nothing was written": (lambda s: s.step("prefill"), "nothing was written there"),
}
CASES = [
    *(("decoder", name) for name in {**WRONG, **OF_DECODER}),
    *(("linked", name) for name in {**WRONG, **OF_LINKED}),
]


@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{kind}: {name}" for kind, name in CASES])
def test_what_is_wrong_is_said_and_the_session_goes_on(used: dict[str, tuple[Any, list[int]]], kind: str, name: str) -> None:
    session, expected = used[kind]
    use, message = {**WRONG, **(OF_DECODER if kind == "decoder" else OF_LINKED)}[name]
    with pytest.raises(UsageError, match=message):
        use(session)
    assert session.length == 0
    assert list(session.generate([1, 2, 3], max_tokens=3)) == expected
    session.reset()


def test_every_name_is_listed_once(bundles: dict[str, Bundle]) -> None:
    with pytest.raises(UsageError) as told:
        bundles["linked"].session().release("zzz")
    names = told.value.help.removeprefix("known: ").split(", ")
    assert len(names) == len(set(names)) and {"vision", "embed", "decoder", "prefill"} <= set(names)


@pytest.mark.parametrize("kind", ["decoder", "linked"])
def test_a_step_that_fails_is_in_the_caches_as_a_whole_or_not_at_all(
    bundles: dict[str, Bundle], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off in the middle of several runs, by a runtime or by whoever waits for it."""
    session, fresh = (bundles[kind].session() for _ in range(2))
    expected, original, runs = list(fresh.generate([1, 2, 3], max_tokens=6)), EntryRun.run, [0]
    for problem in (UserError("the runtime failed"), KeyboardInterrupt()):

        def failing(self: EntryRun, *arguments: Any, problem: BaseException = problem) -> Any:
            runs[0] += 1
            if runs[0] % 5 == 4:
                raise problem
            return original(self, *arguments)

        monkeypatch.setattr(EntryRun, "run", failing)
        with pytest.raises(type(problem)):
            for _ in range(8):
                list(session.generate([1, 2, 3], max_tokens=6))
        monkeypatch.setattr(EntryRun, "run", original)
        session.reset()
        assert list(session.generate([1, 2, 3], max_tokens=6)) == expected
        session.reset()


def test_of_a_decoder_s_several_runs_none_counts_where_one_fails(bundles: dict[str, Bundle], monkeypatch: pytest.MonkeyPatch) -> None:
    session, original, runs = bundles["decoder"].session(), EntryRun.run, [0]

    def failing(self: EntryRun, *arguments: Any) -> Any:
        runs[0] += 1
        if runs[0] == 3:
            raise UserError("the runtime failed")
        return original(self, *arguments)

    monkeypatch.setattr(EntryRun, "run", failing)
    with pytest.raises(UserError, match="the runtime failed"):
        session.step("decode", {"input_ids": IDS})
    assert session.length == 0


@pytest.mark.parametrize("kind", ["decoder", "linked"])
def test_a_text_does_not_go_on_behind_another_one(bundles: dict[str, Bundle], kind: str) -> None:
    """Two texts in one session would mix, and neither would be the model's."""
    session = bundles[kind].session()
    first = session.generate([1, 2, 3], max_tokens=6)
    next(first)
    list(session.generate([4], max_tokens=1))
    with pytest.raises(UsageError, match="the caches held 3 tokens when this text was made, and hold 4 now") as told:
        next(first)
    assert "fork()" in told.value.help
    session.reset()
    second = session.generate([1, 2, 3], max_tokens=6)
    next(second)
    session.reset()
    next(session.generate([4, 5, 6], max_tokens=6))  # as long as the other one
    with pytest.raises(UsageError, match="the caches held 3 tokens when this text was made, and hold others now"):
        next(second)


@pytest.mark.parametrize("kind", KINDS)
def test_threads_that_step_and_close_one_session_end_with_an_answer(bundles: dict[str, Bundle], kind: str) -> None:
    session, use = bundles[kind].session(), next(iter(USES[kind].values()))
    told: list[BaseException] = []

    def stepping() -> None:
        try:
            while True:
                use(session)
                if kind == "decoder":
                    session.reset()
        except BaseException as problem:
            told.append(problem)

    threads = [threading.Thread(target=stepping) for _ in range(3)]
    for thread in threads:
        thread.start()
    use(session) if kind != "decoder" else None
    session.close()
    for thread in threads:
        thread.join(60)
    assert len(told) == 3 and all(isinstance(one, UsageError) and "closed" in one.message for one in told), told
