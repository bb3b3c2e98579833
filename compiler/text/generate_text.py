"""Text behind a prompt, shown as it is made, with how long that took."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..run.decoder.sampling import Sampling
from ..run.resident import status_bytes
from .stop_texts import StopTexts
from .tokenizer import Pieces, Tokenizer

STOP, INTERRUPTED = "stop", "interrupted"
"""Why a text ended, besides what ends tokens (run/decoder/tokens.py): a stop text, or the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for."""

    max_tokens: int
    ends: Collection[int] = ()
    """Tokens that end the text."""
    stops: Sequence[str] = ()
    """Texts that end it, which are not part of it."""
    sampling: Sampling = field(default_factory=Sampling)


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """What was made."""

    text: str
    tokens: tuple[int, ...]
    prompt_tokens: int
    finish: str
    """Why it ended: "end", "stop", "limit", "full" or "interrupted"."""
    first_token: float | None
    """Seconds from the prompt to the first token; None without one."""
    following: float
    """Seconds for all tokens after the first."""
    private: int | None
    """Bytes of memory that this process shares with nobody, at the end; None where the system does not tell."""

    @property
    def tokens_per_second(self) -> float | None:
        """After the first token; None where there was none."""
        return (len(self.tokens) - 1) / self.following if len(self.tokens) > 1 and self.following > 0 else None

    def as_json(self) -> dict[str, Any]:
        return {
            "text": self.text,
            "tokens": list(self.tokens),
            "prompt_tokens": self.prompt_tokens,
            "finish": self.finish,
            "tokens_per_second": self.tokens_per_second,
            "seconds": {"first_token": self.first_token, "following": self.following},
            "memory": {"private": self.private},
        }


Generate = Callable[..., Generator[int, None, str]]
"""`Decoder.generate`, or `Linked.generate` that has its images already."""


def generate_text(
    generate: Generate, tokenizer: Tokenizer, prompt: Sequence[int], wanted: Wanted, show: Callable[[str], object]
) -> Generated:
    """`show` gets every part of the text once it is sure to be part of it. Ctrl-C ends the text where it is. Raises as `generate`."""
    pieces, stops = Pieces(tokenizer, prompt), StopTexts(wanted.stops)
    shown, tokens, marks, finish = [""], list[int](), [time.perf_counter()], ""

    def tell(text: str) -> None:
        if text:
            shown.append(text)
            show(text)

    sampling = {name: getattr(wanted.sampling, name) for name in wanted.sampling.__dataclass_fields__}
    making = generate(prompt, max_tokens=wanted.max_tokens, stop=wanted.ends, **sampling)
    try:
        while not stops.found:
            try:
                tokens.append(next(making))
            except StopIteration as ended:
                finish = ended.value
                break
            marks.append(time.perf_counter())
            tell(stops.add(pieces.add(tokens[-1])))
        tell(stops.add(pieces.rest()))
        tell(stops.rest())
    except KeyboardInterrupt:
        finish = INTERRUPTED
    memory = status_bytes()
    return Generated(
        text="".join(shown),
        tokens=tuple(tokens),
        prompt_tokens=len(prompt),
        finish=STOP if stops.found else finish,
        first_token=marks[1] - marks[0] if len(marks) > 1 else None,
        following=marks[-1] - marks[1] if len(marks) > 1 else 0.0,
        private=None if memory is None else memory["RssAnon"],
    )
