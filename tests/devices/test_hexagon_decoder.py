"""A step of a decoder by the real Hexagon compiler, run by its emulator: caches are read where they lie, and only new rows come out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from growing_cache import CLOSE, GrowingCache, greedy
from small_decoders import Decoder as Spec
from small_decoders import decoder

from autoglmc.compiler.devices.find_adapter import absence
from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
from autoglmc.compiler.state.request import StateRequest

LACK = absence("qnn", ("htp", "soc", "57", "arch", "75"))
pytestmark = pytest.mark.skipif(LACK is not None, reason=f"{LACK and LACK.reason}: {LACK and LACK.help}")
BOARD = """
hw 1;

include "snapdragon_8gen3.hw";

amend &snapdragon_8gen3.npu { dispatch 20 us @guess; }
amend &snapdragon_8gen3.link.npu.cpu { handoff 0.1 us @guess; }
amend &snapdragon_8gen3.cpu { peak fp32 0.2 GFLOPS @guess; }
"""
"""A CPU so slow that even a step of one token is faster on the NPU."""


@pytest.mark.parametrize("dtype", ["", "fp16"])
def test_ten_tokens_by_the_npu_equal_those_of_a_growing_cache(dtype: str, tmp_path: Path) -> None:
    (tmp_path / "board.hw").write_text(BOARD)
    spec, entries = Spec(layers=2, width=16), {"prefill": Asked(shapes={}, tokens=8), "decode": Asked(shapes={}, tokens=1)}
    state = StateRequest((("past.*", "present.*"),), 32, dtype=dtype)
    result = compile_entries(decoder(spec), tmp_path / "board.hw", entries, state=state, output=tmp_path / "bundle")
    assert result.verified, result.verification
    assert {state.dtype for state in result.manifest.states} == {dtype or "fp32"}
    for name in entries:
        segments = result.results[name].manifest.segments
        npu = [segment for segment in segments if segment.device == "npu"]
        assert len(npu) == 1 and npu[0].blob is not None and {port.tensor for port in npu[0].inputs} >= {"past.0.k", "past.1.v"}
        assert sum(len(segment.kernels) for segment in segments if segment.device == "cpu") == 1, "positions, in int64"
    session = result.bundle.session()
    assert not session.emulated and all(state.copied == 0 for state in result.manifest.states)
    assert all(len(addresses) == 1 for addresses in session.addresses().values())
    prompt = np.random.default_rng(3).integers(0, spec.vocabulary, 11).tolist()
    expected, closest = GrowingCache(decoder(spec)).greedy(prompt, 10)
    assert greedy(session, prompt, 10) == expected or closest < CLOSE
