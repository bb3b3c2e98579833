"""The golden files' own mechanism: a missing file fails and shows its text, an update is read back, CI never updates."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from golden import Golden, compare, refuse_in_ci


def test_a_missing_file_fails_and_shows_the_text(tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match="would write:\nwhat it says"):
        compare(tmp_path / "new.txt", "what it says\n", update=False)
    assert not (tmp_path / "new.txt").exists()


def test_another_text_fails_until_it_is_updated(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old\n")
    with pytest.raises(pytest.fail.Exception, match=r"(?s)pytest --update-golden\n.*-old\n\+new"):
        compare(path, "new\n", update=False)
    assert path.read_text() == "old\n"
    compare(path, "new\n", update=True)
    compare(path, "new\n", update=False)


@pytest.mark.parametrize(("ci", "refused"), [("true", True), ("1", True), ("", False), ("false", False)])
def test_ci_never_updates(ci: str, refused: bool) -> None:
    refuse_in_ci(False, {"CI": ci})
    if refused:
        with pytest.raises(pytest.UsageError):
            refuse_in_ci(True, {"CI": ci})
    else:
        refuse_in_ci(True, {"CI": ci})


def test_pytest_itself_refuses(golden: Golden) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "--update-golden", "--collect-only", __file__]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "CI": "true"})
    assert done.returncode == pytest.ExitCode.USAGE_ERROR and "--update-golden is refused in CI" in done.stdout + done.stderr
