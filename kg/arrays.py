"""Array types of kepipe and its graph library, one name per dtype."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Ints32 = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Hashes = npt.NDArray[np.uint64]
AnyFloats = npt.NDArray[np.floating]
"""Floats of any precision."""
