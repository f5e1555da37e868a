"""What linking knows of a graph: its entities in columns, and the names that they have without saying so."""
