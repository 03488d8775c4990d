"""Gradio for the tests of the pages, loaded as `web.py` loads it: without the stub files that nobody here reads."""

from app.web.gradio_stubs import skip_gradio_stubs

with skip_gradio_stubs():
    import gradio  # noqa: F401
