"""Tokens one after the other: those that steps by hand give, and what ends them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from growing_cache import GrowingCache
from small_decoders import Decoder as Spec
from small_decoders import decoder

from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
from autoglmc.compiler.errors import UsageError
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.state.request import StateRequest

SPEC, LENGTH = Spec(layers=2), 48


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("generate") / "bundle"
    entries = {name: Asked(shapes={}, tokens=tokens) for name, tokens in (("prefill", 8), ("decode", 1))}
    return compile_entries(decoder(SPEC), "x86_cpu", entries, state=StateRequest((("past.*", "present.*"),), LENGTH), output=folder).bundle


def ended(session: object, *arguments: object, **options: object) -> tuple[list[int], str]:
    made, found = session.generate(*arguments, **options), []  # type: ignore[attr-defined]
    while True:
        try:
            found.append(next(made))
        except StopIteration as stop:
            return found, stop.value


@pytest.mark.parametrize("length", [1, 7, 8, 9, 21])
def test_the_likeliest_tokens_are_those_of_a_growing_cache(bundle: Bundle, length: int) -> None:
    session, prompt = bundle.session(), np.random.default_rng(length).integers(0, 32, length)
    session.poison()
    found, why = ended(session, prompt, max_tokens=20)
    assert (found, why) == (GrowingCache(decoder(SPEC)).greedy(prompt.tolist(), 20)[0], "limit")
    assert session.length == length + 19  # the last token is not in the caches


def test_a_text_goes_on_where_it_stopped(bundle: Bundle) -> None:
    whole, session = list(bundle.session().generate([5, 3], max_tokens=20)), bundle.session()
    first = list(session.generate([5, 3], max_tokens=8))
    assert [*first, *session.generate(first[-1:], max_tokens=12)] == whole


def test_what_ends_a_text(bundle: Bundle) -> None:
    tokens, why = ended(bundle.session(), [1, 2, 3])
    assert (len(tokens), why) == (LENGTH - 3 + 1, "full")
    end = tokens[10]
    assert ended(bundle.session(), [1, 2, 3], stop=[end, 99]) == (tokens[: tokens.index(end)], "end")
    assert ended(bundle.session(), [1, 2, 3], max_tokens=0) == ([], "limit")


def test_drawn_tokens_are_the_same_with_one_seed_and_others_with_another(bundle: Bundle) -> None:
    drawn = [ended(bundle.session(), [4], max_tokens=16, temperature=1.5, top_k=20, top_p=0.95, seed=seed)[0] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(
    ("ids", "options", "said"),
    [
        ([], {}, "an empty prompt"),
        ([1] * 49, {}, "a prompt of 49 tokens does not fit: the caches hold 48, of which 2 are filled"),
        ([1, 32], {}, "the tokens 0 to 31, and the prompt has 32"),
        ([-1], {}, "the prompt has -1"),
        ([1], {"max_tokens": -1}, "max_tokens"),
        ([1], {"top_p": 0.0}, "top_p"),
        ("the cat", {}, "ids are ids of tokens, whole numbers in a row, not 'the cat'"),
        ([1.5], {}, r"whole numbers in a row, not \[1.5\]"),
        (np.array([[1, 2]]), {}, "whole numbers in a row, not array"),
        (None, {}, "whole numbers in a row, not None"),
        ([1], {"stop": ["</s>"]}, "stop are ids of tokens"),
        ([1], {"max_tokens": "3"}, "max_tokens is 0 or more, not '3'"),
        ([1], {"temperature": 1, "seed": "x"}, "seed is a whole number, not 'x'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(bundle: Bundle, ids: Any, options: dict[str, Any], said: str) -> None:
    session = bundle.session()
    session.step("prefill", {"input_ids": np.array([[1, 2]])})
    with pytest.raises(UsageError, match=said):
        session.generate(ids, **options)
    assert session.length == 2 and len(ended(session, [1], max_tokens=3)[0]) == 3


def test_what_is_no_length_and_no_mapping_is_refused(bundle: Bundle) -> None:
    session = bundle.session()
    session.step("prefill", {"input_ids": np.array([[1, 2, 3]])})
    for length in (1.5, "1", -1, 4):
        with pytest.raises(UsageError, match="they cannot be cut to"):
            session.truncate(length)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="inputs are a mapping from names to arrays, not list"):
        session.step("decode", [1])  # type: ignore[arg-type]
    assert session.length == 3 and list(session.fork().generate(np.array([5]), max_tokens=2))


def test_a_prompt_that_fails_leaves_the_caches(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    session, step = bundle.session(), type(bundle.session()).step
    monkeypatch.setattr(type(session), "step", lambda self, entry, inputs: step(self, entry, inputs) if self.length < 8 else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        next(session.generate([1] * 20))
    assert session.length == 0


def test_a_decoder_of_other_inputs_has_no_tokens(tmp_path: Path) -> None:
    """One that takes the vectors of tokens."""
    import onnx

    model = decoder(Spec(mask_input=False, learned=True))
    model.graph.input[0].CopyFrom(onnx.helper.make_tensor_value_info("vectors", onnx.TensorProto.FLOAT, ["batch", "seq", 32]))
    for node in model.graph.node:
        for k, name in enumerate(node.input):
            if name == "input_ids":
                node.input[k] = "vectors"
    gather = next(node for node in model.graph.node if node.op_type == "Gather" and node.input[1] == "vectors")
    gather.CopyFrom(onnx.helper.make_node("Identity", ["vectors"], [gather.output[0]]))
    entries = {"decode": Asked(shapes={}, tokens=1)}
    made = compile_entries(
        model, "x86_cpu", entries, state=StateRequest((("past.*", "present.*"),), 8), output=tmp_path / "b", verify=False
    )
    with pytest.raises(UsageError, match=r"one input takes the ids of tokens; this takes vectors fp32\[1, 1, 32\]"):
        made.bundle.session().generate([1])
