"""Progress: one live line on a terminal that can redraw, plain lines elsewhere, nothing with --quiet. Real pseudo-terminals."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from autoglmc.compiler.driver.job import Message
from autoglmc.compiler.report.progress import Lines, LiveLine, progress

STAGES = """
import sys, time
from autoglmc.compiler.report.progress import progress
class Message(str):
    budget = "attempt 2 of 12"
with progress({options}) as tell:
    tell("read-target")
    tell.warn("warning: a line as long as it likes to be, which nobody may cut because it is to be copied from the screen as it is")
    tell(Message("place-operators"))
    time.sleep(0.5)
    tell("plan")
    print("from a library", file=sys.stderr)
    time.sleep(0.3)
print("the result")
"""
WARNING = "a line as long as it likes to be, which nobody may cut because it is to be copied from the screen as it is"
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


def on_terminal(code: str, columns: int = 80, send: int | None = None, **environment: str) -> tuple[str, str, int]:
    """(what a terminal of stderr got, stdout through a pipe, exit code); `send`: a signal once the second stage is drawn."""
    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")}
    env |= {"TERM": "xterm-256color", **environment}
    child = subprocess.Popen([sys.executable, "-c", code], stdin=other, stdout=subprocess.PIPE, stderr=other, env=env, text=True)
    os.close(other)
    seen = b""
    while True:
        ready, _, _ = select.select([main], [], [], 60)
        try:
            part = os.read(main, 65536) if ready else b""
        except OSError:  # the other side is closed
            break
        if not part:
            break
        seen += part
        if send is not None and b"place-operators" in seen:
            child.send_signal(send)
            send = None
    os.close(main)
    out, _ = child.communicate(timeout=60)
    return seen.decode(), out, child.returncode


def drawn(text: str) -> list[str]:
    """Each state of the live line."""
    return re.findall(r"[|/\\-] [^\r\n\x1b]*", text)


def code(options: str = "") -> str:
    return STAGES.format(options=options)


def test_one_line_is_drawn_anew_and_leaves_no_trace() -> None:
    seen, out, returned = on_terminal(code())
    assert out == "the result\n" and returned == 0
    lines = drawn(seen)
    assert any(re.fullmatch(r". place-operators  \d\.\d s  attempt 2 of 12", line) for line in lines), lines
    assert any(re.fullmatch(r". plan  \d\.\d s  attempt 2 of 12", line) for line in lines), "what is left stands until it changes"
    assert seen.index(HIDE) < seen.rindex(SHOW) and seen.rstrip().endswith("\x1b[2K"), "erased, and the cursor is back"
    assert WARNING in seen.replace("\r\n", "") and "from a library" in seen


def test_each_state_fits_a_narrow_terminal() -> None:
    seen, _, _ = on_terminal(code(), columns=20)
    lines = drawn(seen)
    assert lines and max(map(len, lines)) <= 20
    assert any(line.startswith(("| place", "/ place", "- place", "\\ place")) for line in lines)


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"TERM": ""}])
def test_a_terminal_that_cannot_redraw_gets_lines(environment: dict[str, str]) -> None:
    seen, out, _ = on_terminal(code(), **environment)
    assert out == "the result\n" and "\x1b" not in seen
    assert [line for line in seen.split("\r\n") if line in ("read-target", "plan")] == ["read-target", "plan"]
    assert "place-operators (attempt 2 of 12)" in seen


def test_no_color_means_no_colour() -> None:
    seen, _, _ = on_terminal(code(), NO_COLOR="1")
    assert drawn(seen) and not re.search(r"\x1b\[[0-9;]*m", seen)


def test_json_gets_lines_and_quiet_nothing() -> None:
    assert "\x1b" not in (seen := on_terminal(code("plain=True"))[0]) and "place-operators" in seen
    assert on_terminal(code("quiet=True"))[0] == "from a library\r\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_erases_the_line_and_shows_the_cursor(number: signal.Signals) -> None:
    text = """
import sys, time
from autoglmc.compiler import cli
from autoglmc.compiler.driver.entries import compile_asked
def work(*arguments, progress, **options):
    progress("place-operators"); time.sleep(60)
compile_asked.compile_asked = work
sys.exit(cli.run(["m.onnx", "--target", "x86_cpu"]))
"""
    seen, out, returned = on_terminal(text, send=number)
    assert (out, returned) == ("", 130)
    assert seen.index("place-operators") < seen.rindex("\x1b[2K") < seen.index("interrupted: nothing was written")
    assert seen.count(SHOW) >= 1 and seen.rindex(SHOW) > seen.rindex(HIDE) and "Traceback" not in seen


def test_piped_stages_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as tell:
        assert isinstance(tell, Lines) and not isinstance(tell, LiveLine)
        tell("load")
        tell(Message("plan", "attempt 1 of 3"))
        tell(Message("emit", "attempt 1 of 3"))
        tell.warn("a warning\x1b[2J")
    shown = capsys.readouterr()
    assert (shown.out, shown.err.splitlines()) == ("", ["load", "plan (attempt 1 of 3)", "emit", "a warning\\x1b[2J"])


def test_verbose_stages_have_their_time(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(timed=True) as tell:
        tell("load")
    assert re.fullmatch(r" +\d+\.\d\d s  load\n", capsys.readouterr().err)


def test_quiet_shows_what_was_asked_for_and_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(quiet=True) as tell:
        tell("load")
        tell.warn("a warning")
        tell.show("// after recover")
    assert capsys.readouterr().err == "// after recover\n"


def test_a_message_with_a_budget_is_a_plain_message_too(tmp_path: Path) -> None:
    assert Message("plan", "attempt 1 of 3") == "plan" and Message("plan", "attempt 1 of 3").budget == "attempt 1 of 3"
