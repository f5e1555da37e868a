"""ELMo (Peters et al. 2018): words in characters, read from both sides by LSTMs."""
