"""Decoders with states that every step replaces, beside caches that grow: tokens equal those of a growing cache however a prompt is cut,
and whatever would need a state of before is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from decoder_forms import SPEC
from growing_cache import GrowingCache
from hybrid_decoders import SHAPES, hybrid

from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
from autoglmc.compiler.driver.entries.result import EntriesResult
from autoglmc.compiler.errors import ModelError, UsageError, UserError
from autoglmc.compiler.state.request import StateRequest

STATE = StateRequest((("past.*", "present.*"),), 64)


def compiled(folder: Path, prefill: int = 8, **options: object) -> EntriesResult:
    entries = {"prefill": Asked(shapes={}, tokens=prefill), "decode": Asked(shapes={}, tokens=1)}
    return compile_entries(hybrid(), "x86_cpu", entries, state=STATE, output=folder / "bundle", **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> EntriesResult:
    return compiled(tmp_path_factory.mktemp("hybrid"))


def test_tokens_equal_those_of_a_growing_cache(made: EntriesResult) -> None:
    assert made.verified, made.verification
    assert [state.length for state in made.manifest.states] == [64, 64, 0, 0]
    session = made.bundle.session()
    reference = GrowingCache(hybrid())
    for length in (1, 7, 8, 9, 20):
        prompt = np.random.default_rng(length).integers(0, SPEC.vocabulary, length).tolist()
        expected, _ = reference.greedy(prompt, 20)
        session.reset()
        session.poison()
        assert list(session.generate(prompt, max_tokens=20)) == expected


def test_steps_of_any_number_of_tokens_leave_the_states_of_all_of_them(made: EntriesResult) -> None:
    model, session = hybrid(), made.bundle.session()
    growing = GrowingCache(model)
    for number in (3, 9, 1, 17):
        ids = [(5 * session.length + k) % SPEC.vocabulary for k in range(number)]
        got = session.step("prefill", {"input_ids": np.array([ids])})["logits"][0]
        assert np.allclose(got, growing.step(ids), atol=1e-4)
        session.poison()


def test_a_fork_goes_on_by_itself_and_a_reset_forgets(made: EntriesResult) -> None:
    session = made.bundle.session()
    first = session.step("prefill", {"input_ids": np.array([[3, 1, 4, 1, 5]])})["logits"]
    fork = session.fork()
    other = session.step("decode", {"input_ids": np.array([[9]])})["logits"]
    session.step("decode", {"input_ids": np.array([[2]])})
    assert np.array_equal(fork.step("decode", {"input_ids": np.array([[9]])})["logits"], other)
    session.reset()
    assert np.array_equal(session.step("prefill", {"input_ids": np.array([[3, 1, 4, 1, 5]])})["logits"], first)


def test_what_a_state_was_before_is_gone(made: EntriesResult) -> None:
    session = made.bundle.session()
    session.step("prefill", {"input_ids": np.array([[3, 1, 4, 1, 5]])})
    with pytest.raises(UsageError, match="the states are those behind 5 tokens: what they were behind 2 is gone"):
        session.truncate(2)
    session.truncate(5)
    session.step("decode", {"input_ids": np.array([[9]])})


def test_a_state_that_changes_its_shape_is_refused(tmp_path: Path) -> None:
    model = hybrid(["conv"])
    cut = next(node for node in model.graph.node if node.output[0] == "present.conv")
    begin = next(one for one in model.graph.initializer if one.name == cut.input[1])
    begin.raw_data = np.array([-3], np.int64).tobytes()
    model.graph.output[-1].type.tensor_type.shape.dim[2].dim_param = "any"
    entries = {"decode": Asked(shapes={}, tokens=1)}
    with pytest.raises(ModelError, match=r"the state 'past.conv' is \[1, 64, 2\] and goes out as 'present.conv', \[1, 64, 3\]"):
        compile_entries(model, "x86_cpu", entries, state=STATE, output=tmp_path / "bundle")


def test_an_entry_of_one_token_is_needed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"replaces the state 'past.conv', and no entry takes a single token") as failure:
        compile_entries(hybrid(), "x86_cpu", {"prefill": Asked(shapes={}, tokens=8)}, state=STATE, output=tmp_path / "bundle")
    assert failure.value.help == "add --bucket decode=1"


def test_states_alone_need_no_length(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none of the caches grows: past.conv, past.gru"):
        compile_entries(
            hybrid(),
            "x86_cpu",
            {"decode": Asked(shapes={}, tokens=1)},
            state=StateRequest(tuple((f"past.{name}", f"present.{name}") for name in SHAPES), 64),
            output=tmp_path / "bundle",
        )
