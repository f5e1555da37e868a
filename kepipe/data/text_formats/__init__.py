"""Files of text, one module a format: each gives documents."""
