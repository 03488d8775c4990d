"""Text and colours for drawing: fonts that are certain to exist, and sanitized text from outside.

DejaVu Sans comes with matplotlib. For Chinese one of the common fonts must be installed; without one, text that needs
it is left out instead of drawn as boxes. The colours of outcomes and tiers are the same in videos and pictures, and
differ in lightness for the colour-blind.
"""

import logging
import time
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from PIL import ImageFont

from vigil.events import Tier, TierThresholds

log = logging.getLogger(__name__)


Color: TypeAlias = tuple[int, int, int]

NORMAL: Color = (58, 170, 158)
MILD: Color = (176, 190, 84)
UNKNOWN: Color = (138, 144, 153)
INK: Color = (240, 243, 246)
FAINT: Color = (150, 158, 168)
GROUND: Color = (18, 22, 28)
PLOT: Color = (30, 36, 44)
EVEN = 0.5

TIER_COLOURS: dict[Tier, Color] = {Tier.LOW: (245, 196, 66), Tier.MEDIUM: (243, 132, 52), Tier.HIGH: (232, 52, 64)}


def color_of(p_alarm: float, tiers: TierThresholds) -> Color:
    """The colour of a probability: its tier's; below all tiers, one for more likely than not and one for normal."""
    if p_alarm >= tiers.low:
        return TIER_COLOURS[tiers.of(p_alarm)]
    return MILD if p_alarm >= EVEN else NORMAL


if TYPE_CHECKING:
    from matplotlib.font_manager import FontEntry

LONGEST = 400
LOOK_AGAIN_S = 60.0
UNSHOWN_SHARE = 0.2
CHINESE_FONTS = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN", "Noto Sans CJK JP",
    "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback", "Microsoft YaHei", "SimHei", "PingFang SC",
    "Hiragino Sans GB", "Heiti SC", "Noto Serif CJK SC", "Noto Serif CJK JP", "AR PL UMing CN", "Arial Unicode MS",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Typeface:
    """A font file, one of its faces, and the characters it has."""

    path: str
    index: int
    characters: frozenset[int] = field(repr=False)

    def at(self, size_px: int) -> ImageFont.FreeTypeFont:
        """The font at a size."""
        return _font(self.path, self.index, size_px)


@lru_cache(maxsize=32)
def _font(path: str, index: int, size_px: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size_px, index=index)


@cache
def latin_typeface(*, bold: bool = False) -> Typeface:
    """DejaVu Sans, which always exists."""
    import matplotlib  # slow to import: only when text is drawn

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return _typeface(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), 0)


def chinese_typeface() -> Typeface | None:
    """An installed font with Chinese characters; None if there is none.

    A font may have been installed since matplotlib built its list: it is looked for again before text is left out, and
    then at most every LOOK_AGAIN_S.
    """
    return _installed(CHINESE_FONTS, period=int(time.monotonic() // LOOK_AGAIN_S))


@lru_cache(maxsize=4)
def _installed(names: tuple[str, ...], *, period: int) -> Typeface | None:
    """The first of these fonts that exists, looked for once in each period."""
    found = _listed(names)
    if found is None and _list_anew():
        found = _listed(names)
    if found is None:
        log.info(
            "no font with Chinese characters is installed (such as fonts-noto-cjk): text that needs one is left out"
        )
    return found


def _listed(names: Sequence[str]) -> Typeface | None:
    """The first of these fonts in matplotlib's list, which may be outdated: some of its files may be gone."""
    from matplotlib import font_manager

    upright = (f for f in font_manager.fontManager.ttflist if f.style == "normal" and Path(f.fname).is_file())
    known = {font.name: font for font in sorted(upright, key=_boldness, reverse=True)}
    font = next((known[name] for name in names if name in known), None)
    return None if font is None else _typeface(font.fname, int(getattr(font, "index", 0)))


def _list_anew() -> bool:
    """Adds font files that are newer than matplotlib's list; returns whether there were any."""
    from matplotlib import font_manager

    known = {Path(font.fname) for font in font_manager.fontManager.ttflist}
    added = [path for path in map(Path, font_manager.findSystemFonts()) if path not in known]
    for path in added:
        # Skip damaged files and files that are not fonts.
        with suppress(OSError, RuntimeError, ValueError):
            font_manager.fontManager.addfont(path)
    return bool(added)


def _boldness(font: "FontEntry") -> int:
    """How far a face is from the regular weight."""
    return (
        abs(font.weight - 400) if isinstance(font.weight, int) else 0 if font.weight in ("normal", "regular") else 300
    )


def _typeface(path: str, index: int) -> Typeface:
    from matplotlib.ft2font import FT2Font

    return Typeface(path, index, frozenset(FT2Font(path).get_charmap()))


def sanitize_text(text: str, *, longest: int = LONGEST) -> str:
    """Text from a model or a file name on one line, without control or combining characters, limited in length."""
    composed = unicodedata.normalize("NFC", text[: 4 * longest])
    shown = "".join(" " if c.isspace() else c for c in composed if c.isspace() or _is_plain(c))
    line = " ".join(shown.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def _is_plain(character: str) -> bool:
    return not unicodedata.category(character).startswith(("C", "M"))


def choose_typeface(text: str, *, bold: bool = False) -> tuple[str, Typeface] | None:
    """The sanitized text and a face that can show it; None if too much of it cannot be shown."""
    line = sanitize_text(text)
    for face in (latin_typeface(bold=bold), chinese_typeface()):
        if face is None:
            continue
        shown = "".join(c for c in line if ord(c) in face.characters)
        if line and len(line) - len(shown) <= UNSHOWN_SHARE * len(line) and not _has_unshown_words(line, face):
            return shown, face
    return None


def _has_unshown_words(line: str, face: Typeface) -> bool:
    """Whether letters would be missing, as opposed to a stray symbol."""
    return any(c.isalpha() and ord(c) not in face.characters for c in line)


def wrap(text: str, font: ImageFont.FreeTypeFont, *, width_px: float, lines: int) -> list[str]:
    """Text broken into at most this many lines, at spaces if there are any; the rest becomes an ellipsis."""
    broken: list[str] = []
    rest = text
    while rest and len(broken) < lines:
        if len(broken) == lines - 1:
            return [*broken, shorten_to_width(rest, font, width_px=width_px)]
        line = _first_line(rest, font, width_px)
        broken.append(line.strip())
        rest = rest[len(line) :].lstrip()
    return broken


def shorten_to_width(text: str, font: ImageFont.FreeTypeFont, *, width_px: float) -> str:
    """Text no wider than this, with an ellipsis if some is cut off."""
    if font.getlength(text) <= width_px:
        return text
    kept = _longest(text, font, width_px - font.getlength("…"))
    return text[:kept].rstrip() + "…"


def _first_line(text: str, font: ImageFont.FreeTypeFont, width_px: float) -> str:
    fits = _longest(text, font, width_px)
    if fits >= len(text):
        return text
    space = text.rfind(" ", 0, fits + 1)
    return text[:space] if space > fits // 2 else text[: max(1, fits)]


def _longest(text: str, font: ImageFont.FreeTypeFont, width_px: float) -> int:
    """How many characters of a text fit into a width."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(text[:middle]) <= width_px:
            low = middle
        else:
            high = middle - 1
    return low
