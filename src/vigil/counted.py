"""Numbers with their nouns, as people write them."""


def counted(number: int, noun: str, *, plural: str = "") -> str:
    """`1 false alarm`, `2 false alarms`; `plural` where it is not the noun with an s."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"
