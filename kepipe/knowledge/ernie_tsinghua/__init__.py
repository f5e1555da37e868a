"""ERNIE (Tsinghua): entity vectors fused with tokens, and the denoising entity auto-encoder (Zhang et al. 2019)."""
