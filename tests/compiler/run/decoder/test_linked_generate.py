"""Text of a bundle of several models: the tokens of the models run by hand, wherever images are and however the prompt is cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_agents import LINKS, PIXELS, ROWS, SPEC, Agent, Chain

from autoglmc.compiler.driver.entries.compile_entries import Asked
from autoglmc.compiler.driver.entries.compile_models import compile_models
from autoglmc.compiler.errors import UsageError
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.state.request import StateRequest

STEPS = {"prefill": Asked(shapes={}, tokens=16), "decode": Asked(shapes={}, tokens=1)}
STATE = StateRequest((("past.*", "present.*"),), 64)
CLOSE = 1e-4
"""Logits closer than this may change places: some hundred times what rounding does to them here."""
TOKEN = 777
"""A placeholder that the table of words does not have."""
DRAW = np.random.default_rng(12)
IMAGES = [DRAW.standard_normal((ROWS, PIXELS)).astype(np.float32) for _ in range(3)]


def compiled(agent: Agent, folder: Path, state: StateRequest = STATE) -> Bundle:
    models, place = agent.models(), folder / "bundle"
    return compile_models(models, "x86_cpu", links=LINKS, entries=STEPS, state=state, output=place, verify=False).bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return compiled(Agent(), tmp_path_factory.mktemp("agent"))


@pytest.fixture(scope="module")
def chain() -> Chain:
    return Chain(Agent().models())


def prompt_of(length: int, places: Sequence[int]) -> tuple[list[int], list[int]]:
    """Ids for the models by hand, and the same with one placeholder for each image."""
    ids, given = np.random.default_rng(length).integers(0, SPEC.vocabulary, length).tolist(), []
    for k, token in enumerate(ids):
        if k in places:
            given.append(TOKEN)
        elif not any(place < k < place + ROWS for place in places):
            given.append(token)
    return ids, given


@pytest.mark.parametrize(
    ("length", "places"), [(14, (3,)), (40, (13, 28)), (40, (10, 16, 34)), (21, ()), (59, (45, 51)), (20, (14,))], ids=str
)
def test_tokens_equal_those_of_the_models_by_hand(bundle: Bundle, chain: Chain, length: int, places: tuple[int, ...]) -> None:
    """Images across where a prompt would be cut, side by side, and where the caches end before a whole run does."""
    (ids, given), images = prompt_of(length, places), IMAGES[: len(places)]
    expected, closest = chain.greedy(ids, dict(zip(places, images, strict=True)), 6)
    assert closest >= CLOSE, "these models say nothing: choose others"
    session = bundle.session()
    for _ in range(2):  # the first run of an entry is another one than those behind it
        session.reset()
        session.poison()
        made = session.generate(given, images=images, image_token=TOKEN, max_tokens=6)
        assert list(made) == expected and session.length == length + 5
    assert [link.copied for link in bundle.manifest.links] == [0, 0] and len(session.addresses()["inputs_embeds"]) == 1


def test_logits_of_the_last_token_alone(tmp_path: Path) -> None:
    """Runs are not filled up there: a prompt is cut so that an image lies in a full one."""
    agent = Agent(spec=replace(SPEC, last=True))
    session, (ids, given) = compiled(agent, tmp_path).session(), prompt_of(23, (11,))
    expected, closest = Chain(agent.models()).greedy(ids, {11: IMAGES[0]}, 5)
    assert not session.fills_up and closest >= CLOSE
    assert list(session.generate(given, images=[{"patches": IMAGES[0]}], image_token=TOKEN, max_tokens=5)) == expected


def test_drawn_tokens_and_a_text_that_goes_on(bundle: Bundle) -> None:
    """Sampling is that of a decoder; what follows may have images of its own."""
    given = prompt_of(14, (3,))[1]
    options: dict[str, Any] = {"images": IMAGES[:1], "image_token": TOKEN, "max_tokens": 8, "temperature": 2.0}
    drawn = [list(bundle.session().generate(given, seed=seed, **options)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    session, other = bundle.session(), bundle.session()
    list(session.generate(given, images=IMAGES[:1], image_token=TOKEN, max_tokens=1))
    second = list(session.generate([5, TOKEN, 6], images=IMAGES[1:2], image_token=TOKEN, max_tokens=4))
    whole = other.generate([*given, 5, TOKEN, 6], images=IMAGES[:2], image_token=TOKEN, max_tokens=4)
    assert second == list(whole) and session.length == other.length


@pytest.mark.parametrize(
    ("ids", "options", "said"),
    [
        ([], {}, "an empty prompt"),
        ([1, 99], {}, "the tokens 0 to 31, and the prompt has 99"),
        ([1, TOKEN], {}, "the prompt has 777"),
        ([1, 2], {"images": IMAGES[:1], "image_token": TOKEN}, "the prompt has 0 image tokens .* for 1 image of 6 rows"),
        ([1, TOKEN], {"images": IMAGES[:2], "image_token": TOKEN}, "1 image token .* for 2 images"),
        ([1, TOKEN], {"images": IMAGES[:1]}, "which token holds the places of an image"),
        (
            [1] * 50 + [TOKEN] * 2,
            {"images": IMAGES[:2], "image_token": TOKEN, "max_tokens": 2},
            "a prompt of 62 tokens .* hold 64, of which 4",
        ),
        ([TOKEN], {"images": [IMAGES[0][:3]], "image_token": TOKEN}, r"image 0: input 'patches' is float32\[3, 20\]"),
        ([TOKEN], {"images": [{"patch": IMAGES[0]}], "image_token": TOKEN}, "image 0: the model has no input 'patch'"),
        ([1], {"top_p": 0.0}, "top_p"),
        ([1], {"max_tokens": -1}, "max_tokens"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(bundle: Bundle, ids: list[int], options: dict[str, Any], said: str) -> None:
    session = bundle.session()
    list(session.generate([1, 2, 3], max_tokens=2))
    with pytest.raises(UsageError, match=said):
        session.generate(ids, **options)
    assert session.length == 4 and len(list(session.generate([1], max_tokens=3))) == 3


def test_a_prompt_that_fails_leaves_the_caches(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of it, with an image placed that nothing has read: the session goes on as if it had not begun."""
    given, session = prompt_of(40, (20,))[1], bundle.session()
    options: dict[str, Any] = {"images": IMAGES[:1], "image_token": TOKEN, "max_tokens": 4}
    expected, step = list(session.generate(given, **options)), type(session).step
    session.reset()

    def interrupted(self: Any, name: str, *arguments: Any, **named: Any) -> Any:
        if name == "prefill" and self.length:
            raise KeyboardInterrupt
        return step(self, name, *arguments, **named)

    monkeypatch.setattr(type(session), "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(session.generate(given, **options))
    monkeypatch.undo()
    assert session.length == 0 and session.filled == {"inputs_embeds": 0}
    assert list(session.generate(given, **options)) == expected


def test_rows_that_wait_are_not_lost(bundle: Bundle) -> None:
    session = bundle.session()
    session.step("embed", {"input_ids": np.array([[1, 2, 3]])})
    with pytest.raises(UsageError, match="rows of 'inputs_embeds' were written that no step has read"):
        session.generate([1])
    session.forget()
    assert len(list(session.generate([1], max_tokens=2))) == 2


def test_positions_that_are_given_are_refused(tmp_path: Path) -> None:
    state = StateRequest((("past.*", "present.*"),), 64, ("position_ids",))
    session = compiled(Agent(), tmp_path, state).session()
    with pytest.raises(UsageError, match="tokens alone do not make the input 'position_ids' of 'decoder'"):
        session.generate([1])


def test_of_two_models_that_place_rows_text_alone_is_made(tmp_path: Path, bundle: Bundle) -> None:
    """Which of them an image is for is not known: it is refused, and can be stepped by hand."""
    models = {**Agent().models(), "sound": Agent(pixels=12).models()["vision"]}
    links = [*LINKS, "sound.features=decoder.inputs_embeds@sound"]
    made = compile_models(models, "x86_cpu", links=links, entries=STEPS, state=STATE, output=tmp_path / "two", verify=False).bundle
    ids, session = [5, 9, 2, 7, 7, 7, 7, 7, 7, 1], made.session()
    assert list(session.generate(ids, max_tokens=6)) == list(bundle.session().generate(ids, max_tokens=6))
    for options in ({"images": IMAGES[:1], "image_token": 7}, {"images": IMAGES[:1]}):
        with pytest.raises(UsageError, match="it cannot be told which entry sees an image: sound and vision place rows"):
            made.session().generate(ids, **options)
    session.reset()
    session.step("embed", {"input_ids": np.array([[*ids, *ids[:6]]])})
    session.step("vision", {"patches": IMAGES[0]}, at=3)
    session.step("sound", {"patches": DRAW.standard_normal((ROWS, 12)).astype(np.float32)}, at=10)
    assert session.step("prefill")["logits"].shape[1] == 16
