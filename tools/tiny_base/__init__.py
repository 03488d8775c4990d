"""The recipe of the tiny base: architecture, tokenizer, drawn windows, losses and trials."""
