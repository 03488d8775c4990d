"""Turns labelled clips into a LLaMA-Factory dataset: find, group, split, window, describe, check and preview them."""
