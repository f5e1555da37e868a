"""What a new model has to show to become champion: a table of conditions."""
