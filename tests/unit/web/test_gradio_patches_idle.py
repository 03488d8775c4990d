import asyncio
from pathlib import Path
from typing import Any

from app.web.site import build_page

from rooms import context_of


async def _config(folder: Path) -> Any:
    """In a loop, as the pages are built: without one Gradio makes one of its own, and leaves it open."""
    return build_page(context_of(folder)).get_config_file()


def test_the_stages_of_an_event_are_told_to_the_log_of_the_chat_alone(tmp_path: Path) -> None:
    config = asyncio.run(_config(tmp_path))
    names = {component["id"]: component["props"].get("elem_id") for component in config["components"]}
    events = config["dependencies"]
    told = [event["outputs"] if event["show_progress_on"] is None else event["show_progress_on"] for event in events]
    assert len(events) > 30
    assert [names[component] for components in told for component in components] == ["chat-log"]
