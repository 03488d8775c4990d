"""Vigil teaches a small vision-language model what an incident looks like and keeps watch with it."""

__version__ = "0.1.0"
