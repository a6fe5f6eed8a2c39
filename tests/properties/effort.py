"""How much the properties are tried: the same inputs each time in the suite, more and others for whoever asks."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("GRANTWELL_PROPERTY_EXAMPLES", "0"))
"""How many inputs each property is tried with; 0 is the choice of the suite."""

effort = settings(
    max_examples=EXAMPLES or 50,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
