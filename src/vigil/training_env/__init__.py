"""Programs that run on the training environment's Python (torch); nothing of Vigil imports them."""
