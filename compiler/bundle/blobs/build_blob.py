"""`python -m autoglmc.compiler.bundle.blobs.build_blob ADAPTER MODEL BLOB [WORD…]`: one ahead-of-time compilation, see blob_cache.py."""

from __future__ import annotations

import sys
from pathlib import Path

from ...devices.find_adapter import adapter_for
from ...parent import end_with_parent


def main(arguments: list[str]) -> int:
    end_with_parent()
    name, model, blob, *words = arguments
    adapter = adapter_for(name, words)
    assert adapter is not None, name
    try:
        adapter.compile(Path(model), Path(blob))
    except Exception as error:  # runtimes raise types of their own; the parent process tells the message
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
