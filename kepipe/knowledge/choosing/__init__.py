"""Which facts of an entity go with a text: the facts there are, the rankings, and the choice."""
