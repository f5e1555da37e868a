"""What a graph gives a model: the table of knowledge methods, one folder or file a method."""
