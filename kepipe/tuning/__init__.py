"""Search for settings. Optuna lives here and nowhere else."""
