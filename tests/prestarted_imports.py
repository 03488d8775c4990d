"""What the server of `tests/prestarted.py` loads before it makes processes: what the pages and the service import."""

import os

from vigil.environments import gc_frozen

os.environ.setdefault("MPLBACKEND", "agg")  # as `app.server` sets it before it loads what draws
with gc_frozen():
    import app.api.app
    import app.server
    import app.web.gradio_pages
    import app.web.site  # noqa: F401
