"""Fine-tuning tasks and probes."""
