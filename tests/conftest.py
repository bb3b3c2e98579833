"""Test settings: golden texts, and how long property-based tests look.

Property-based tests are deterministic; AUTOGLMC_RANDOM=N makes a longer, truly random run of N examples, AUTOGLMC_UNSHRUNK=1 leaves a
failing example as it was found (for mutants, of which only the failure counts).
"""

from __future__ import annotations

import os

import pytest
from golden import Golden, compare, refuse_in_ci
from hypothesis import HealthCheck, Phase, settings

if "PYTEST_XDIST_WORKER" in os.environ:  # pytest-xdist tells its processes the width of its own terminal; screens would take it for theirs
    os.environ.pop("COLUMNS", None)
SLOW_CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile("ci", derandomize=True, deadline=None, database=None, suppress_health_check=SLOW_CHECKS)
settings.register_profile(
    "random", max_examples=int(os.environ.get("AUTOGLMC_RANDOM") or "1000"), deadline=None, suppress_health_check=SLOW_CHECKS
)
settings.register_profile("unshrunk", settings.get_profile("ci"), phases=(Phase.explicit, Phase.generate))
settings.load_profile("random" if os.environ.get("AUTOGLMC_RANDOM") else "unshrunk" if os.environ.get("AUTOGLMC_UNSHRUNK") else "ci")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what tests compare with golden files into those files")


def pytest_configure(config: pytest.Config) -> None:
    refuse_in_ci(config.getoption("--update-golden"), os.environ)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """See tests/golden.py. Read the diff of an update before you commit it."""
    update = request.config.getoption("--update-golden")
    return lambda name, text: compare(request.path.parent / name, text, update)


def pytest_make_parametrize_id(val: object) -> str | None:
    """A test is not named by bytes: pytest-xdist refuses names that differ between processes, as bytes that hold the time do."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None
