"""Static word vectors: word2vec, fastText, GloVe. A word has one vector, independent of its context."""
