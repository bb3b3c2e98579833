"""Bundles of decoders: every token equals that of onnxruntime with a growing cache, whatever the steps were, and caches stay in place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import ed25519
from growing_cache import check_tokens
from msgspec import structs
from small_decoders import SPECS, decoder
from small_decoders import Decoder as Spec

from autoglmc.compiler import cli
from autoglmc.compiler.bundle.entries import views
from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
from autoglmc.compiler.driver.entries.result import EntriesResult
from autoglmc.compiler.emit.join_entries import states_of
from autoglmc.compiler.errors import UsageError
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.state.request import StateRequest

PAIRS = (("past.*", "present.*"),)
LENGTH = 64


def compiled(spec: Spec, folder: Path, length: int = LENGTH, prefill: int = 8) -> EntriesResult:
    entries = {"prefill": Asked(shapes={}, tokens=prefill), "decode": Asked(shapes={}, tokens=1)}
    return compile_entries(decoder(spec), "x86_cpu", entries, state=StateRequest(PAIRS, length), output=folder / "bundle")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return compiled(Spec(layers=2), tmp_path_factory.mktemp("decoder")).bundle


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_tokens_equal_those_of_a_growing_cache(spec: Spec, tmp_path: Path) -> None:
    result = compiled(spec, tmp_path)
    assert result.verified, result.verification
    check_tokens(result.bundle.session(), decoder(spec), spec.vocabulary)


def test_tokens_do_not_depend_on_how_they_are_cut_into_steps(bundle: Bundle) -> None:
    tokens = np.random.default_rng(0).integers(0, 32, 40)[None]
    whole = bundle.session().step("prefill", {"input_ids": tokens})["logits"]
    for seed in range(5):
        draw, session, parts, begin = np.random.default_rng(seed), bundle.session(), [], 0
        while begin < 40:
            end = min(begin + int(draw.integers(1, 20)), 40)
            session.poison()
            parts.append(session.step(("prefill", "decode")[int(draw.integers(2))], {"input_ids": tokens[:, begin:end]})["logits"])
            begin = end
        assert np.allclose(np.concatenate(parts, axis=1), whole, atol=2e-5)


def test_two_sessions_and_a_fork_do_not_mix(bundle: Bundle) -> None:
    draw = np.random.default_rng(3)
    sessions = [bundle.session(), bundle.session()]
    prompts = [draw.integers(0, 32, (1, n)) for n in (11, 5)]
    for session, prompt in zip(sessions, prompts, strict=True):
        session.step("prefill", {"input_ids": prompt})
    sessions.append(sessions[0].fork())
    prompts.append(prompts[0])
    for _ in range(6):
        for k, session in enumerate(sessions):
            token = draw.integers(0, 32, (1, 1))
            prompts[k] = np.concatenate([prompts[k], token], axis=1)
            session.poison()
            got = session.step("decode", {"input_ids": token})["logits"][0, -1]
            alone = bundle.session().step("prefill", {"input_ids": prompts[k]})["logits"][0, -1]
            assert np.allclose(got, alone, atol=2e-5)
    assert len({session.addresses()["past.0.k"] for session in sessions}) == 3


def test_a_session_goes_on_after_truncate(bundle: Bundle) -> None:
    session, tokens = bundle.session(), np.random.default_rng(5).integers(0, 32, (1, 30))
    session.step("prefill", {"input_ids": tokens})
    session.truncate(12)
    session.poison()
    other = np.random.default_rng(6).integers(0, 32, (1, 9))
    got = session.step("prefill", {"input_ids": other})["logits"]
    alone = bundle.session().step("prefill", {"input_ids": np.concatenate([tokens[:, :12], other], axis=1)})["logits"]
    assert np.allclose(got, alone[:, 12:], atol=2e-5)
    with pytest.raises(UsageError, match="the caches hold 21 tokens: they cannot be cut to 22"):
        session.truncate(22)


def test_more_tokens_than_fit_are_refused_and_change_nothing(bundle: Bundle) -> None:
    session, tokens = bundle.session(), np.random.default_rng(8).integers(0, 32, (1, 64))
    session.step("prefill", {"input_ids": tokens[:, :60]})
    with pytest.raises(UsageError, match="5 more tokens do not fit: the caches hold 60 of 64"):
        session.step("prefill", {"input_ids": tokens[:, :5]})
    got = session.step("prefill", {"input_ids": tokens[:, 60:]})["logits"]  # 4 places, one token after the other
    assert (session.length, session.room) == (64, 0)
    assert np.allclose(got[0, -1], bundle.session().step("prefill", {"input_ids": tokens})["logits"][0, -1], atol=2e-5)
    with pytest.raises(UsageError, match="1 more token do not fit"):
        session.step("decode", {"input_ids": tokens[:, :1]})


@pytest.mark.parametrize(
    ("entry", "inputs", "said"),
    [
        ("decod", {}, "no entry 'decod'"),
        ("decode", {}, "missing input 'input_ids'"),
        ("decode", {"input_ids": np.ones((1, 1), np.int64), "x": np.ones(1)}, "takes no input 'x'"),
        ("decode", {"input_ids": np.ones((1, 1), np.int32)}, r"int32\[1, 1\], the entry takes int64"),
        ("decode", {"input_ids": np.ones((2, 1), np.int64)}, "the entry takes int64"),
        ("decode", {"input_ids": np.ones((1, 0), np.int64)}, "0 tokens"),
    ],
)
def test_wrong_inputs_of_a_step_are_named(bundle: Bundle, entry: str, inputs: dict[str, np.ndarray], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        bundle.session().step(entry, inputs)


def test_weights_are_there_once_and_caches_apart(bundle: Bundle, tmp_path: Path) -> None:
    manifest = bundle.manifest
    assert [state.copied for state in manifest.states] == [0] * 4
    one = compile_entries(
        decoder(Spec(layers=2)),
        "x86_cpu",
        {"decode": Asked(shapes={}, tokens=1)},
        state=StateRequest(PAIRS, LENGTH),
        output=tmp_path / "one",
    )
    sizes = [made.files["segments/weights.bin"].size for made in (manifest, one.manifest)]
    assert sizes[0] <= 1.01 * sizes[1]


def test_a_bundle_of_entries_says_which_one_is_to_be_chosen(bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="the entries prefill, decode: which one"):
        bundle.run({})
    outputs = bundle.entry("decode").run({"input_ids": np.ones((1, 1), np.int64), "cache_length": np.zeros(1, np.int64)})
    assert list(outputs) == ["logits"]
    assert bundle.verify(decoder(Spec(layers=2))).verified


def test_what_is_required_of_verification_is_asked_of_the_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Entries of a decoder are compared together, once they are joined."""
    onnx.save_model(decoder(Spec()), tmp_path / "m.onnx")
    command = ["compile", str(tmp_path / "m.onnx"), "--target", "x86_cpu", "--state", "past.*=present.*", "--bucket", "decode"]
    command += ["--max-length", "16", "-o", str(tmp_path / "out"), "--require-verified", "all"]
    assert cli.run([*command, "--no-verify"]) == 2 and "cannot be required to be verified" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert cli.run(command) == 0 and (tmp_path / "out" / "manifest.json").exists()


def test_a_bundle_of_entries_is_compressed_and_signed_as_a_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its weights are unpacked once for all entries, and stay as long as a session or a fork of it."""
    key, secret, public = ed25519.Ed25519PrivateKey.generate(), tmp_path / "key.pem", tmp_path / "key.pub.pem"
    secret.write_bytes(key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo))
    model = decoder(Spec(vocabulary=300, learned=True))
    for tensor in model.graph.initializer:
        if tensor.name == "constant_0":  # something that can be deflated
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.zeros(tuple(tensor.dims), np.float32), tensor.name))
    onnx.save_model(model, tmp_path / "m.onnx")
    command = ["compile", str(tmp_path / "m.onnx"), "--target", "x86_cpu", "--state", "past.*=present.*", "--bucket", "prefill=4"]
    command += ["--bucket", "decode", "--max-length", "16", "-o", str(tmp_path / "b"), "--compress", "--sign", str(secret)]
    assert cli.run(command) == 0
    assert "weights are compressed" in capsys.readouterr().out
    packed = Bundle.load(tmp_path / "b", trust=public)
    assert packed.trusted and packed.manifest.files["segments/weights.bin"].packed is not None
    assert not (tmp_path / "b" / "segments" / "weights.bin").exists()
    first = packed.session()
    fork = first.fork()
    del first
    assert list(fork.generate([1, 2, 3], max_tokens=4)) == list(packed.session().generate([1, 2, 3], max_tokens=4))
    assert packed.verify(model).verified


def test_a_cache_in_two_places_says_why(bundle: Bundle) -> None:
    """Made up of a plan that has it in one: which device splits caches depends on runtimes that are not here."""
    plan, pairs = views(bundle.manifest)[0], [("past.0.k", "present.0.k")]

    def said(**changes: Any) -> str:
        slots = [structs.replace(one, **changes) if one.tensor == "present.0.k" else one for one in plan.arena.slots]
        moved = structs.replace(plan, arena=structs.replace(plan.arena, slots=tuple(slots)), segments=segments)
        (state,) = states_of([plan, moved], pairs, {"past.0.k": 2})
        assert state.copied == (state.bytes if state.reason else 0)
        return state.reason

    segments = plan.segments
    assert said() == ""
    assert said(offset=1 << 20) == "ort on cpu is not known to write the new rows alone, over what it reads"
    assert said(offset=1 << 20, device_dtype="fp16") == "cpu pads or converts its rows"
    one = structs.replace(plan.segments[0], index=1, device="npu", outputs=())
    segments = (*plan.segments, one)
    assert said(offset=1 << 20) == "several segments use it, on cpu, npu: none of them both reads and extends it"
