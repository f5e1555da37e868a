"""Each candidate as numbers: how its name stands in the text, and how the entity goes with it."""
