"""`runtime coreai`: from which system on, and what is said where coreai-core is not installed, or another version of it is."""

from __future__ import annotations

import importlib.metadata

import pytest

from autoglmc.compiler.devices.core_ai.adapter import RELEASE
from autoglmc.compiler.devices.find_adapter import absence, adapter_for

WORDS = ("ios", ">=", "27")


def with_version(monkeypatch: pytest.MonkeyPatch, found: str | None) -> None:
    def version(name: str) -> str:
        if found is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(importlib.metadata, "version", version)


def test_without_the_extra_it_is_named_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with_version(monkeypatch, None)
    lack = absence("coreai", WORDS)
    assert lack is not None and lack.reason == "Core AI (coreai-core) is not installed"
    assert lack.help == "pip install 'coreai-core==1.0.0b3'"


def test_another_version_is_not_taken_for_the_one_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    with_version(monkeypatch, "1.0.0")
    lack = absence("coreai", WORDS)
    assert lack is not None and lack.reason == f"coreai-core 1.0.0 is installed, and only {RELEASE} is supported"


@pytest.mark.parametrize("words", [(), ("ios", ">=", "26"), ("ios", ">=", "27", "macos", ">=", "26.4")])
def test_older_systems_have_no_core_ai(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    with_version(monkeypatch, RELEASE)
    lack = absence("coreai", words)
    assert lack is not None and lack.reason.endswith("Core AI begins with ios >= 27 and macos >= 27")


@pytest.mark.parametrize("words", [WORDS, ("macos", ">=", "27"), ("ios", ">=", "27.1", "macos", ">=", "28")])
def test_the_systems_stand_in_what_a_file_depends_on(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    with_version(monkeypatch, RELEASE)
    assert absence("coreai", words) is None
    adapter = adapter_for("coreai", words)
    assert adapter is not None
    stated = {f"minimum_{name}": number for name, number in zip(words[::3], words[2::3], strict=True)}
    assert adapter.versions() == {"coreai_core": RELEASE, **stated}
