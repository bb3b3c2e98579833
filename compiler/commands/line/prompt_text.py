"""The prompt of `autoglmc generate`: a word of the command line, a file, or stdin."""

from __future__ import annotations

import sys
from pathlib import Path

from ...errors import UsageError

STDIN = "-"
MOST = 64 << 20
"""Bytes of a prompt."""


def prompt_of(word: str | None, file: Path | None) -> str:
    """Raises UsageError for none or both, and for what is no text in UTF-8; UserError for a file that cannot be read."""
    from ...text.json_files import read_text, text_of

    if (word is None) == (file is None):
        what = "no prompt is given" if word is None else "--prompt and --prompt-file exclude each other"
        raise UsageError(what, help="--prompt TEXT, or --prompt-file FILE (- for stdin)")
    if file is None:
        return text_of((word or "").encode("utf-8", "surrogateescape"), "the prompt", "")
    if str(file) == STDIN:
        text: str | None = text_of(sys.stdin.buffer.read(MOST + 1), "the prompt", "stdin", MOST)
    else:
        text = read_text(file, MOST)
    if text is None:
        raise UsageError(f"there is no file {file}", where="--prompt-file")
    return text.removesuffix("\n").removesuffix("\r")
