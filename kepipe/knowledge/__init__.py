"""Knowledge methods: ways to use a graph in a model. The table of methods, and one folder or file for each."""
