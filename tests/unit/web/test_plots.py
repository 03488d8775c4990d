import re
from pathlib import Path

from app.web import plots


def test_the_plotting_library_that_is_loaded_early_is_the_one_that_gradio_ships() -> None:
    name = re.search(r'assets/(PlotlyPlot-[^"]+)"', plots.HEAD)
    assert name is not None
    assert (plots.ASSETS / name[1]).is_file()


def test_a_gradio_without_it_loads_nothing_early(tmp_path: Path) -> None:
    assert plots.plotly_preload_script(tmp_path) == ""
