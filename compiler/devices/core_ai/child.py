"""`python -m autoglmc.compiler.devices.core_ai.child`: Apple's interpreter, for messages on stdin (see ../../frames.py).

A process of its own, which may crash, and which ends without Swift's last words: coreai-core 1.0.0b3 sometimes aborts a process that has
run a program when that ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from ...frames import Closed, receive, send
from ...parent import end_with_parent


class _Assets:
    """Loaded functions by number and name."""

    def __init__(self) -> None:
        self._loop, self._functions, self._next = asyncio.new_event_loop(), dict[int, dict[str, Any]](), 0

    def answer(self, message: tuple[Any, ...]) -> Any:
        """("load", folder) -> (number, names of functions); ("run", number, function, inputs, states) -> (outputs, states), each of them
        arrays by name."""
        verb, *given = message
        if verb == "load":
            self._next += 1
            self._functions[self._next] = self._loop.run_until_complete(_loaded(Path(given[0])))
            return self._next, list(self._functions[self._next])
        number, name, inputs, states = given
        return self._loop.run_until_complete(_run(self._functions[number][name], inputs, states))

    def drop(self, numbers: list[int]) -> None:
        for number in numbers:
            self._functions.pop(number, None)


async def _loaded(folder: Path) -> dict[str, Any]:
    """What is lowered for the interpreter lies in a folder that goes at once; the functions stay."""
    from coreai.authoring import AIModelAsset

    async with AIModelAsset.load(folder).executable() as model:
        return {name: model.load_function(name) for name in model.function_names}


async def _run(function: Any, inputs: dict[str, Any], states: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    from coreai.runtime import NDArray

    kept = {name: NDArray(value) for name, value in states.items()}
    made = await function({name: NDArray(value) for name, value in inputs.items()}, kept)
    return tuple({name: value.numpy() for name, value in arrays.items()} for arrays in (made, kept))  # type: ignore[return-value]


def main() -> int:
    """Never returns by itself: it ends when stdin does."""
    end_with_parent()
    answers = os.dup(1)
    os.dup2(2, 1)  # coreai-core says on stdout what it does
    assets = _Assets()
    while True:
        try:
            dropped, message = receive(0)
        except Closed:
            os._exit(0)
        assets.drop(dropped)
        try:
            answer = (True, assets.answer(message))
        except Exception as error:  # coreai-core raises types of its own
            answer = (False, " ".join(str(error).split()) or type(error).__name__)
        send(answers, answer)


if __name__ == "__main__":
    sys.exit(main())
