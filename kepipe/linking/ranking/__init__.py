"""Features → how likely each candidate is what its mention means."""
