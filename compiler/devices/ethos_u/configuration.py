"""What Vela compiles for: the words of `runtime ethos_u vela 5.2 config u55-256 system … memory …`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

RELEASES = ("5.2",)
"""Of ethos-u-vela: another one writes other reports."""
INSTALL = "pip install 'ethos-u-vela==5.2.*'"
CORES: Mapping[str, str] = {"u55": "Ethos-U55", "u65": "Ethos-U65", "u85": "Ethos-U85"}
FILE = "Arm/vela.ini"
"""Comes with Vela."""
IN_SRAM = frozenset({"Shared_Sram"})
"""Memory modes in which the arena, and nothing else, lies in the SRAM whose size Vela can be given."""
WHOLE = re.compile(r"[1-9]\d{0,15}")
"""Bytes of an arena."""
ARENA_STEPS = 16
"""To which each doubling of that size is rounded down, so that boards that differ by little are compiled for once."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """release: of Vela; config: "u55-256"; system and memory: names of sections of vela.ini."""

    release: str
    config: str
    system: str
    memory: str
    arena: int | None = None
    """Bytes within which Vela tries to keep activations; None for all that the mode has."""

    @property
    def core(self) -> str:
        """ "Ethos-U55"."""
        return CORES.get(self.config.partition("-")[0], "Ethos-U")

    def arguments(self) -> list[str]:
        """Of Vela's command line."""
        return [
            "--config", FILE, "--accelerator-config", f"ethos-{self.config}", "--system-config", self.system, "--memory-mode", self.memory,
            *(["--arena-cache-size", str(self.arena)] if self.arena is not None else []),
        ]  # fmt: skip

    def words(self) -> tuple[str, ...]:
        """Of which `configuration` makes this."""
        plain = ("vela", self.release, "config", self.config, "system", self.system, "memory", self.memory)
        return plain if self.arena is None else (*plain, "arena", str(self.arena))


def configuration(words: Sequence[str]) -> Configuration | None:
    """None where an option is missing, or an arena is no number of bytes."""
    given = dict(zip(words[::2], words[1::2], strict=False))
    needed = ("vela", "config", "system", "memory")
    if not all(name in given for name in needed):
        return None
    if not WHOLE.fullmatch(given.get("arena", "1")):
        return None
    release, config, system, memory = (given[name] for name in needed)
    return Configuration(release, config, system, memory, int(given["arena"]) if "arena" in given else None)


def rounded_arena(size: int) -> int:
    """65,536 stays, 100,000 is 98,304."""
    step = max((1 << size.bit_length() - 1) // ARENA_STEPS, ARENA_STEPS)
    return size // step * step
