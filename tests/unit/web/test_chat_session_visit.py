import pytest
from app.web.chat_session import escape_html


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)>"),
        ("</div><!-- x -->", "&lt;/div>&lt;!-- x -->"),
        ("5 < 6 && 7 > 3", "5 < 6 && 7 > 3"),
        ("&lt;b&gt;", "&amp;lt;b&amp;gt;"),
        ('{"a": 1}', '{"a": 1}'),
    ],
)
def test_no_text_opens_a_tag(text: str, shown: str) -> None:
    assert escape_html(text) == shown
