"""The benchmark of integers on LiteRT, on one small model; and that it can fail."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest
from litert_integers import OWN, Compared, compared, faults, lines, row

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed: pip install 'autoglmc[litert]'")


@pytest.fixture(scope="module")
def lightnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compared]:
    logging.disable(logging.WARNING)
    yield compared("lightnet", OWN, tmp_path_factory.mktemp("lightnet"))
    logging.disable(logging.NOTSET)


def test_lightnet_in_int8_is_within_a_step_operator_by_operator(lightnet: Compared) -> None:
    assert not list(faults(lightnet.units))
    inside = [one for one in lightnet.units if not one.in_floats]
    assert len(inside) >= 0.95 * len(lightnet.units) and sum(one.elements for one in inside) > 1e6
    assert {one.why_in_floats for one in lightnet.units if one.in_floats} == {
        "LayerNormalization takes many operators in integers: floats are faster and more exact"
    }
    assert lightnet.cosine > 0.999


def test_a_unit_that_is_further_off_is_found(lightnet: Compared) -> None:
    conv = next(one for one in lightnet.units if one.operators == ("Conv",))
    assert list(faults([replace(conv, steps=2, apart=1)])) == [f"{conv.result} (Conv) is 2 steps off"]
    assert "are no ties" in next(faults([replace(conv, steps=1, apart=5, ties=4)]))


def test_the_table_counts_what_is_in_integers(lightnet: Compared) -> None:
    cells = [cell.strip() for cell in row(lightnet).strip("|").split("|")]
    assert cells[:4] == ["lightnet", OWN, str(len(lightnet.units)), str(sum(not one.in_floats for one in lightnet.units))]
    assert sum("floats" in line for line in lines(lightnet.units)) == 1
