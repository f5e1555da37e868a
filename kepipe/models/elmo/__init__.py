"""ELMo (Peters et al. 2018): character-based words, read by LSTMs in both directions."""
