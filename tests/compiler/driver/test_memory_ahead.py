"""--memory-limit: a compilation says how much memory it needs before it writes anything, and stays within that."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoglmc.compiler.activity import Limits, limited
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.verify.memory_ahead import PlannedSizes, TooMuchMemory, check_memory_ahead, memory_ahead

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
from made_decoder import Size, write_decoder

RUN = (sys.executable, "-c", "import sys; from autoglmc.compiler.cli import main; sys.exit(main())", "compile")
SMALL = Size(layers=2, hidden=512, inner=1408, vocabulary=4000, heads=8, groups=4)
"""40 MiB."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_decoder(tmp_path_factory.mktemp("decoder"), SMALL)


def compiled(model: Path, out: Path, *more: str) -> tuple[int, str]:
    """Exit code and what was said."""
    command = [*RUN, str(model), "--target", "x86_cpu", "-o", str(out), "--quiet", *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def digests(folder: Path) -> Mapping[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.rglob("*")) if file.is_file()}


def needed(said: str) -> int:
    found = re.search(r"--memory-limit (\d+)MiB is enough", said)
    assert found is not None, said
    return int(found[1]) * 2**20


def test_ten_percent_more_is_enough_and_ten_percent_less_is_refused(model: Path, tmp_path: Path) -> None:
    code, said = compiled(model, tmp_path / "none", "--memory-limit", "100MiB")
    least = needed(said)
    assert code == 1 and "compiling and verifying takes up to" in said and not (tmp_path / "none").exists()
    assert compiled(model, tmp_path / "free")[0] == 0
    assert compiled(model, tmp_path / "more", "--memory-limit", str(int(1.1 * least)))[0] == 0
    assert digests(tmp_path / "more") == digests(tmp_path / "free")
    code, said = compiled(model, tmp_path / "less", "--memory-limit", str(int(0.9 * least)))
    assert code == 1 and abs(needed(said) - least) < 0.05 * least and not (tmp_path / "less").exists()


def test_without_verification_weights_take_no_memory(model: Path, tmp_path: Path) -> None:
    with limited(Limits(memory=1)), pytest.raises(TooMuchMemory) as refused:
        compile_model(model, "x86_cpu", output=tmp_path / "b", verify=False)
    assert "held now" in str(refused.value) and "packed" not in str(refused.value)


@given(st.integers(0, 1 << 33), st.integers(0, 1 << 30), st.booleans())
def test_the_limit_that_is_named_is_enough_and_little_more(weights: int, made: int, verify: bool) -> None:
    sizes = PlannedSizes(weights=weights, packed=weights // 2, largest=weights // 9, activations=made, given=made // 2, made=made)
    found = memory_ahead(sizes, 1 << 27, verify=verify, staged=1 << 29)
    assert all(sum(one.terms.values()) == one.total for one in found)
    with pytest.raises(TooMuchMemory) as refused:
        check_memory_ahead(found, 0, verify=verify)
    least = needed(refused.value.help)
    check_memory_ahead(found, least, verify=verify)
    most = max(one.total for one in found)
    assert most <= least <= 1.05 * most + 2**20
    with pytest.raises(TooMuchMemory):
        check_memory_ahead(found, most - 1, verify=verify)
