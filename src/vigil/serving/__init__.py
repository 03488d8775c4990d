"""Serves a model folder with vLLM, under the contract it was trained with."""
