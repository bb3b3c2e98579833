"""How a process ended is said in the words of whoever can do something about it."""

from __future__ import annotations

import pytest

from autoglmc.compiler.parent import ending

SAID = {
    -11: "SIGSEGV", -9: "SIGKILL", -1: "SIGHUP", 139: "SIGSEGV", 137: "SIGKILL", 134: "SIGABRT", 245: "SIGSEGV", 250: "SIGABRT",
    1: "exit code 1", 3: "exit code 3", 127: "exit code 127", 128: "exit code 128", 129: "exit code 129", 255: "exit code 255",
    254: "exit code 254", 192: "exit code 192", -99: "signal 99",
}  # fmt: skip


@pytest.mark.parametrize("code", SAID)
def test_an_exit_of_its_own_is_no_signal(code: int) -> None:
    """255 is exit(-1), which compilers end with, and not the signal that a closed terminal sends."""
    assert ending(code) == SAID[code]
