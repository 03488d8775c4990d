"""Finds and removes media placeholders and special tokens in texts, where they would change what the model reads.

LLaMA-Factory inserts media wherever `<video>`, `<image>` or `<audio>` stands; a tokenizer turns the model's own tokens,
such as `<|im_end|>` or `<|video_pad|>`, into the end of a turn or a request for media wherever they occur.
"""

import re

MARK = re.compile(r"<\|[^<>|\s]+\|>|</?(?:video|image|audio|think|tool_call|tool_response)>")
TURN_BEGINS = "<|im_start|>"


def special_token_in(text: str) -> str:
    """The first special token or placeholder in a text; empty if there is none."""
    found = MARK.search(text)
    return found[0] if found else ""


def without_special_tokens(text: str) -> str:
    """The first turn of a text, without special tokens and placeholders."""
    first_turn = next((turn for turn in text.split(TURN_BEGINS) if turn.strip()), "")
    while special_token_in(first_turn):  # removing one may form another
        first_turn = MARK.sub("", first_turn)
    return first_turn
