"""What memory this process has, for tests of what is given back."""

from __future__ import annotations

import gc

import pytest

from autoglmc.compiler.run.give_back import give_back
from autoglmc.compiler.run.resident import status_bytes


def private_bytes() -> int:
    """Bytes that no file is behind, those of arenas included; what nobody has any more is freed first."""
    gc.collect()
    give_back()
    found = status_bytes()
    if found is None or "RssShmem" not in found:
        pytest.skip("this system does not tell what memory a process has")
    return found["RssAnon"] + found["RssShmem"]
