"""What stands for pictures or for the ends of turns: in words of people or models it would be read as such.

LLaMA-Factory puts pictures where `<video>`, `<image>` or `<audio>` stand; the model's own tokens, `<|im_end|>` or
`<|video_pad|>`, end its turn or want pictures, wherever a tokenizer meets them.
"""

import re

MARK = re.compile(r"<\|[^<>|\s]+\|>|</?(?:video|image|audio|think|tool_call|tool_response)>")
TURN_BEGINS = "<|im_start|>"


def special_token_in(text: str) -> str:
    """The first mark in a text; empty where there is none."""
    found = MARK.search(text)
    return found[0] if found else ""


def without_special_tokens(text: str) -> str:
    """A text of one turn without any marks."""
    first_turn = next((turn for turn in text.split(TURN_BEGINS) if turn.strip()), "")
    while special_token_in(first_turn):  # taking one out may make one
        first_turn = MARK.sub("", first_turn)
    return first_turn
