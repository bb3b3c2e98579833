"""--memory-limit: a compilation says how much memory it needs before it writes anything, and stays within that."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_agents import LINKS, SPEC, Agent

from autoglmc.compiler.activity import Limits, limited
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.entries import compile_models as together
from autoglmc.compiler.driver.entries.compile_entries import Asked
from autoglmc.compiler.state.request import StateRequest
from autoglmc.compiler.verify.memory_ahead import PlannedSizes, TooMuchMemory, Verifying, check_memory_ahead, memory_ahead

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
from made_decoder import Size, write_decoder

RUN = (sys.executable, "-c", "import sys; from autoglmc.compiler.cli import main; sys.exit(main())", "compile")
SMALL = Size(layers=2, hidden=512, inner=1408, vocabulary=4000, heads=8, groups=4)
"""40 MiB."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_decoder(tmp_path_factory.mktemp("decoder"), SMALL)


@pytest.fixture(scope="module")
def free(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Digests of the bundle that is made without a limit."""
    out = tmp_path_factory.mktemp("free") / "b"
    assert compiled(model, out)[0] == 0
    return digests(out)


def compiled(model: Path, out: Path, *more: str, enter: Callable[[], None] | None = None) -> tuple[int, str]:
    """Exit code and what was said. enter: is called in the process before it begins."""
    command = [*RUN, str(model), "--target", "x86_cpu", "-o", str(out), "--quiet", *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=enter)
    return done.returncode, done.stderr


def digests(folder: Path) -> Mapping[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.rglob("*")) if file.is_file()}


def needed(said: str) -> int:
    found = re.search(r"--memory-limit (\d+)MiB is enough", said)
    assert found is not None, said
    return int(found[1]) * 2**20


def test_ten_percent_more_is_enough_and_ten_percent_less_is_refused(model: Path, free: Mapping[str, str], tmp_path: Path) -> None:
    code, said = compiled(model, tmp_path / "none", "--memory-limit", "100MiB")
    least = needed(said)
    assert code == 1 and "compiling and verifying takes up to" in said and not (tmp_path / "none").exists()
    assert compiled(model, tmp_path / "more", "--memory-limit", str(int(1.1 * least)))[0] == 0
    assert digests(tmp_path / "more") == free
    code, said = compiled(model, tmp_path / "less", "--memory-limit", str(int(0.9 * least)))
    assert code == 1 and abs(needed(said) - least) < 0.05 * least and not (tmp_path / "less").exists()


def test_without_verification_weights_take_no_memory(model: Path, tmp_path: Path) -> None:
    with limited(Limits(memory=1)), pytest.raises(TooMuchMemory) as refused:
        compile_model(model, "x86_cpu", output=tmp_path / "b", verify=False)
    assert "held now" in str(refused.value) and "packed" not in str(refused.value)


STEPS = ("--state", "past.*=present.*", "--bucket", "prefill=8", "--bucket", "decode", "--max-length", "64")
TINY = Path(__file__).parents[2] / "models" / "decoder_tiny.onnx"


def test_steps_of_a_decoder_are_foreseen_too(tmp_path: Path) -> None:
    code, said = compiled(TINY, tmp_path / "none", *STEPS, "--memory-limit", "90MiB")
    least = needed(said)
    assert code == 1 and "while entries run" in said and not (tmp_path / "none").exists()
    assert compiled(TINY, tmp_path / "free", *STEPS)[0] == 0
    assert compiled(TINY, tmp_path / "more", *STEPS, "--memory-limit", str(int(1.1 * least)))[0] == 0
    assert digests(tmp_path / "more") == digests(tmp_path / "free")
    code, said = compiled(TINY, tmp_path / "less", *STEPS, "--memory-limit", str(int(0.9 * least)))
    assert code == 1 and abs(needed(said) - least) < 0.05 * least and not (tmp_path / "less").exists()


def test_so_are_models_that_are_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check = together.check_memory_of_entries

    def checked(*arguments: Any, **options: Any) -> None:
        with limited(Limits(memory=1)):  # each model by itself would be refused first
            check(*arguments, **options)

    monkeypatch.setattr(together, "check_memory_of_entries", checked)
    state, entries = StateRequest((("past.*", "present.*"),), 40), {"prefill": Asked(shapes={}, tokens=12)}
    models = Agent(spec=replace(SPEC, layers=1)).models()
    with pytest.raises(TooMuchMemory, match="in this process while entries run"):
        together.compile_models(models, "x86_cpu", links=LINKS, entries=entries, state=state, output=tmp_path / "b", verify=True)
    assert not list(tmp_path.iterdir())


GROUPS = Path("/sys/fs/cgroup/memory")
"""Control groups of version 1."""


@contextmanager
def group(limit: int) -> Iterator[Callable[[], None]]:
    """What puts a process into a control group that may have so many bytes. Skips where none can be made."""
    folder = GROUPS / f"autoglmc-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as problem:
        pytest.skip(f"no control group can be made here: {problem}")
    try:
        (folder / "memory.limit_in_bytes").write_text(str(limit))
        yield lambda: (folder / "cgroup.procs").write_text(str(os.getpid())) and None
        assert "oom_kill 0" in (folder / "memory.oom_control").read_text()
    finally:
        folder.rmdir()


def test_a_control_group_is_kept_without_being_told(model: Path, free: Mapping[str, str], tmp_path: Path) -> None:
    """All processes together: a tenth less than foreseen is refused, with a tenth more the bundle is the same. Files that are mapped count
    in a group, until the system needs their pages."""
    with group(1 << 28) as enter:
        code, said = compiled(model, tmp_path / "none", enter=enter)
    found = re.search(r"takes up to ([\d.]+) MiB of memory in all processes", said)
    assert code == 1 and found is not None and not (tmp_path / "none").exists(), said
    whole = int(float(found[1]) * 2**20)
    with group(int(0.9 * whole)) as enter:
        code, said = compiled(model, tmp_path / "less", enter=enter)
    assert code == 1 and "in all processes" in said and not (tmp_path / "less").exists()
    with group(int(1.1 * whole)) as enter:
        assert compiled(model, tmp_path / "more", enter=enter) == (0, "")
    assert digests(tmp_path / "more") == free


@given(st.integers(0, 1 << 33), st.integers(0, 1 << 30), st.booleans(), st.booleans())
def test_the_limit_that_is_named_is_enough_and_little_more(weights: int, made: int, verify: bool, at_once: bool) -> None:
    sizes = PlannedSizes(weights=weights, packed=weights // 2, largest=weights // 9, activations=made, given=made // 2, made=made)
    found = memory_ahead(sizes, 1 << 27, 0, Verifying(at_once=at_once) if verify else None)
    assert all(sum(one.terms.values()) == one.total for one in found)
    with pytest.raises(TooMuchMemory) as refused:
        check_memory_ahead(found, 0, verify=verify)
    least = needed(refused.value.help)
    check_memory_ahead(found, least, verify=verify)
    most = max(one.total for one in found)
    assert most <= least <= 1.05 * most + 2**20
    with pytest.raises(TooMuchMemory):
        check_memory_ahead(found, most - 1, verify=verify)
