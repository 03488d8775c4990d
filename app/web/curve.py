"""What the plots of probability over time have in common, and how a browser gets them on the screen at once.

Gradio fetches Plotly (4.6 MB) when the first plot is shown, which holds up the click that opened it by seconds.
`HEAD` has the browser fetch and run it while nobody does anything, unless its owner saves data.
"""

from pathlib import Path
from typing import Any

import gradio
import plotly.graph_objects as go

from app.web.language import Translator
from vigil.events.tiers import TierThresholds
from vigil.report import colours

INK = "#7c8794"
GRID = "rgba(124,135,148,.25)"
IDLE_AFTER_MS = 2500
ASSETS = Path(gradio.__file__).parent / "templates" / "frontend" / "assets"


def plotly_preload_script(assets: Path) -> str:
    """The script that loads Gradio's Plotly early; nothing where Gradio keeps it elsewhere."""
    found = sorted(path.name for path in assets.glob("PlotlyPlot-*.js"))
    if not found:
        return ""
    return f"""
<script>
(() => {{
  const idle = window.requestIdleCallback || ((run) => run());
  const load = () => import(new URL("assets/{found[0]}", document.baseURI)).catch(() => {{}});
  if (!navigator.connection?.saveData) setTimeout(() => idle(load), {IDLE_AFTER_MS});
}})();
</script>
"""


HEAD = plotly_preload_script(ASSETS)


def empty_figure(*, height_px: int, title: str, seconds: list[float], words: list[str], top_px: int = 12) -> go.Figure:
    """A figure with its axes, `words` under `seconds`; transparent, so that it suits light and dark pages."""
    made = go.Figure()
    made.update_layout(
        height=height_px,
        margin={"l": 48, "r": 64, "t": top_px, "b": 40},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": INK},
        showlegend=False,
        hovermode="closest",
        xaxis={"tickvals": seconds, "ticktext": words, "showgrid": False, "zeroline": False},
        yaxis={"range": [-0.03, 1.05], "title": title, "gridcolor": GRID, "zeroline": False},
    )
    return made


def add_thresholds(made: go.Figure, tiers: TierThresholds, t: Translator) -> None:
    """A dashed line for each tier, named at its right end; all at once, as Plotly checks the whole at each call."""
    levels = (("low", tiers.low), ("medium", tiers.medium), ("high", tiers.high))
    named = [(t(f"room.tier_{tier}"), level, css_color(colours.color_of(level, tiers))) for tier, level in levels]
    made.update_layout(
        shapes=[*made.layout.shapes, *(_line(level, colour) for _, level, colour in named)],
        annotations=[*made.layout.annotations, *(_name(*one) for one in named)],
    )


def _line(level: float, colour: str) -> dict[str, Any]:
    line = {"color": colour, "width": 1, "dash": "dash"}
    return {"type": "line", "xref": "x domain", "yref": "y", "x0": 0, "x1": 1, "y0": level, "y1": level, "line": line}


def _name(name: str, level: float, colour: str) -> dict[str, Any]:
    font = {"size": 11, "color": colour}
    return {"text": name, "xref": "paper", "x": 1, "xanchor": "left", "y": level, "showarrow": False, "font": font}


def css_color(colour: colours.Color) -> str:
    """A colour as CSS writes it."""
    return f"rgb{colour}"
