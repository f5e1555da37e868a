"""Features → the probability that a candidate is what its mention means."""
