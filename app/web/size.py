"""The largest file that may be sent, told by the page itself before anything is sent."""

import json
from pathlib import Path

from app.web.context import MB
from app.web.language import Language, translator

UPLOAD_SCRIPT = (Path(__file__).resolve().parent / "scripts" / "size.js").read_text(encoding="utf-8")


def upload_limit_script(language: Language, *, upload_mb: int) -> str:
    """The script for the head of a page."""
    words = translator(language)("site.too_big", names="{names}", limit=upload_mb)
    told = json.dumps(words).replace("<", "\\u003c")
    return (
        f"<script>\n(() => {{\nconst most = {upload_mb * MB};\nconst words = {told};\n{UPLOAD_SCRIPT}}})();\n</script>"
    )
