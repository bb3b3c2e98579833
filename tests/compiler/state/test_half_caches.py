"""Caches kept in fp16: half the bytes, values rounded by what is stated, and the same tokens as those of a growing cache in fp32."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from breadth import LONG
from decoder_forms import LAYOUTS, by_distance, laid_out
from growing_cache import GrowingCache, greedy
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from small_decoders import Decoder as Spec
from small_decoders import decoder

from autoglmc.compiler import cli
from autoglmc.compiler.bundle.entries import views
from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
from autoglmc.compiler.driver.entries.result import EntriesResult
from autoglmc.compiler.errors import BundleError, ModelError, UsageError, VerifyError
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.run.check.check_entries import check_entries
from autoglmc.compiler.state.request import StateRequest
from autoglmc.passes.rule.build import Builder
from autoglmc.passes.state import cached_attention, stored_rows

TINY = Path(__file__).parents[2] / "models" / "decoder_tiny.onnx"
LENGTH = 64
WITHOUT = 'hw 1;\ninclude "x86_cpu.hw";\namend &x86_cpu.cpu { deny { com.microsoft::GroupQueryAttention; Attention; RotaryEmbedding; } }\n'
"""Rows go out, and attention is several operators."""
UNIT, SMALLEST, MOST = 2.0**-11, 2.0**-25, 65504.0
SIZES = {"prefill": 8, "decode": 1}
CLOSE = 0.01
"""Logits closer than this may change places: seven times what rounding the caches does to those of the small decoders."""
LINE = ["--target", "x86_cpu", "--state", "past.*=present.*", "--bucket", "prefill=8", "--bucket", "decode", "--max-length", "64"]


def compiled(
    model: onnx.ModelProto | Path,
    folder: Path,
    target: str | Path = "x86_cpu",
    dtype: str = "fp16",
    verify: bool = True,
    entries: Mapping[str, int] = SIZES,
) -> EntriesResult:
    state = StateRequest((("past.*", "present.*"),), LENGTH, dtype=dtype)
    asked = {name: Asked(shapes={}, tokens=tokens) for name, tokens in entries.items()}
    return compile_entries(model, target, asked, state=state, output=folder, verify=verify)


def without(folder: Path) -> Path:
    (folder / "cpu.hw").write_text(WITHOUT)
    return folder / "cpu.hw"


@pytest.fixture(scope="module", params=["extended", "appended"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp(request.param)
    result = compiled(TINY, folder / "b", without(folder) if request.param == "appended" else "x86_cpu")
    assert result.verified and [one.name for one in result.manifest.entries[1].ways if one.taken] == [request.param]
    return result.bundle


def test_tokens_are_those_of_a_growing_cache(bundle: Bundle) -> None:
    """Poisoned where there is no token."""
    session, reference = bundle.session(), GrowingCache(str(TINY))
    for length in (1, 8, 9, 20):
        prompt = np.random.default_rng(length).integers(0, 32, length).tolist()
        expected, closest = reference.greedy(prompt, 40)
        session.reset()
        session.poison()
        assert greedy(session, prompt, 40) == expected or closest < CLOSE
    assert all(len(addresses) == 1 for addresses in session.addresses().values())


def test_half_the_bytes_and_a_bound_for_each_cache(bundle: Bundle, tmp_path: Path) -> None:
    plain = compiled(TINY, tmp_path / "b", dtype="", verify=False).manifest
    for mine, theirs in zip(bundle.manifest.states, plain.states, strict=True):
        assert (mine.bytes * 2, mine.dtype, mine.bound) == (theirs.bytes, "fp16", UNIT) and (theirs.dtype, theirs.bound) == ("fp32", 0.0)
    assert bundle.manifest.arena.total < plain.arena.total and not plain.errors.bounds
    for view in views(bundle.manifest):
        assert [(one.site, one.bound) for one in view.errors.bounds] == [(state.present, UNIT) for state in bundle.manifest.states]


def test_fork_and_truncate_go_on_as_if_nothing_had_been_there(bundle: Bundle) -> None:
    session, tokens = bundle.session(), np.random.default_rng(5).integers(0, 32, (1, 30))
    session.step("prefill", {"input_ids": tokens})
    session.truncate(16)
    session.poison()
    fork, alone = session.fork(), bundle.session()
    alone.step("prefill", {"input_ids": tokens[:, :16]})
    for token in tokens[0, :5]:
        got = [one.step("decode", {"input_ids": token[None, None]})["logits"] for one in (session, fork, alone)]
        assert np.array_equal(got[0], got[2]) and np.array_equal(got[1], got[2])


@settings(max_examples=3, deadline=None, derandomize=True)
@given(
    spec=st.builds(
        Spec, layers=st.integers(1, 2), groups=st.sampled_from([1, 2, 4]), width=st.sampled_from([4, 8, 16]), window=st.sampled_from([0, 5])
    ),
    cuts=st.lists(st.integers(1, 11), min_size=3, max_size=5),
    appended=st.booleans(),
)
def test_rows_are_rounded_once_however_they_are_made(
    spec: Spec, cuts: list[int], appended: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Of the first layer, whose input no cache changes: the value of a plain cache, rounded; what reads them adds up to no more."""
    folder = tmp_path_factory.mktemp("made")
    target = without(folder) if appended else "x86_cpu"
    model, entries = decoder(spec), {"prefill": 4}
    half, plain = (compiled(model, folder / f"b{dtype}", target, dtype, False, entries).bundle.session() for dtype in ("fp16", ""))
    tokens = np.random.default_rng(sum(cuts)).integers(0, 32, (1, sum(cuts)))
    begin = 0
    for tokens_now in cuts:
        half.poison()
        cut = {"input_ids": tokens[:, begin : begin + tokens_now]}
        got, expected = (session.step("prefill", cut)["logits"] for session in (half, plain))
        assert np.abs(got - expected).max() < 32 * UNIT * np.abs(expected).max()
        begin += tokens_now
    mine, theirs = half.filled(), plain.filled()
    for name in ("present.0.k", "present.0.v"):
        assert mine[name].dtype == np.float16
        off = np.abs(mine[name].astype(np.float64) - theirs[name])
        assert np.all(off <= np.maximum(1.01 * UNIT * np.abs(theirs[name]), SMALLEST)) and off.max() > 0
    whole = {"input_ids": tokens}
    half.reset()
    half.step("prefill", whole)
    assert all(np.array_equal(half.filled()[name], mine[name]) for name in ("present.0.k", "present.0.v")), "in whatever steps"


def test_values_that_fp16_does_not_hold_are_clipped_and_refused(tmp_path: Path) -> None:
    model = decoder(Spec())
    for tensor in model.graph.initializer:
        if tensor.name == "constant_0":  # the table of tokens: keys and values become that much larger
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1e5), tensor.name))
    with pytest.raises(VerifyError, match=r"the cache 'present.0.k' has values up to .*, and fp16 holds 65504 at most"):
        compiled(model, tmp_path / "refused")
    session = compiled(model, tmp_path / "b", verify=False).bundle.session()
    session.step("prefill", {"input_ids": np.arange(8)[None]})
    values = session.filled()["present.0.v"]
    assert np.isfinite(values).all() and np.abs(values).max() == MOST


def test_coarser_rounding_than_stated_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As bf16 rounds: three bits less."""

    def coarse(b: Builder, rows: str, dtype: str) -> str:
        return stored_rows.stored(b, b.cast(b.cast(rows, "bf16"), b.dtype), dtype)

    monkeypatch.setattr(cached_attention, "stored", coarse)
    with pytest.raises(VerifyError, match="differs from the model"):
        compiled(TINY, tmp_path / "b")


def test_a_deploy_file_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save_model(decoder(Spec()), tmp_path / "m.onnx")
    sizes = "shapes {{ prefill: seq 8; decode: seq 1; }}"
    text = 'hw 1;\n\ndeploy d {{\n target "x86_cpu";\n model m "m.onnx";\n state "past.*" = "present.*" max 64 {};\n ' + sizes + "\n}}\n"
    (tmp_path / "d.hw").write_text(text.format("in fp16"))
    assert cli.run(["--deploy", str(tmp_path / "d.hw"), "-q"]) == 0
    assert cli.run([str(tmp_path / "m.onnx"), *LINE, "--cache-dtype", "fp16", "-o", str(tmp_path / "b"), "--json"]) == 0
    made, theirs = tmp_path / "d.x86_cpu" / "manifest.json", tmp_path / "b" / "manifest.json"
    assert made.read_bytes() == theirs.read_bytes() and '"cache_fp16"' in made.read_text()
    capsys.readouterr()
    (tmp_path / "d.hw").write_text(text.format("in fp8"))
    assert cli.run(["check", str(tmp_path / "d.hw")]) == 1 and "unknown dtype of caches `fp8`" in capsys.readouterr().err
    two = text.format('in fp16;\n  state "mine.*" = "yours.*" max 64')
    (tmp_path / "d.hw").write_text(two)
    assert cli.run(["check", str(tmp_path / "d.hw")]) == 1 and "caches are kept in different dtypes" in capsys.readouterr().err


def test_what_cannot_be_kept_so_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = decoder(Spec())
    for value in (*model.graph.input, *model.graph.output):
        if value.name[:4] in ("past", "pres"):
            value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    with pytest.raises(UsageError, match=r"the cache 'past\.0\.k' is fp16 in the model: it cannot be kept in fp16"):
        compiled(model, tmp_path / "b")
    assert cli.run([str(TINY), "--target", "x86_cpu", "--cache-dtype", "fp16"]) == 2
    assert cli.run([str(TINY), "--target", "x86_cpu", "--cache-dtype", "fp16", "--state", "a=b"]) == 2
    said = capsys.readouterr().err
    assert "--cache-dtype needs --state beside it" in said and "--cache-dtype is for caches that grow" in said


def test_a_token_sees_the_same_rows_whatever_the_steps_were(bundle: Bundle) -> None:
    """Those of its own step are rounded, too: else a prompt in one step would differ by as much as its rounding changes."""
    session, tokens = bundle.session(), np.random.default_rng(2).integers(0, 32, (1, 24))
    whole = session.step("prefill", {"input_ids": tokens})["logits"]
    session.reset()
    single = [session.step("decode", {"input_ids": tokens[:, k : k + 1]})["logits"] for k in range(24)]
    off = np.abs(np.concatenate(single, axis=1) - whole)
    assert np.median(off) < 1e-5 and off.max() < 1e-3


@LONG
def test_several_models_with_such_caches_are_verified_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = [f"{name}={TINY.with_name(f'agent_{name}.onnx')}" for name in ("vision", "embed", "decoder")]
    links = ["--link", "vision.features=decoder.inputs_embeds@image", "--link", "embed.inputs_embeds=decoder.inputs_embeds"]
    line = [word.replace("=8", "=16") for word in LINE]
    assert cli.run([*models, *line, *links, "--cache-dtype", "fp16", "-o", str(tmp_path / "b"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["together"]["verified"] and {state["dtype"] for state in found["states"]} == {"fp16"}
    assert "what rounding its caches changes" in found["together"]["reason"]


def test_a_manifest_that_says_something_else_of_a_cache_is_refused(bundle: Bundle) -> None:
    manifest = bundle.manifest
    check_entries(manifest, "")
    for facts, said in (({"dtype": "fp32"}, "is said to be 'fp32'"), ({"bound": 0.5}, "not what rounding to fp16 does")):
        first, *others = manifest.states
        with pytest.raises(BundleError, match=said):
            check_entries(msgspec.structs.replace(manifest, states=(msgspec.structs.replace(first, **facts), *others)), "here")
    entry, *others = manifest.entries
    none = tuple(msgspec.structs.replace(way, taken=False) for way in entry.ways)
    for ways, said in ((none, "not exactly one"), ((*entry.ways, *none), "two have one name")):
        with pytest.raises(BundleError, match=said):
            check_entries(msgspec.structs.replace(manifest, entries=(msgspec.structs.replace(entry, ways=ways), *others)), "here")


def test_what_excludes_it_names_it(tmp_path: Path) -> None:
    """Rows that are put at their places are kept in the model's dtype: a decoder that needs them compiles without the option."""
    with pytest.raises(ModelError, match="numbers to scores") as refused:
        compiled(laid_out(LAYOUTS["heads before rows"], by_distance), tmp_path / "b")
    assert "--cache-dtype" in (refused.value.help or "")
