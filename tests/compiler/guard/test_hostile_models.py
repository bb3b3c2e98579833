"""Every command on hostile models ends within its limits, with one message, and leaves nothing behind. A limit of time is waited for, so
a third of the pairs is tried: each model by several commands, each command on some. AUTOGLMC_HOSTILE=all tries every pair."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
from hostile_models import MODELS, Ended, run_command
from small_models import save

from autoglmc.compiler import cli

SECONDS = "4"
LIMITS = ("--time-limit", SECONDS, "--memory-limit", "1GiB")
COMMANDS = {
    "check": ("check", "m.onnx"),
    "compile": ("m.onnx", "--target", "x86_cpu", "-o", "new"),
    "compile on a device that is not here": ("m.onnx", "--target", "a16", "--emulate", "-o", "new"),
    "compile unverified": ("m.onnx", "--target", "x86_cpu", "--no-verify", "--allow-unverified", "-o", "new"),
    "verify each": ("m.onnx", "--target", "x86_cpu", "--verify-each", "-o", "new"),
    "why": ("why", "m.onnx", "--target", "x86_cpu"),
    "verify": ("verify", "m.onnx", "b"),
    "against runtime": ("verify", "m.onnx", "--against-runtime"),
    "run": ("run", "b", "--input", "x.npz"),
    "requests": ("run", "b", "--input", "x.npz", "--requests", "2"),
    "pipeline": ("run", "b", "--input", "x.npz", "--requests", "2", "--pipeline"),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for each model, with its bundle where it can be compiled at all."""
    found = {}
    for name, make in MODELS.items():
        folder = found[name] = tmp_path_factory.mktemp(name) / "work"
        folder.mkdir()
        model = save(make(), folder, "m.onnx")
        np.savez(folder / "x.npz", x=np.ones((1, 4), np.float32))
        if name != "functions":
            assert (
                cli.run(
                    [
                        str(model),
                        "--target",
                        "x86_cpu",
                        "--no-verify",
                        "--allow-unverified",
                        "--time-limit",
                        "1",
                        "-q",
                        "-o",
                        str(folder / "b"),
                    ]
                )
                == 0
            )
    return found


def check_ended(ended: Ended, *, may_write: str = "") -> None:
    assert ended.code in (0, 1, 4), ended
    assert set(ended.left) <= {may_write}, ended
    assert "Traceback" not in ended.err + ended.out
    messages = re.findall(r"^error: .*$", ended.err, re.MULTILINE)
    assert len(messages) <= 1 and "terminate called" not in ended.err, ended.err
    assert bool(messages) or ended.code in (0, 4) or re.search(r"^(fail|verify) ", ended.out, re.MULTILINE), ended


PAIRS = [(model, command) for model in MODELS for command in COMMANDS]
TRIED = PAIRS if os.environ.get("AUTOGLMC_HOSTILE") == "all" else PAIRS[::3]


def test_every_model_and_every_command_is_tried() -> None:
    assert {model for model, _ in TRIED} == set(MODELS) and {command for _, command in TRIED} == set(COMMANDS)


@pytest.mark.parametrize(("model", "command"), TRIED)
def test_it_ends_and_leaves_nothing(model: str, command: str, places: dict[str, Path]) -> None:
    if "b" in COMMANDS[command] and not (places[model] / "b").exists():
        pytest.skip("it has no bundle")
    ended = run_command(*COMMANDS[command], *LIMITS, folder=places[model])
    written = places[model] / "new"
    check_ended(ended, may_write="new")
    assert ended.seconds < 90, ended  # each single thing ends within four seconds; a busy machine does several
    if written.exists():
        assert ended.code in (0, 4)
        for path in sorted(written.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        written.rmdir()


def test_the_message_names_the_step_and_the_option(places: dict[str, Path]) -> None:
    run = run_command("run", "b", "--input", "x.npz", *LIMITS, folder=places["endless"])
    assert run.code == 1 and run.err == (
        "error: running the bundle for x86_cpu (segment 0 on cpu) took more than 4 s\n"
        "  help: if it only needs longer, allow more: --time-limit SECONDS (time_limit in Python)\n"
    )
    run = run_command("run", "b", "--input", "x.npz", *LIMITS, "--json", folder=places["doubling"])
    assert run.code == 1 and run.err == "" and '"kind": "process"' in run.out and "took more than 1.00 GiB of memory" in run.out
    check = run_command("check", "m.onnx", *LIMITS, folder=places["endless"])
    assert check.code == 1 and "running the model with x [1,4] took more than 4 s" in check.out and check.out.count("pass ") == 4
