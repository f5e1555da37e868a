"""What holds for every test."""

from __future__ import annotations

import os

from hypothesis import settings

# How long an example takes says more of the machine than of the code.
settings.register_profile("kepipe", deadline=None)
settings.load_profile("kepipe")

# No test is about a power cut. Processes that tests start do wait for the disk.
os.fsync = lambda _: None  # type: ignore[assignment]
