"""Fixtures and settings of all tests."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says more of the machine than of the code.
settings.register_profile("kepipe", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kepipe")

# No test is about a power cut. Processes that tests start do wait for the disk.
os.fsync = lambda _: None  # type: ignore[assignment]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Group tests by the folder or file of their first shared fixture: xdist runs each group in one process."""
    for item in items:
        if isinstance(item, pytest.Function):
            definitions = [found[-1] for found in item._fixtureinfo.name2fixturedefs.values()]
            for scope in ("session", "module"):
                shared = sorted({each.baseid for each in definitions if each.baseid and each.scope == scope})
                if shared:
                    item.add_marker(pytest.mark.xdist_group(shared[0]))
                    break
