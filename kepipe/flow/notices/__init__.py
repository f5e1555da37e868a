"""Word of what a scheduler fired, to whoever wants it: a table of ways."""
