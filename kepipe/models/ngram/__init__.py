"""N-gram language models: counted out of core, smoothed, mapped from disk, scored in batches; ARPA in and out."""
