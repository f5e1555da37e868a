"""N-gram language models: out-of-core counting, smoothing, memory-mapped tables, batched scoring, import and export of
ARPA files."""
