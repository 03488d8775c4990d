"""What a visitor asks for and does not get, and how that is told."""

import html

import gradio as gr

from app.web.language import Translator
from app.web.visit import escape_html


class RequestRefused(Exception):
    """What cannot be done: why, in words for the visitor, and whether the file of a message is given back too."""

    def __init__(self, words: str, *, detail: str = "", keeps_files: bool = False) -> None:
        self.detail = detail
        self.keeps_files = keeps_files
        super().__init__(words)


def error_toast(t: Translator, key: str, error: Exception) -> gr.Error:
    """An error of the library as a toast: what did not work in the page's words, then the library's own."""
    return gr.Error(escape_html(f"{t(key)} {error}"), title=t("site.problem"), print_exception=False)


def notice_html(words: str, detail: str = "", *, quiet: bool = False) -> str:
    """A notice as HTML, all of it escaped; the details are the library's own words."""
    if not words:
        return ""
    more = f"<small>{html.escape(detail)}</small>" if detail else ""
    kind = ' is-quiet" role="status' if quiet else '" role="alert'
    return f'<div class="vigil-notice{kind}">{html.escape(words)}{more}</div>'
