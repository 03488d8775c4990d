"""What the tests of the chat share: attaching a file and asking, as soon as the page takes it."""

from pathlib import Path

from playwright.sync_api import Page, expect

WHOLE = 2
"""The last of the ways to look at a film: one answer about all of it."""


def attach(page: Page, *files: Path) -> None:
    """Puts files into the box, as the button does; they are there when the page shows them, not when they were sent."""
    with page.expect_response(lambda response: "/upload" in response.url):
        page.set_input_files("#chat-box input[type=file]", list(files))
    expect(page.locator("#chat-box .thumbnail-item")).to_have_count(len(files))


def look_at_the_whole(page: Page) -> None:
    """Chooses to ask once about all of what is attached."""
    chosen = page.locator("#chat-mode label").nth(WHOLE)
    chosen.click()
    expect(chosen.locator("input")).to_be_checked()


def ask(page: Page, question: str) -> None:
    """Sends a question. Where an answer is not quite over, or the models are not known yet, it would not be taken."""
    expect(page.locator("#chat-model input")).not_to_have_value("")
    expect(page.locator("#chat-box .submit-button")).to_be_visible()
    page.fill("#chat-box textarea", question)
    page.keyboard.press("Enter")
