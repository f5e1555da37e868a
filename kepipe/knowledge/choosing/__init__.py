"""Selection of facts for a text: the facts of an entity, rankings, and the choice."""
