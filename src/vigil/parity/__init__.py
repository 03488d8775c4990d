"""Checks that a served model receives exactly the prompts it was trained on."""
