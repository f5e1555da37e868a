"""The training loop and what it stands on: schedule, optimiser, checkpoints, data prepared ahead."""
