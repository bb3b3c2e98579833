"""Memory of a model that is released: it falls by what the plan says, nothing that others need is lost, and a step opens it again."""

from __future__ import annotations

import numpy as np
import pytest
from process_memory import private_bytes
from small_agents import LINKS, ROWS, SPEC, Agent

from autoglmc.compiler.driver.entries.compile_entries import Asked
from autoglmc.compiler.driver.entries.compile_models import compile_models
from autoglmc.compiler.driver.entries.result import EntriesResult
from autoglmc.compiler.errors import UsageError
from autoglmc.compiler.state.request import StateRequest

PIXELS = 150_000
"""Numbers of a patch: weights of 19 MB, beside which a process's other memory hardly moves."""
TOLERANCE = 0.15
"""Of what the plan says: pages that the allocator keeps."""
IMAGES = np.random.default_rng(3).standard_normal((2, ROWS, PIXELS)).astype(np.float32)
PROMPT = [1, 2, -1, 3, 4, 5]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> EntriesResult:
    steps = {"prefill": Asked(shapes={}, tokens=16), "decode": Asked(shapes={}, tokens=1)}
    state, place = StateRequest((("past.*", "present.*"),), 64), tmp_path_factory.mktemp("large") / "bundle"
    models = Agent(pixels=PIXELS).models()
    return compile_models(models, "x86_cpu", links=LINKS, entries=steps, state=state, output=place, verify=False)


def test_memory_falls_by_what_the_plan_says(made: EntriesResult) -> None:
    session = made.bundle.session()
    options = {"image_token": -1, "max_tokens": 6}
    expected = list(session.generate(PROMPT, images=IMAGES[:1], **options))
    held = made.results["vision"].predicted.held["dram"]
    alone = held.arena - max(made.results[name].predicted.held["dram"].arena for name in made.results if name != "vision")
    full = private_bytes()
    session.release("vision")
    gone = full - private_bytes()
    assert gone == pytest.approx(held.weights + alone, rel=TOLERANCE) and alone > 1 << 21
    session.reset()
    assert list(session.generate(PROMPT, images=IMAGES[:1], **options)) == expected
    assert any(note.startswith("'vision' was released and opened again, in ") for note in session.notes)
    assert full - private_bytes() < TOLERANCE * gone
    session.reset()
    assert list(session.generate(PROMPT, images=IMAGES[:1], release_encoder=True, **options)) == expected
    assert full - private_bytes() == pytest.approx(gone, rel=TOLERANCE) and "vision" not in session.sessions


def test_what_others_need_stays(made: EntriesResult) -> None:
    """Rows that wait, the caches, and a fork, which keeps what it shares."""
    session, other = made.bundle.session(), made.bundle.session()
    for one in (session, other):
        one.step("embed", {"input_ids": np.array([[1] * 12])})
        one.step("vision", {"patches": IMAGES[0]}, at=2)
    fork = session.fork()
    session.release("vision")
    assert np.array_equal(session.step("prefill")["logits"], other.step("prefill")["logits"])
    session.release("embed-prefill")
    for one in (session, other, fork):
        one.reset()
        one.step("embed", {"input_ids": np.array([[1] * 12])})
        one.step("vision", {"patches": IMAGES[1]}, at=5)
    logits = [one.step("prefill")["logits"] for one in (session, other, fork)]
    assert np.array_equal(logits[0], logits[1]) and np.array_equal(logits[0], logits[2])


def test_the_model_that_keeps_the_caches_stays(made: EntriesResult) -> None:
    session = made.bundle.session()
    for name in ("decoder", "decode"):
        with pytest.raises(UsageError, match=f"'{name}' is of the model that links lead to"):
            session.release(name)
    with pytest.raises(UsageError, match="no entry 'visio'"):
        session.release("visio")
    session.release("vision")
    session.release("vision")
    assert session.emulated == () and len(session.addresses()["inputs_embeds"]) == 1 and SPEC.hidden
