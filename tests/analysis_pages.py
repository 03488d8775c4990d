"""What the tests of the analysis share: choosing a file."""

from pathlib import Path

from playwright.sync_api import Page, expect


def choose(page: Page, path: Path) -> None:
    """Chooses a file, which is there once the page lists it: while it is being sent its name is shown too."""
    with page.expect_response(lambda response: "/upload" in response.url):
        page.set_input_files("#analysis-file input[type=file]", path)
    expect(page.locator("#analysis-file .file-preview")).to_contain_text(path.stem[:8])
