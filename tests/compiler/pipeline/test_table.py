"""The order of the passes is what their facts say, and nothing else."""

from __future__ import annotations

import pytest

from autoglmc.compiler.pipeline.table import PIPELINE, Fact, check

KNOWN = frozenset({Fact.TYPED})


@pytest.mark.parametrize("index", range(len(PIPELINE) - 1))
def test_no_two_passes_can_change_places(index: int) -> None:
    table = list(PIPELINE)
    table[index : index + 2] = reversed(table[index : index + 2])
    with pytest.raises(ValueError, match=f"pass '{PIPELINE[index + 1].name}' needs"):
        check(table, KNOWN)


@pytest.mark.parametrize("row", PIPELINE[:-1], ids=lambda row: str(row.name))
def test_no_pass_can_be_left_out(row: object) -> None:
    with pytest.raises(ValueError, match="no pass before it gives it"):
        check([other for other in PIPELINE if other is not row], KNOWN)


def test_what_a_pass_breaks_is_lost() -> None:
    """realise-placement may write what simplifying takes out: recovering whole operators cannot come after it."""
    moved = [*(row for row in PIPELINE if row.name != "fuse-formulas"), next(row for row in PIPELINE if row.name == "fuse-formulas")]
    with pytest.raises(ValueError, match="needs FUSED: no pass before it gives it"):
        check(moved, KNOWN)
    late = [*PIPELINE, next(row for row in PIPELINE if row.name == "recover-whole")]
    with pytest.raises(ValueError, match="pass 'recover-whole' needs SIMPLE: 'realise-placement' broke it"):
        check(late, KNOWN)
