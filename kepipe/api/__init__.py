"""What kepipe does, a function each: the command line parses and prints around them, Python calls them."""
