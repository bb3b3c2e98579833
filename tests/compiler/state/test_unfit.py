"""Models and requests that cannot be written with caches of fixed length are refused with what there is."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import onnx
import pytest
from small_decoders import Decoder, decoder

from autoglmc.compiler import cli
from autoglmc.compiler.errors import UserError
from autoglmc.compiler.load.source import MemoryModel
from autoglmc.compiler.state.fixed_models import FixedModels, fixed_models
from autoglmc.compiler.state.request import StateRequest, state_request


def fixed(model: onnx.ModelProto, *patterns: str, length: int = 16, tokens: int = 4, **shapes: int) -> FixedModels:
    request = state_request(patterns or ("past.*=present.*",), length)
    assert isinstance(request, StateRequest)
    return fixed_models(MemoryModel(model, "model"), request, length, {"step": tokens}, shapes, lambda name: nullcontext())


def in_front() -> onnx.ModelProto:
    """New rows stand in front of the old ones."""
    model = decoder(Decoder())
    for node in model.graph.node:
        if node.output[0] == "present.0.v":
            node.input[:] = reversed(node.input)
    return model


def in_halves() -> onnx.ModelProto:
    model = decoder(Decoder())
    next(value for value in model.graph.input if value.name == "past.0.k").type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    return model


def also_summed() -> onnx.ModelProto:
    model = decoder(Decoder())
    model.graph.node.append(onnx.helper.make_node("ReduceSum", ["present.0.k"], ["sum"], keepdims=0))
    model.graph.output.append(onnx.helper.make_tensor_value_info("sum", onnx.TensorProto.FLOAT, []))
    return model


@pytest.mark.parametrize(
    ("model", "patterns", "said"),
    [
        (decoder(Decoder()), ("cache.*=present.*",), "no input is called 'cache.*'"),
        (decoder(Decoder()), ("past.*=next.*",), "the input 'past.0.k' has no output 'next.0.k'"),
        (decoder(Decoder()), ("past.0.k=present.0.k", "past.0.v=present.0.k"), "gives two inputs the output 'present.0.k'"),
        (decoder(Decoder(causal=False)), (), "attention is not causal"),
        (in_front(), (), "something else reads the past of a cache than a Concat that puts new rows behind it"),
        (in_halves(), (), "goes out as 'present.0.k' in another dtype: fp16 and fp32"),
        (also_summed(), (), "something else than attention reads the rows of a cache together"),
    ],
)
def test_what_does_not_fit_is_named(model: onnx.ModelProto, patterns: tuple[str, ...], said: str) -> None:
    with pytest.raises(UserError) as failure:
        fixed(model, *patterns)
    assert said in failure.value.message
    assert failure.value.help


def test_candidates_are_listed_where_a_name_is_wrong() -> None:
    with pytest.raises(UserError) as failure:
        fixed(decoder(Decoder()), "cache.*=present.*")
    assert (
        failure.value.help == "inputs that may be caches: past.0.k, past.0.v; outputs that may be caches: logits, present.0.k, present.0.v"
    )


@pytest.mark.parametrize(
    ("words", "length", "said"),
    [
        (("past.*",), 16, "cannot read --state 'past.*'"),
        (("past.*=present",), 16, "cannot read --state"),
        ((), 16, "--max-length needs --state"),
    ],
)
def test_requests_that_cannot_be_read(words: tuple[str, ...], length: int | None, said: str) -> None:
    with pytest.raises(UserError) as failure:
        state_request(words, length)
    assert said in failure.value.message


def test_a_step_that_fills_all_of_the_caches_is_refused() -> None:
    with pytest.raises(UserError, match="takes 16 tokens at once, and the caches hold 16"):
        fixed(decoder(Decoder()), tokens=16)


def test_a_batch_of_two_is_refused() -> None:
    with pytest.raises(UserError, match="the batch must be 1"):
        fixed(decoder(Decoder()), batch=2)


@pytest.mark.parametrize(
    "option", [["--no-fallback"], ["--precision", "fp16"], ["--accuracy", "cosine >= 0.9"], ["--pareto", "latency,energy"]]
)
def test_options_of_one_entry_are_refused(option: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """None is left out in silence."""
    (tmp_path / "m.onnx").write_bytes(b"never read")
    command = ["compile", str(tmp_path / "m.onnx"), "--target", "x86_cpu", "--bucket", "a:n=1", "--bucket", "b:n=2", *option]
    assert cli.run(command) == 2
    assert option[0] in capsys.readouterr().err
