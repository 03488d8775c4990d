"""Numbers with their nouns, in singular or plural."""


def counted(number: int, noun: str, *, plural: str = "") -> str:
    """Returns `1 false alarm`, `2 false alarms`; pass `plural` if it is not the noun with an s."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"
