"""A .aimodel folder on the interpreter that Apple ships with coreai-core: the machine's CPU, in place of an Apple device.

It runs in one child process for all assets of this one; where that has crashed, the next run starts another."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...activity import doing
from ...frames import Closed, receive, send
from ...own_python import PYTHON
from .api import ENTRY

COMMAND = (*PYTHON, "-m", "autoglmc.compiler.devices.core_ai.child")
WORDS = 300
"""Characters of its last words that a message quotes."""


class Interpreted:
    """The functions of an asset, by names. Raises RuntimeError where Core AI refuses the file, or crashes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        self._child, self._number, self.functions = self._load()

    def run(self, values: Mapping[str, Any], function: str = ENTRY) -> dict[str, Any]:
        """Arrays of the dtypes that the asset has. Raises RuntimeError where Core AI fails, or crashes."""
        return self.step(values, {}, function)[0]

    def step(self, values: Mapping[str, Any], states: Mapping[str, Any], function: str = ENTRY) -> tuple[dict[str, Any], dict[str, Any]]:
        """Outputs, and the states as the run leaves them. Raises as `run`."""
        if not self._child.lives:
            self._child, self._number, _ = self._load()
        running = f"running {self._folder.name} on Core AI's interpreter"
        with self._child.turn, doing(running, size=self._size, halt=self._child.halt):  # its time begins with its turn
            made: tuple[dict[str, Any], dict[str, Any]] = self._child.exchange(("run", self._number, function, dict(values), dict(states)))
        return made

    def _load(self) -> tuple[_Child, int, list[str]]:
        child = SHARED.living()
        loading = f"loading {self._folder.name} into Core AI's interpreter"
        with child.turn, doing(loading, size=self._size, halt=child.halt):
            number, functions = child.exchange(("load", str(self._folder.resolve())))
            return child, number, functions

    def __del__(self) -> None:
        """Told with the next message: the collector may call this in the middle of one."""
        child = getattr(self, "_child", None)
        if child is not None:
            child.dropped.append(self._number)


class _Child:
    """One process; one message at a time: whoever exchanges one has the `turn`. `dropped`: numbers of assets that nobody uses any more."""

    def __init__(self) -> None:
        self.turn, self._said, self.dropped = threading.Lock(), tempfile.TemporaryFile(), deque[int]()
        self._process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, bufsize=0)

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    def exchange(self, message: tuple[Any, ...]) -> Any:
        """Raises RuntimeError with what it says, or how it ended."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        try:
            send(stdin.fileno(), ([self.dropped.popleft() for _ in range(len(self.dropped))], message))
            right, answer = receive(stdout.fileno())
        except Closed:
            raise RuntimeError(self._death()) from None
        if not right:
            raise RuntimeError(answer)
        return answer

    def halt(self, stop: bool) -> None:
        """Ends it, whatever it does."""
        if stop:
            self._process.kill()

    def _death(self) -> str:
        code = self._process.wait()
        self._said.seek(0)
        words = " ".join(self._said.read().decode(errors="replace").split())[-WORDS:]
        how = f"crashed (signal {-code})" if code < 0 else f"ended with code {code}"
        return f"Apple's interpreter {how}{f': {words}' if words else ''}"


class _Shared:
    """The child of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def living(self) -> _Child:
        with self._lock:
            if self._child is None or not self._child.lives:
                self._child = _Child()
            return self._child


SHARED = _Shared()
"""Starting one takes longer than most small models do."""
