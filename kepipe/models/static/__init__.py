"""Static word vectors: word2vec, fastText, GloVe. A word has one vector, whatever stands around it."""
