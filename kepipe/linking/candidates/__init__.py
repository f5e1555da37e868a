"""Where names of a graph stand in texts, and which entities each may mean."""
