"""From clips to what LLaMA-Factory trains on: find, group, split, cut, describe, check and look at them."""
