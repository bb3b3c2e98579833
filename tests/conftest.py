"""Test settings: property-based tests are deterministic; AUTOGLMC_RANDOM=N makes a longer, truly random run of N examples."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

SLOW_CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile("ci", derandomize=True, deadline=None, database=None, suppress_health_check=SLOW_CHECKS)
settings.register_profile(
    "random", max_examples=int(os.environ.get("AUTOGLMC_RANDOM") or "1000"), deadline=None, suppress_health_check=SLOW_CHECKS
)
settings.load_profile("random" if os.environ.get("AUTOGLMC_RANDOM") else "ci")
