"""Trains the tiny base model: architecture, tokenizer, drawn windows, losses, evaluation and trials."""
