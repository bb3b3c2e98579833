"""What Vela compiles for: the words of `runtime ethos_u vela 5.2 config u55-256 system … memory …`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

RELEASES = ("5.2",)
"""Of ethos-u-vela: another one writes other reports."""
INSTALL = "pip install 'ethos-u-vela==5.2.*'"
CORES: Mapping[str, str] = {"u55": "Ethos-U55", "u65": "Ethos-U65", "u85": "Ethos-U85"}
FILE = "Arm/vela.ini"
"""Comes with Vela."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """release: of Vela; config: "u55-256"; system and memory: names of sections of vela.ini."""

    release: str
    config: str
    system: str
    memory: str

    @property
    def core(self) -> str:
        """ "Ethos-U55"."""
        return CORES.get(self.config.partition("-")[0], "Ethos-U")

    def arguments(self) -> list[str]:
        """Of Vela's command line."""
        return [
            "--config", FILE, "--accelerator-config", f"ethos-{self.config}", "--system-config", self.system, "--memory-mode", self.memory,
        ]  # fmt: skip


def configuration(words: Sequence[str]) -> Configuration | None:
    """None where an option is missing."""
    given = dict(zip(words[::2], words[1::2], strict=False))
    needed = ("vela", "config", "system", "memory")
    return Configuration(*(given[name] for name in needed)) if all(name in given for name in needed) else None
