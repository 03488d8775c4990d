"""LoRA adapters as peft writes them: what is in one, whether a merge holds it, whether vLLM serves it unmerged."""
