"""Whether new text is like the text on which a model was trained: a table of measures."""
