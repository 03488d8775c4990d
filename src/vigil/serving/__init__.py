"""A checkpoint behind vLLM, served as it was trained."""
