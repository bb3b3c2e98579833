"""Models that take turns in memory: where a budget asks for it, the plan gives an encoder back before the decoder runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import structs
from process_memory import private_bytes
from small_agents import LINKS, ROWS, SPEC, Agent

from autoglmc.compiler.bundle.manifest import Manifest
from autoglmc.compiler.driver.entries.compile_entries import Asked
from autoglmc.compiler.driver.entries.compile_models import compile_models
from autoglmc.compiler.driver.entries.result import EntriesResult
from autoglmc.compiler.driver.entries.whole_limits import turns, whole_memory, with_whole_limits
from autoglmc.compiler.errors import BundleError, Infeasible, UsageError
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.load.source import source_of
from autoglmc.compiler.plan.predict import Predictions
from autoglmc.compiler.run.check.check_entries import check_entries
from autoglmc.compiler.run.decoder.linked import Linked
from autoglmc.compiler.run.verify_entries import verify_links
from autoglmc.compiler.state.request import StateRequest
from autoglmc.targets.model import Target

LARGE = Agent(spec=replace(SPEC, heads=16, width=32, vocabulary=4096), pixels=8000)
"""An encoder of 17 MB and a decoder of 14, beside which a process's other memory hardly moves."""
IMAGES = np.random.default_rng(3).standard_normal((2, ROWS, LARGE.pixels)).astype(np.float32)
PROMPT = [1, 2, -1, 3, 4, 5]
TURNS = (("vision", "embed"), ("decoder", "embed"))
GIVEN: dict[str, Any] = {"image_token": -1, "max_tokens": 6}


def within(budget: int) -> Target:
    target = load_target("x86_cpu")
    return replace(target, memories=tuple(replace(memory, budget=budget) for memory in target.memories))


def joined(folder: Path, target: Target, agent: Agent = LARGE, **options: Any) -> EntriesResult:
    steps = {"prefill": Asked(shapes={}, tokens=16), "decode": Asked(shapes={}, tokens=1)}
    common: dict[str, Any] = {"links": LINKS, "entries": steps, "state": StateRequest((("past.*", "present.*"),), 64), "verify": False}
    return compile_models(agent.models(), target, output=folder / "bundle", **{**common, **options})


def budget_of(made: EntriesResult) -> int:
    """Bytes that the plan takes of the one memory."""
    return int(next(limit.value or 0 for limit in made.manifest.limits if limit.kind == "budget"))


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> EntriesResult:
    return joined(tmp_path_factory.mktemp("whole"), load_target("x86_cpu"))


@pytest.fixture(scope="module")
def least(at_once: EntriesResult) -> int:
    """Bytes of the phase that takes most."""
    return max(predicted(at_once, names).held["dram"].total for names in TURNS)


@pytest.fixture(scope="module")
def in_turn(at_once: EntriesResult, least: int) -> Manifest:
    return with_whole_limits(at_once.manifest, at_once.results, within(least))


@pytest.fixture
def session(at_once: EntriesResult, in_turn: Manifest) -> Linked:
    return Linked(at_once.folder, in_turn)


def predicted(made: EntriesResult, models: Sequence[str]) -> Predictions:
    names = {entry.name: entry.model or "" for entry in made.manifest.entries}
    return whole_memory(made.results, names, load_target("x86_cpu"), models)


def test_the_bundle_says_who_takes_turns(at_once: EntriesResult, in_turn: Manifest, least: int) -> None:
    assert at_once.manifest.phases is None and at_once.as_json()["phases"] is None
    phases, (limit, *_) = in_turn.phases, in_turn.limits
    assert phases is not None and (limit.kind, limit.value, limit.margin) == ("budget", least, 0)
    assert all(one.plan.limits[0].value == least for one in in_turn.entries if one.plan is not None)
    assert phases.at_once == {"dram": budget_of(at_once)} and least < 0.7 * budget_of(at_once)
    assert [phase.model for phase in phases.each] == ["vision", "decoder"]
    assert max(phase.running["dram"] for phase in phases.each) == least
    assert all(phase.loading["dram"] > phase.running["dram"] // 2 for phase in phases.each)


@settings(max_examples=20)
@given(share=st.floats(0.2, 1.2))
@example(share=1.0)
@example(share=0.95)
def test_the_budget_decides(at_once: EntriesResult, least: int, share: float) -> None:
    """All at once as long as they fit; then in turn, down to the most that one phase takes; what is less is refused with that number."""
    for whole in (budget_of(at_once), least):
        budget = int(whole * share)
        if budget < least:
            with pytest.raises(Infeasible) as failure:
                with_whole_limits(at_once.manifest, at_once.results, within(budget))
            said = "with models in memory one after the other (vision, decoder): budget dram: predicted"
            assert failure.value.message.startswith(said)
            assert failure.value.demand == least and f"takes {least:,} B" in failure.value.help
        else:
            made = with_whole_limits(at_once.manifest, at_once.results, within(budget))
            assert (made.phases is None) == (budget >= budget_of(at_once)) and made.limits[0].margin == budget - (
                made.limits[0].value or 0
            ) >= 0


def test_a_phase_holds_no_more_than_all_models(at_once: EntriesResult) -> None:
    """Term by term; and weights in a memory that holds nothing else are there at any time."""
    assert turns(at_once.manifest.links, ("decoder", "vision", "embed")) == TURNS
    (placed, whole_rows), models = at_once.manifest.links, ("decoder", "vision", "embed")
    assert not turns([whole_rows], ("decoder", "embed"))
    assert not turns([placed, structs.replace(whole_rows, model="vision"), whole_rows], models), "it is needed for every token, too"
    heard = structs.replace(placed, model="sound")
    assert turns([placed, heard, whole_rows], (*models, "sound")) == (
        ("vision", "embed"), ("sound", "embed"), ("decoder", "embed"),
    )  # fmt: skip
    whole = predicted(at_once, ("vision", "embed", "decoder")).held["dram"]
    for names in TURNS:
        held = predicted(at_once, names).held["dram"]
        assert held.weights < whole.weights and held.total < whole.total
        assert held.arena <= whole.arena and held.working <= whole.working
    results = {k: replace(one, predicted=replace(one.predicted, stores=frozenset({"dram"}))) for k, one in at_once.results.items()}
    assert predicted(replace(at_once, results=results), TURNS[0]).held["dram"] == whole


def test_tokens_are_the_same_and_an_image_opens_the_encoder_again(at_once: EntriesResult, session: Linked) -> None:
    """Also behind what is in the caches: those stay where they are while the decoder is closed."""
    one, other = at_once.bundle.session(), session
    assert not other.sessions and set(one.sessions) == set(at_once.results)
    for images, prompt in ((IMAGES[:1], PROMPT), (IMAGES[1:], PROMPT), ((), [7, 8])):
        expected = list(one.generate(prompt, images=images, **GIVEN))
        assert list(other.generate(prompt, images=images, **GIVEN)) == expected
        assert "vision" not in other.sessions and {"prefill", "decode"} <= set(other.sessions)
    assert one.length == other.length
    assert any(note.startswith("'prefill' was released and opened again, in ") for note in other.notes)


def stepped(session: Linked, image: np.ndarray, after: Callable[[str], None] = lambda entry: None) -> np.ndarray:
    """Logits of a prompt of 12 tokens with an image in it, and of one token behind it."""
    session.reset()
    session.step("embed", {"input_ids": np.array([[1] * 12])})
    session.step("vision", {"patches": image}, at=2)
    after("vision")
    logits = [session.step("prefill")["logits"]]
    session.step("embed", {"input_ids": np.array([[3]])})
    logits.append(session.step("decode")["logits"])
    after("decoder")
    return np.concatenate(logits, axis=1)


def test_what_is_held_falls_by_what_the_plan_says(at_once: EntriesResult, session: Linked) -> None:
    """Private memory once an image was seen and once a token was made, beside that of a session that has everything open."""

    def held_after(opened: Linked) -> dict[str, int]:
        found: dict[str, int] = {}
        for image in (*IMAGES, IMAGES[0]):  # the first runs hold more for a moment
            stepped(opened, image, lambda model: found.update({model: private_bytes()}))
        return found

    begun = private_bytes()
    first = at_once.bundle.session()
    whole = {name: held - begun for name, held in held_after(first).items()}
    assert np.array_equal(stepped(first, IMAGES[0]), stepped(Linked(at_once.folder, session.manifest), IMAGES[0]))
    first.release("vision")
    del first
    begun = private_bytes()
    parts = {name: held - begun for name, held in held_after(session).items()}
    weights = {
        model: at_once.results[entry].predicted.held["dram"].weights for model, entry in (("vision", "vision"), ("decoder", "decode"))
    }
    assert whole["decoder"] - parts["decoder"] > 0.8 * weights["vision"]
    assert whole["vision"] - parts["vision"] > 0.8 * weights["decoder"]


def test_a_fork_keeps_what_it_has_open(session: Linked) -> None:
    """Memory holds one of the two models: while a fork has the decoder, no session of its family sees an image."""
    expected, again = stepped(session, IMAGES[0]), {"input_ids": np.array([[3] * 12])}
    fork = session.fork()
    for one in (session, fork):
        one.step("embed", again)
        with pytest.raises(UsageError, match=r"'vision' cannot be opened: a fork of this session has '(decode|prefill)' open"):
            one.step("vision", {"patches": IMAGES[1]}, at=2)
    assert np.array_equal(session.step("prefill")["logits"], fork.step("prefill")["logits"])
    fork.release("decoder")
    assert np.array_equal(stepped(session, IMAGES[0]), expected) and not {"prefill", "decode"} & set(fork.sessions)
    fork.reset()
    assert np.array_equal(fork.cached()["present.0.k"], session.cached()["present.0.k"][:, :, :0])


def test_what_is_refused_opens_nothing(session: Linked) -> None:
    stepped(session, IMAGES[0])
    before = dict(session.sessions)
    refused: Sequence[tuple[str, dict[str, Any], int | None]] = [
        ("vision", {"patches": IMAGES[0]}, 2),  # no rows are there
        ("vision", {"patches": IMAGES[0]}, None),
        ("prefill", {}, None),
    ]
    for name, inputs, at in refused:
        with pytest.raises(UsageError):
            session.step(name, inputs, at=at)
        assert session.sessions == before


def test_the_models_together_are_verified_in_turn(tmp_path: Path) -> None:
    small = Agent()
    made = joined(tmp_path, load_target("x86_cpu"), small)
    budget = max(predicted(made, names).held["dram"].total for names in TURNS)
    manifest = with_whole_limits(made.manifest, made.results, within(budget))
    sources = {name: source_of(model) for name, model in small.models().items()}
    report = verify_links(sources, made.folder, manifest, emulate=False, tell=lambda said: None)
    assert report.verified and len(report.segments) == len(manifest.entries) and manifest.phases is not None, report.reason


def phases_with(manifest: Manifest, *models: str) -> Manifest:
    assert manifest.phases is not None
    one = manifest.phases.each[0]
    each = tuple(structs.replace(one, model=model) for model in models)
    return structs.replace(manifest, phases=structs.replace(manifest.phases, each=each))


@pytest.mark.parametrize(
    ("models", "said"),
    [
        (("visio", "decoder"), "phases: 'visio' is none of the models"),
        (("vision", "vision"), "phases: a model is in two of them"),
        (("decoder", "vision"), "phases: the last one is of 'vision', and links lead to 'decoder'"),
    ],
)
def test_phases_that_contradict_the_entries_are_refused(in_turn: Manifest, models: tuple[str, ...], said: str) -> None:
    check_entries(in_turn, "")
    with pytest.raises(BundleError) as failure:
        check_entries(phases_with(in_turn, *models), "here")
    assert said in failure.value.message
