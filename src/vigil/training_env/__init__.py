"""Scripts that run in the training environment's Python (torch); no module of Vigil imports them."""
