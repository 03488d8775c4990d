"""The texts of the pages, in Chinese and English: `texts/<piece>.en.yaml` and `texts/<piece>.zh.yaml`, flat keys.

t = translator("zh")
t("chat.send")                     发送
t("uploads.too_big", limit=500)    fills in the {limit} of the text
"""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from vigil.config import read_yaml

Language: TypeAlias = Literal["en", "zh"]

LANGUAGES: tuple[Language, ...] = get_args(Language)
LANGUAGE_COOKIE = "vigil_language"
TEXTS = Path(__file__).resolve().parent / "texts"


@dataclass(frozen=True, slots=True)
class Translator:
    """The texts of one language; call it with a key."""

    language: Language
    texts: dict[str, str] = field(repr=False)

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key with its placeholders filled in; raises KeyError if the key is unknown."""
        text = self.texts[key]
        return text.format(**values) if values else text


@cache
def translator(language: Language) -> Translator:
    """All texts of one language."""
    return Translator(language, load_texts(language))


def load_texts(language: Language) -> dict[str, str]:
    """Reads every text of a language; raises ConfigError if a file cannot be read."""
    texts: dict[str, str] = {}
    for path in sorted(TEXTS.glob(f"*.{language}.yaml")):
        texts |= {key: str(value) for key, value in read_yaml(path).items()}
    return texts


def choose_language(cookie: str | None, accept_language: str) -> Language:
    """The language chosen before, else the browser's first that is supported, else English."""
    accepted = (language.split("-")[0] for language in _by_weight(accept_language))
    supported: dict[str | None, Language] = {language: language for language in LANGUAGES}
    return next((supported[each] for each in (cookie, *accepted) if each in supported), "en")


def _by_weight(accept_language: str) -> list[str]:
    """The languages of an Accept-Language header, by descending weight."""
    wishes = [part.strip().partition(";") for part in accept_language.lower().split(",")]
    return [name.strip() for name, _, rest in sorted(wishes, key=lambda wish: -_weight(wish[2]))]


def _weight(parameter: str) -> float:
    try:
        return float(parameter.strip().removeprefix("q=")) if parameter else 1.0
    except ValueError:
        return 0.0
