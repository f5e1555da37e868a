"""Families outside the configurable `Transformer` that objectives train: NNLM, LSTM, CNN, Transformer-XL, XLNet."""
