"""Read text, segment it, tokenise it, write shards."""
