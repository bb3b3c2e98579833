"""--update-golden writes what the checks say now over the golden files; read the diff before committing it."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", default=False, help="write tests/grammar/errors/*.txt anew")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    # the option is known only where pytest was started on this folder
    return bool(request.config.getoption("--update-golden", default=False))
