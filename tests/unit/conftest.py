"""How long hypothesis looks: always the same examples in CI, more of them and new ones where asked for."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "check", max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("search", max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "check"))
