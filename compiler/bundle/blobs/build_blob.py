"""`python -m autoglmc.compiler.bundle.blobs.build_blob ADAPTER MODEL BLOB [WORD…]`: one ahead-of-time compilation, see blob_cache.py."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from ...devices.adapter import FAULTS, CompilerFault
from ...devices.find_adapter import adapter_for
from ...parent import end_with_parent
from .blob_cache import FAULT, REFUSED


def main(arguments: list[str]) -> int:
    """See `outcome`."""
    end_with_parent()
    name, model, blob, *words = arguments
    adapter = adapter_for(name, words)
    assert adapter is not None, name
    return outcome(lambda: adapter.compile(Path(model), Path(blob)))


def outcome(compiles: Callable[[], None]) -> int:
    """0, REFUSED or FAULT with the reason on stderr."""
    try:
        compiles()
    except FAULTS as fault:
        if not isinstance(fault, CompilerFault):
            traceback.print_exc()  # ends with a line of its own: its type and what it says
        else:
            sys.stderr.write(f"{fault}\n")
        return FAULT
    except Exception as error:  # runtimes raise types of their own; the parent process tells the message
        sys.stderr.write(f"{error}\n")
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
