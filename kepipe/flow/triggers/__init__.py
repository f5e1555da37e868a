"""What fires a schedule: a table of triggers."""
