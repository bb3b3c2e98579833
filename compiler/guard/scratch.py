"""What a command leaves outside its results: temporary files, and what libraries write to stderr."""

from __future__ import annotations

import contextlib
import os

NOISY, END = 1 << 20, 1 << 12
"""Bytes of noise that are kept, and that are looked at."""
PLACES = ("TMPDIR", "TEMP", "TMP")
"""Variables that name the folder of temporary files, as tempfile reads them."""


class Scratch:
    """A folder for temporary files, of this command and what it starts, and a file for noise. Neither is there where it cannot be made."""

    def __init__(self) -> None:
        self.outside = next((os.environ[name] for name in PLACES if os.path.isdir(os.environ.get(name, ""))), "/tmp")
        self.noise: int | None = None
        self._folder = ""
        with contextlib.suppress(OSError):
            folder = os.path.join(os.path.abspath(self.outside), f"autoglmc-{os.getpid()}-{os.urandom(4).hex()}")
            os.mkdir(folder, 0o700)
            self._folder = folder
        with contextlib.suppress(OSError, AttributeError):
            self.noise = os.memfd_create("autoglmc-stderr")

    def use(self) -> None:
        """In the process of the command, before it asks for the first temporary file."""
        if self._folder:
            os.environ["TMPDIR"] = self._folder

    def trim(self) -> None:
        """Drops noise that has grown too long."""
        if self.noise is not None and os.fstat(self.noise).st_size > NOISY:
            os.ftruncate(self.noise, 0)

    def said(self) -> str:
        """The end of the noise."""
        if self.noise is None:
            return ""
        begin = max(os.fstat(self.noise).st_size - END, 0)
        return os.pread(self.noise, END, begin).decode("utf-8", "replace").replace("\0", "")

    def remove(self) -> None:
        if self._folder:
            with contextlib.suppress(OSError):
                os.rmdir(self._folder)  # nearly always empty
                self._folder = ""
        if self._folder:
            import shutil

            shutil.rmtree(self._folder, ignore_errors=True)
        if self.noise is not None:
            os.close(self.noise)
