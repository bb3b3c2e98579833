"""A size that is not known is traced to the operator on whose values it depends."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_models import parse, save

from autoglmc.compiler.explain.explain_model import explain_model
from autoglmc.compiler.hw.load_target import load_target

ROUTED = """g (float[8,4] x, float[8] w) => (float[N,4] y) <float[4,4] m = {1,2,3,4,5,6,7,8,1,2,3,4,5,6,7,8}, int64[1] a = {0}> {
    z = NonZero(w) i = Squeeze(z, a) r = Gather(x, i) t = MatMul(r, m) y = Relu(t) }"""


@pytest.mark.parametrize("target", ["snapdragon_8gen3", "a16"])
def test_what_stands_behind_an_operator_of_open_size_says_which(tmp_path: Path, target: str) -> None:
    path = save(parse(ROUTED, opset=17), tmp_path)
    rows = {row.group.operator: row.group for row in explain_model(path, load_target(target), tries=0).rows}
    for operator in ("MatMul", "Relu"):
        assert "is not known: how large it is depends on values in NonZero `z`" in rows[operator].reason
    asked = explain_model(path, load_target(target), word="MatMul").subjects[0].alike
    assert "in NonZero `z`" in asked.verdicts[0].because
