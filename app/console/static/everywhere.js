// Runs on every page, of the console and of Gradio.
