"""Use of trained models: scoring and writing text, few-shot prompts, predictions of fine-tuned models."""
