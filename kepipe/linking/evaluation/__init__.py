"""How good links are, why a linker decided as it did, and what it misses."""
