"""Inference with trained models: scoring and generating text, few-shot prompts, predictions of fine-tuned models."""
