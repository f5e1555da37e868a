"""The graph as linking uses it: columns of entity properties, and name variants that the graph does not list."""
