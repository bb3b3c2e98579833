"""Bundles of several models: tokens equal those of the models run by hand, and what one model writes lies where another one reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs
from small_agents import LINKS, PIXELS, ROWS, SPEC, Agent, Chain

from autoglmc.compiler.driver.entries.compile_entries import Asked
from autoglmc.compiler.driver.entries.compile_models import compile_models
from autoglmc.compiler.driver.entries.result import EntriesResult
from autoglmc.compiler.errors import BundleError, UsageError
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.run.decoder.linked import Linked
from autoglmc.compiler.state.request import StateRequest

STEPS = {"prefill": Asked(shapes={}, tokens=16), "decode": Asked(shapes={}, tokens=1)}
STATE = StateRequest((("past.*", "present.*"),), 64)
CLOSE = 1e-4
"""Logits closer than this may change places: some hundred times what rounding does to them here."""
ROUNDED = 0.02
"""The same where the image's rows are computed in fp16."""
DRAW = np.random.default_rng(11)
IMAGES = [DRAW.standard_normal((ROWS, PIXELS)).astype(np.float32) for _ in range(3)]
PROMPT = DRAW.integers(0, SPEC.vocabulary, 14).tolist()


def compiled(agent: Agent, folder: Path, target: str = "x86_cpu", state: StateRequest = STATE) -> EntriesResult:
    models = agent.models()
    return compile_models(models, target, links=LINKS, entries=STEPS, state=state, output=folder / "bundle", emulate=True)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    made = compiled(Agent(), tmp_path_factory.mktemp("agent"))
    assert made.verified, made.verification
    return made.bundle


@pytest.fixture(scope="module")
def chain() -> Chain:
    return Chain(Agent().models())


def ids(tokens: Sequence[int]) -> dict[str, np.ndarray]:
    return {"input_ids": np.array([tokens], np.int64)}


def prompted(session: Linked, prompt: Sequence[int], images: Mapping[int, np.ndarray]) -> np.ndarray:
    assert session.step("embed", ids(prompt)) == {}
    for at, patches in images.items():
        assert session.step("vision", {"patches": patches}, at=at) == {}
    logits: np.ndarray = session.step("prefill")["logits"]
    return logits


def greedy(session: Linked, prompt: Sequence[int], images: Mapping[int, np.ndarray], count: int) -> list[int]:
    logits, found = prompted(session, prompt, images), list[int]()
    while len(found) < count:
        found.append(int(logits[0, -1].argmax()))
        if len(found) < count:
            session.step("embed", ids(found[-1:]))
            logits = session.step("decode")["logits"]
    return found


@pytest.mark.parametrize("places", [(3,), (0,), (8,), (0, 7), ()], ids=str)
def test_tokens_equal_those_of_the_models_by_hand(bundle: Bundle, chain: Chain, places: tuple[int, ...]) -> None:
    session, images = bundle.session(), dict(zip(places, IMAGES, strict=False))
    expected, closest = chain.greedy(PROMPT, images, 30)
    assert closest >= CLOSE, "these models say nothing: choose others"
    for _ in range(2):  # the first run of an entry is another one than those behind it
        session.reset()
        assert greedy(session, PROMPT, images, 30) == expected


def test_the_image_counts(bundle: Bundle) -> None:
    logits = [prompted(bundle.session(), PROMPT, {3: image}) for image in IMAGES[:2]]
    assert np.abs(logits[0][0, -1] - logits[1][0, -1]).max() > 0.01
    assert np.allclose(logits[0][0, :3], logits[1][0, :3], atol=1e-5), "rows in front of the image do not see it"


def test_links_are_written_where_they_are_read(bundle: Bundle) -> None:
    """In the manifest, and at the addresses that runtimes are bound to: nothing is copied, and no output is handed out."""
    manifest, session = bundle.manifest, bundle.session()
    assert [(link.model, link.label, link.copied, link.reason) for link in manifest.links] == [
        ("vision", "image", 0, ""),
        ("embed", "", 0, ""),
    ]
    begin = manifest.links[0].offset
    kept = sum(state.bytes for state in manifest.states)
    assert begin >= kept and manifest.links[0].bytes == 16 * SPEC.hidden * 4
    row = SPEC.hidden * 4
    assert session.addresses() == {"inputs_embeds": (session.sessions["prefill"].base + begin,)}
    session.step("embed", ids(PROMPT))
    session.step("vision", {"patches": IMAGES[0]}, at=5)
    address = session.sessions["prefill"].base + begin
    (moved,) = session._models.each._moved.values()
    written = moved.session.generations[0].slots
    assert [slot.address for slot in written if slot.name == "features"] == [address + 5 * row]
    view = session.sessions["prefill"].view("inputs_embeds", "cpu")
    alone = bundle.entry("vision").run({"patches": IMAGES[0]})["features"]
    assert np.array_equal(view[0, 5 : 5 + ROWS], alone)
    assert session.filled == {"inputs_embeds": len(PROMPT)}


def test_weights_of_all_models_are_there_once(bundle: Bundle) -> None:
    sizes = sum(tensor.ByteSize() for model in Agent().models().values() for tensor in model.graph.initializer)
    assert bundle.manifest.files["segments/weights.bin"].size < 1.15 * sizes


def test_rows_given_by_hand_are_the_same_step(bundle: Bundle) -> None:
    linked, by_hand = bundle.session(), bundle.session()
    logits = prompted(linked, PROMPT, {2: IMAGES[0]})
    table = bundle.entry("embed-prefill").run({"input_ids": np.array([PROMPT + [0] * (16 - len(PROMPT))])})["inputs_embeds"]
    rows = table[:, : len(PROMPT)].copy()
    rows[0, 2 : 2 + ROWS] = bundle.entry("vision").run({"patches": IMAGES[0]})["features"]
    assert np.array_equal(by_hand.step("prefill", {"inputs_embeds": rows})["logits"], logits)


def test_a_long_prompt_comes_in_pieces(bundle: Bundle, chain: Chain) -> None:
    prompt = np.random.default_rng(2).integers(0, SPEC.vocabulary, 40).tolist()
    session = bundle.session()
    expected, closest = chain.greedy(prompt, {17: IMAGES[0]}, 8)
    for begin, end in ((0, 16), (16, 30), (30, 40)):
        logits = prompted(session, prompt[begin:end], {17 - begin: IMAGES[0]} if begin == 16 else {})
    found = [int(logits[0, -1].argmax())]
    while len(found) < 8:
        session.step("embed", ids(found[-1:]))
        found.append(int(session.step("decoder")["logits"][0, -1].argmax()))
    assert closest >= CLOSE and found == expected


def test_sessions_and_forks_do_not_mix(bundle: Bundle) -> None:
    first, second = bundle.session(), bundle.session()
    prompted(first, PROMPT, {3: IMAGES[0]})
    prompted(second, PROMPT, {3: IMAGES[1]})
    first.step("embed", ids([7]))
    fork = first.fork()
    second.step("embed", ids([7]))
    got = [session.step("decode")["logits"] for session in (first, second, fork)]
    assert np.array_equal(got[0], got[2]) and np.abs(got[0] - got[1]).max() > 1e-3
    assert first.length == fork.length == len(PROMPT) + 1
    first.step("embed", ids([9]))
    fork.step("embed", ids([8]))
    assert np.abs(first.step("decode")["logits"] - fork.step("decode")["logits"]).max() > 1e-3


def refused(session: Linked, *words: object, at: int | None = None, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        session.step(*words, at=at)  # type: ignore[arg-type]


def test_what_cannot_be_is_refused_and_changes_nothing(bundle: Bundle) -> None:
    session, image = bundle.session(), {"patches": IMAGES[0]}
    refused(session, "prefil", match="no entry 'prefil'")
    refused(session, "prefill", match="nothing was written there since it was last read")
    refused(session, "vision", image, match="where the rows of 'image' begin is not said")
    refused(session, "vision", image, at=2, match="'image' takes rows 2 to 7 of 'inputs_embeds', and 0 rows are filled")
    refused(session, "embed", ids(PROMPT), at=1, match="it writes no rows that a step places")
    refused(session, "embed", ids(range(17)), match="'embed' takes 16 tokens at once at most, these are 17")
    refused(session, "embed", {"input_ids": np.zeros((1, 3), np.int32)}, match=r"int32\[1, 3\], 'embed-prefill' takes int64")
    refused(session, "embed", {}, match="missing input")
    session.step("embed", ids(PROMPT))
    refused(session, "decode", match="'decode' takes 1 token at once, and 14 are there")
    refused(session, "prefill", at=2, match="reads rows from the first one on")
    refused(session, "vision", image, at=9, match="'image' takes rows 9 to 14 of 'inputs_embeds', and 14 rows are filled")
    refused(session, "vision", image, at=-1, match="rows begin at 0")
    refused(session, "vision", {"patches": IMAGES[0][:3]}, at=2, match="takes float32")
    session.step("vision", image, at=3)
    refused(session, "vision", image, at=5, match="'image' would write over rows 3 to 8 of 'inputs_embeds', which 'vision' wrote")
    refused(
        session, "embed", ids(PROMPT), match="would write over rows 3 to 8 of 'inputs_embeds', which 'vision' wrote and no step has read"
    )
    whole = session.step("prefill")["logits"]
    assert np.array_equal(whole, prompted(bundle.session(), PROMPT, {3: IMAGES[0]}))
    session.step("embed", ids(PROMPT))
    session.reset()
    refused(session, "prefill", match="nothing was written there")
    for _ in range(5):
        prompted(session, [1] * 12, {})
    session.step("embed", ids([1] * 3))
    refused(session, "prefill", match="'prefill' takes 16 tokens at once, and 3 are there, with 4 places left in the caches")
    session.step("embed", ids([1]))
    session.step("decode")
    assert (session.length, session.room) == (61, 3)


def test_an_encoder_on_another_device_writes_there_too(tmp_path: Path) -> None:
    """Each entry is on the device that suits it; the CPU stands in for the NPU where its runtime is not installed."""
    agent = Agent(spec=replace(SPEC, layers=1, width=32), rows=64, pixels=1176, merged=4)
    models, entries = agent.models(), {"prefill": Asked(shapes={}, tokens=72), "decode": Asked(shapes={}, tokens=1)}
    state, place = replace(STATE, length=128), tmp_path / "bundle"
    made = compile_models(
        models, "snapdragon_8gen3", links=LINKS, entries=entries, state=state, output=place, verify=False, emulate=True
    ).bundle
    devices = {name: [segment.device for segment in made.entry(name).manifest.segments] for name in ("vision", "decode")}
    assert devices == {"vision": ["npu"], "decode": ["cpu"]}
    assert [link.copied for link in made.manifest.links] == [0, 0]
    session, draw = made.session(emulate=True), np.random.default_rng(1)
    patches, prompt = draw.standard_normal((256, 1176)).astype(np.float32), draw.integers(0, SPEC.vocabulary, 70).tolist()
    expected, closest = Chain(models).greedy(prompt, {4: patches}, 12)
    here = not session.emulated
    assert greedy(session, prompt, {4: patches}, 12) == expected or closest < (ROUNDED if here else CLOSE)
    assert session.emulated in ((), ("vision: 0 (npu)",)) and not session.sessions["vision"].copied


def test_positions_may_be_given(tmp_path: Path) -> None:
    """An image's tokens have positions of their own: here all have the same one, and the mask still goes by the order of the rows."""
    agent, state = Agent(), StateRequest((("past.*", "present.*"),), 64, ("position_ids",))
    made = compiled(agent, tmp_path, state=state)
    assert made.verified, made.verification
    session, plain = made.bundle.session(), np.arange(len(PROMPT))[None]
    session.step("embed", ids(PROMPT))
    session.step("vision", {"patches": IMAGES[0]}, at=3)
    usual = session.step("prefill", {"position_ids": plain})["logits"]
    expected, closest = Chain(agent.models()).greedy(PROMPT, {3: IMAGES[0]}, 1)
    assert closest >= CLOSE and int(usual[0, -1].argmax()) == expected[0]
    session.reset()
    session.step("embed", ids(PROMPT))
    session.step("vision", {"patches": IMAGES[0]}, at=3)
    turned = session.step("prefill", {"position_ids": np.where((plain >= 3) & (plain < 9), 3, plain)})["logits"]
    assert np.allclose(turned[0, :4], usual[0, :4], atol=1e-5) and np.abs(turned - usual).max() > 1e-3
    session.step("embed", ids([5]))
    refused(session, "decode", match="missing input 'position_ids'")


def test_a_session_refuses_another_address(bundle: Bundle) -> None:
    """A model bound elsewhere would write where nobody reads."""
    view = bundle.manifest.entries[2].plan
    assert view is not None
    slots = tuple(structs.replace(slot, offset=0) if slot.tensor == "features" else slot for slot in view.arena.slots)
    plan = structs.replace(view, arena=structs.replace(view.arena, slots=slots))
    entries = tuple(structs.replace(entry, plan=plan) if k == 2 else entry for k, entry in enumerate(bundle.manifest.entries))
    with pytest.raises(BundleError, match="'inputs_embeds' is not bound to the one address that it is read from"):
        Linked(bundle.folder, structs.replace(bundle.manifest, entries=entries))
