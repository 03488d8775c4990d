"""Model folders: base models, checkpoints and LoRA adapters, and whether they can be merged and served."""
