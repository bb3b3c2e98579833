"""Several models in one bundle: what cannot be joined is refused with what could be, memory is planned for all of them, and a manifest
whose links contradict its entries is not loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from msgspec import structs
from onnx import TensorProto, helper, numpy_helper
from small_agents import LINKS, PIXELS, ROWS, SPEC, Agent, Chain
from small_models import parse

from autoglmc.compiler import cli
from autoglmc.compiler.bundle.entries import of_model
from autoglmc.compiler.bundle.manifest import Manifest
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
from autoglmc.compiler.driver.entries.compile_models import compile_models
from autoglmc.compiler.driver.entries.result import EntriesResult
from autoglmc.compiler.driver.entries.whole_limits import whole_memory, with_whole_limits
from autoglmc.compiler.errors import BundleError, Infeasible, UserError, VerifyError
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.run.check.check_entries import check_entries
from autoglmc.compiler.state.request import StateRequest
from autoglmc.targets.model import Target

STEPS = {"prefill": Asked(shapes={}, tokens=8), "decode": Asked(shapes={}, tokens=1)}
STATE = StateRequest((("past.*", "present.*"),), 32)
SMALL = replace(SPEC, layers=1)
AGENT = Agent(spec=SMALL)
CLOSE = 1e-4


def joined(folder: Path, agent: Agent = AGENT, target: str | Target = "x86_cpu", **options: Any) -> EntriesResult:
    given: dict[str, Any] = {"links": LINKS, "entries": STEPS, "state": STATE, "verify": False, **options}
    return compile_models(agent.models(), target, output=folder / "bundle", **given)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> EntriesResult:
    return joined(tmp_path_factory.mktemp("agent"))


@pytest.mark.parametrize(
    ("links", "said", "advice"),
    [
        (["visio.features=decoder.inputs_embeds"], "there is no model 'visio'", "did you mean 'vision'"),
        (["vision.feature=decoder.inputs_embeds"], "'vision' has no output 'feature'", "did you mean 'features'"),
        (["vision.features=decoder.embeds@image"], "'decoder' has no input 'embeds'", "inputs_embeds"),
        (["vision.features=decoder.inputs_embeds@"], "does not say what the rows are called", "@ROWS"),
        (["vision.features"], "cannot read --link 'vision.features'", "MODEL.OUTPUT=MODEL.INPUT"),
        (["vision.features=vision.patches"], "leads from a model to itself", "--state"),
        (["vision.features=decoder.inputs_embeds", LINKS[1]], "both write all of 'inputs_embeds'", "@ROWS"),
        ([LINKS[0], "vision.features=decoder.inputs_embeds@again"], "one step of 'vision' would write 'inputs_embeds' twice", "one of"),
        ([LINKS[0], "decoder.logits=embed.input_ids"], "links lead to several models: decoder, embed", "link all outputs to one of them"),
        (["embed.inputs_embeds=vision.patches"], "leads to 'vision', and --state is about 'decoder'", "that keeps states"),
        ([], "nothing joins the models vision, embed, decoder", "--link"),
        (["embed.inputs_embeds=decoder.past.0.k"], "'past.0.k' of 'decoder' is a state", ""),
        (["embed.inputs_embeds=decoder.attention_mask"], "has no rows of tokens, or follows from their number", ""),
        (["vision.features=decoder.inputs_embeds"], "6x32 does not fit 1x8x32 in 'prefill', 1x1x32 in 'decode'", "@ROWS"),
    ],
)
def test_a_link_that_cannot_be_is_refused(links: list[str], said: str, advice: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as failure:
        joined(tmp_path, links=links)
    assert said in failure.value.message and advice in failure.value.help
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        (Agent(spec=SMALL, width=31), "6x31 does not fit 1x8x32 in 'prefill'"),
        (Agent(spec=SMALL, rows=9), "9x32 does not fit 1x8x32 in 'prefill'"),
        (Agent(spec=SMALL, element=TensorProto.FLOAT16), "joins two dtypes: fp16 and fp32"),
        (Agent(spec=SMALL, rows="patches"), "dynamic dims without a size: patches"),
    ],
)
def test_what_does_not_fit_is_refused(agent: Agent, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as failure:
        joined(tmp_path, agent)
    assert said in failure.value.message


def test_other_words_that_mean_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--state: no input of vision, embed, decoder is called 'cache\.\*'"):
        joined(tmp_path, state=StateRequest((("cache.*", "present.*"),), 32))
    with pytest.raises(UserError, match=r"vision and embed and decoder have inputs called '\*'"):
        joined(tmp_path, state=StateRequest((("*", "present"),), 32))
    with pytest.raises(UserError, match="--state needs --max-length"):
        joined(tmp_path, state=replace(STATE, length=None))
    with pytest.raises(UserError, match="no model has a dim or an input 'patch'"):
        joined(tmp_path, shapes={"patch": 3})
    with pytest.raises(UserError, match="two entries are called 'vision'"):
        joined(tmp_path, entries={"vision": Asked(shapes={}, tokens=8)})
    with pytest.raises(UserError, match="--given inputs_embeds: no input of that name follows") as failure:
        joined(tmp_path, state=replace(STATE, given=("inputs_embeds",)))
    assert failure.value.help == "these do: attention_mask, position_ids"


def test_the_command_line_joins_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = {name: tmp_path / f"a_{name}.onnx" for name in ("vision", "embed", "decoder")}
    for name, model in Agent(spec=SMALL).models().items():
        onnx.save_model(model, paths[name])
    words = [f"{name}={path}" for name, path in paths.items()]
    links = [word for link in LINKS for word in ("--link", link)]
    rest = ["--target", "x86_cpu", "--state", "past.*=present.*", "--bucket", "prefill=8", "--bucket", "decode", "--max-length", "32"]
    place = tmp_path / "made"
    assert cli.run(["compile", *words, *links, *rest, "-o", str(place)]) == 0
    screen = capsys.readouterr().out
    assert "vision.features is inputs_embeds, rows 'image' at a place that each step states: written where it is" in screen
    assert "budget dram" in screen and "for all entries" in screen
    assert [one.name for one in Bundle.load(place).manifest.entries] == ["prefill", "decode", "vision", "embed-prefill", "embed-decode"]
    for path in paths.values():
        assert cli.run(["verify", str(path), str(place), "--quiet"]) == 0
    plain = [str(path) for path in paths.values()]
    for given, said in (
        ([*plain, str(paths["vision"])], "two models are called 'a_vision'"),
        ([plain[0], "--link", LINKS[0]], "--link joins several models, and there is one"),
        ([*words, *links, "--bucket", "prefill=8"], "--bucket of several models is about the one with --state"),
        ([*words, *links, "--report"], "--report and several entries exclude each other"),
    ):
        assert cli.run(["compile", *given, "--target", "x86_cpu"]) == 2
        assert said in capsys.readouterr().err


def test_a_model_of_another_bundle_is_refused(made: EntriesResult) -> None:
    models = Agent(spec=SMALL).models()
    with pytest.raises(VerifyError, match="compiled from other models: decoder, vision, embed"):
        made.bundle.verify(Agent(spec=replace(SMALL, heads=2)).models()["decoder"])
    assert made.bundle.verify(models["vision"]).verified
    with pytest.raises(UserError, match="the bundle has no model 'visio'"):
        made.bundle.model("visio")
    assert of_model(made.manifest, "embed").model.inputs[0].name == "input_ids"


def test_one_budget_holds_all_models(made: EntriesResult, tmp_path: Path) -> None:
    """The bundles of the four entries, loaded together, take more than the one bundle; its budget may lie between, and not below."""
    target, agent = load_target("x86_cpu"), Agent(spec=SMALL)
    models = agent.models()
    need = int(next(limit.value or 0 for limit in made.manifest.limits if limit.kind == "budget"))
    decoders = [
        compile_entries(models["decoder"], target, {name: asked}, state=STATE, output=tmp_path / name, verify=False).results[name]
        for name, asked in STEPS.items()
    ]
    alone = [compile_model(models["vision"], target, output=tmp_path / "vision", verify=False)]
    alone += [compile_model(models["embed"], target, shapes={"batch": 1, "seq": 8}, output=tmp_path / "embed", verify=False)]
    apart = sum(one.predicted.held["dram"].total for one in (*decoders, *alone))
    assert need < 0.8 * apart
    assert joined(tmp_path, agent, within(target, need)).manifest.limits[0].margin == 0
    results = {name: one for name, one in made.results.items() if name != "vision"}  # without what could take turns (run/test_phases.py)
    manifest = structs.replace(
        made.manifest, entries=tuple(e for e in made.manifest.entries if e.name in results), links=made.manifest.links[1:]
    )
    names = {entry.name: entry.model or "" for entry in manifest.entries}
    enough = whole_memory(results, names, target).held["dram"].total
    assert with_whole_limits(manifest, results, within(target, enough)).phases is None
    with pytest.raises(Infeasible, match="all entries of the bundle together: budget dram: predicted") as failure:
        with_whole_limits(manifest, results, within(target, enough - 1))
    assert failure.value.help.startswith(f"this plan takes {enough:,} B; leave out an entry")


def within(target: Target, budget: int) -> Target:
    return replace(target, memories=tuple(replace(memory, budget=budget) for memory in target.memories))


def test_rows_that_cannot_begin_anywhere_are_copied_and_it_is_said(tmp_path: Path) -> None:
    """Eight floats are 32 bytes, and results begin at multiples of 64."""
    agent = Agent(spec=replace(SMALL, heads=1, groups=1))
    bundle = joined(tmp_path, agent).bundle
    vision, embed = bundle.manifest.links
    assert (vision.copied, embed.copied) == (ROWS * 32, 0) and "a row of 'features' has 32 bytes" in vision.reason
    patches, prompt = np.random.default_rng(1).standard_normal((ROWS, PIXELS)).astype(np.float32), [3, 1, 4, 1, 5, 9, 2, 6]
    expected, closest = Chain(agent.models()).greedy(prompt, {1: patches}, 1)
    session = bundle.session()
    for at in (1, 0, 1):
        session.reset()
        session.step("embed", {"input_ids": np.array([prompt])})
        session.step("vision", {"patches": patches}, at=at)
        logits = session.step("prefill")["logits"]
    assert int(logits[0, -1].argmax()) == expected[0] or closest < CLOSE


def test_models_without_states_are_joined_too(tmp_path: Path) -> None:
    """An encoder and what reads all of its rows: one entry each."""
    weight = numpy_helper.from_array(np.random.default_rng(3).standard_normal((32, 4)).astype(np.float32), "weight")
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [ROWS, 32])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [ROWS, 4])
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "weight"], ["y"])], "head", [x], [y], [weight])
    head = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    models = {"vision": Agent().models()["vision"], "head": head}
    result = compile_models(models, "x86_cpu", links=["vision.features=head.x"], output=tmp_path / "bundle")
    assert result.verified and [entry.name for entry in result.manifest.entries] == ["head", "vision"]
    session, patches = result.bundle.session(), np.random.default_rng(4).standard_normal((ROWS, PIXELS)).astype(np.float32)
    with pytest.raises(UserError, match="nothing was written there"):
        session.step("head")
    assert session.step("vision", {"patches": patches}) == {}
    features = result.bundle.entry("vision").run({"patches": patches})["features"]
    assert np.allclose(session.step("head")["y"], features @ numpy_helper.to_array(weight), atol=1e-5)


def test_equal_models_are_told_apart_and_none_is_refused(tmp_path: Path) -> None:
    relu = parse("g (float[2,4] x) => (float[2,4] y) { y = Relu(x) }")
    for name in ("a", "b"):
        onnx.save_model(relu, tmp_path / f"{name}.onnx")
    paths = [tmp_path / "a.onnx", tmp_path / "b.onnx"]
    result = compile_models(dict(zip("pq", paths, strict=True)), "x86_cpu", links=["p.y=q.x"], output=tmp_path / "bundle")
    assert result.verified and result.bundle.verify(paths).verified
    with pytest.raises(UserError, match="given twice"):
        result.bundle.verify([*paths, paths[0]])
    with pytest.raises(UserError, match="some of the bundle's models are missing: q, p"):
        result.bundle.verify([])


def test_rows_that_leave_a_gap_are_not_read(tmp_path: Path) -> None:
    """Where no model writes all rows, those in front of a part are not there by themselves."""
    models = {name: model for name, model in Agent().models().items() if name != "embed"}
    made = compile_models(models, "x86_cpu", links=LINKS[:1], entries=STEPS, state=STATE, output=tmp_path / "bundle", verify=False)
    session, draw = made.bundle.session(), np.random.default_rng(4)
    patches = {"patches": draw.standard_normal((ROWS, PIXELS)).astype(np.float32)}
    session.step("vision", patches, at=2)
    with pytest.raises(UserError, match="and row 0 was not written"):
        session.step("decoder")
    session.reset()
    session.step("vision", patches, at=0)
    features = made.bundle.entry("vision").run(patches)["features"]
    logits = session.step("decoder")["logits"]
    assert np.array_equal(made.bundle.session().step("decoder", {"inputs_embeds": features[None]})["logits"], logits)


def link_with(manifest: Manifest, **facts: Any) -> Manifest:
    return structs.replace(manifest, links=(structs.replace(manifest.links[0], **facts), *manifest.links[1:]))


def entry_with(manifest: Manifest, index: int, **facts: Any) -> Manifest:
    entries = list(manifest.entries)
    entries[index] = structs.replace(entries[index], **facts)
    return structs.replace(manifest, entries=tuple(entries))


def moved(manifest: Manifest, index: int, tensor: str, by: int) -> Manifest:
    """A slot of a further entry at another place."""
    plan = manifest.entries[index].plan
    assert plan is not None
    slots = tuple(structs.replace(slot, offset=slot.offset + by) if slot.tensor == tensor else slot for slot in plan.arena.slots)
    return entry_with(manifest, index, plan=structs.replace(plan, arena=structs.replace(plan.arena, slots=slots)))


def shaped(manifest: Manifest, index: int, tensor: str, **facts: Any) -> Manifest:
    """A slot of a further entry with other facts."""
    plan = manifest.entries[index].plan
    assert plan is not None
    slots = tuple(structs.replace(slot, **facts) if slot.tensor == tensor else slot for slot in plan.arena.slots)
    return entry_with(manifest, index, plan=structs.replace(plan, arena=structs.replace(plan.arena, slots=slots)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: link_with(m, offset=m.links[0].offset + 64), "'inputs_embeds' lies at two places"),
        (lambda m: structs.replace(m, links=tuple(structs.replace(one, offset=0) for one in m.links)), "bytes at"),
        (lambda m: structs.replace(m, links=tuple(structs.replace(one, bytes=64) for one in m.links)), "are kept for it"),
        (lambda m: structs.replace(m, links=tuple(structs.replace(one, axis=2) for one in m.links)), "do not lie one behind the other"),
        (lambda m: link_with(m, output="feature"), "'feature' is no output with a slot"),
        (lambda m: link_with(m, input="embeds"), "'embeds' is no input with a slot"),
        (lambda m: link_with(m, model="decoder"), "'decoder' is none of the models"),
        (lambda m: link_with(m, label=""), "two write all rows of one input"),
        (lambda m: structs.replace(m, links=(m.links[0], *m.links)), "one model writes one input twice"),
        (lambda m: shaped(m, 2, "features", dtype="int32"), "'features' is int32, 'inputs_embeds' fp32"),
        (lambda m: shaped(m, 2, "features", shape=(ROWS, 31)), "bytes, a row of 'inputs_embeds' "),
        (lambda m: moved(m, 2, "features", 64), "and nothing says that it is copied"),
        (lambda m: moved(m, 2, "patches", -2048), "has bytes of"),
        (lambda m: moved(m, 1, "inputs_embeds", 64), "bytes at"),
        (lambda m: structs.replace(m, models={}), "models: they are not those of the entries"),
        (lambda m: entry_with(m, 2, model=None), "models: they are not those of the entries"),
        (lambda m: entry_with(m, 0, model="vision"), "models: they are not those of the entries"),
        (lambda m: structs.replace(m, entries=(), states=()), "links or models: a bundle without entries has none"),
    ],
)
def test_links_that_contradict_the_entries_are_refused(made: EntriesResult, change: Callable[[Manifest], Manifest], said: str) -> None:
    check_entries(made.manifest, "")
    with pytest.raises(BundleError) as failure:
        check_entries(change(made.manifest), "here")
    assert said in failure.value.message


def test_decoder_of_a_bundle_is_a_bundle_of_its_own(made: EntriesResult) -> None:
    alone = made.bundle.model("decoder").session()
    rows = np.random.default_rng(8).standard_normal((1, 12, SMALL.hidden)).astype(np.float32)
    linked = made.bundle.session()
    assert np.array_equal(
        alone.step("prefill", {"inputs_embeds": rows})["logits"], linked.step("prefill", {"inputs_embeds": rows})["logits"]
    )
