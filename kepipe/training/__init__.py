"""The training loop: schedule, optimiser, checkpoints, prefetching of data."""
