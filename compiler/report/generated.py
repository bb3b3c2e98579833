"""What `autoglmc generate` says of a text on stderr: how fast it came, and why it ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..quantities import count, size, time

WHY = {
    "end": "the model ended the text",
    "stop": "a stop text was reached",
    "limit": "--max-tokens was reached",
    "full": "the caches are full: compile with a larger --max-length for more",
    "interrupted": "interrupted",
}


def lines(facts: Mapping[str, Any], seed: int | None, emulated: Sequence[str]) -> Iterator[str]:
    """seed: that tokens were drawn with, None where none were."""
    first, rate, private = facts["seconds"]["first_token"], facts["tokens_per_second"], facts["memory"]["private"]
    said = [f"{count(len(facts['tokens']), 'token')} after {facts['prompt_tokens']} of the prompt"]
    said += [] if rate is None else [f"{rate:.1f} tokens/s"]
    said += [] if first is None else [f"the first after {time(first)}"]
    said += [] if private is None else [f"private memory {size(private)}"]
    yield "; ".join(said)
    yield WHY[facts["finish"]] + ("" if seed is None else f"; drawn with --seed {seed}")
    if emulated:
        yield f"emulated on the CPU: segment {', '.join(emulated)}"
