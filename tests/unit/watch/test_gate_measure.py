"""What a motion gate skips and loses, on clips whose motion is known."""

import json
from pathlib import Path

import pytest

from vigil.cli.main import main
from vigil.watch.gate import USUAL_PERSON
from vigil.watch.gate_measure import ClipLevels, checked_thresholds, figures_at, highest_without_loss
from watching import film

CLIPS = [
    ClipLevels(name="f1", is_incident=True, levels=(0.4, 3.0)),
    ClipLevels(name="f2", is_incident=True, levels=(0.6,)),
    ClipLevels(name="n1", is_incident=False, levels=(0.1, 0.7)),
    ClipLevels(name="n2", is_incident=False, levels=(2.0, 0.2, 0.9)),
]


def test_an_incident_is_lost_if_all_of_its_windows_are_skipped() -> None:
    figures = [figures_at(CLIPS, each) for each in (0.3, 0.5, 1.0, 4.0)]
    assert [each.lost_names for each in figures] == [(), (), ("f2",), ("f1", "f2")]
    assert [each.incident_skipped for each in figures] == [0, 1, 2, 3]
    assert [each.normal_skipped for each in figures] == [2, 2, 4, 5] and figures[0].normal_windows == 5
    assert highest_without_loss(figures) == 0.5
    assert highest_without_loss(figures[2:]) is None


def test_none_lost_of_few_says_little() -> None:
    few, many = (
        figures_at([ClipLevels(name=f"f{n}", is_incident=True, levels=(9.0,)) for n in range(count)], 1.0)
        for count in (4, 200)
    )
    # 1 - 0.025 ** (1 / n), the exact bound for none of n.
    assert few.lost_ci95 == pytest.approx((0.0, 0.6024), abs=1e-4)
    assert many.lost_ci95 == pytest.approx((0.0, 0.01828), abs=1e-4)
    assert figures_at([], 1.0).lost_ci95 == (0.0, 1.0) and figures_at([], 1.0).normal_share == 0.0


def test_thresholds_are_tried_in_order_each_once() -> None:
    assert checked_thresholds([2.0, 0.5, 2.0], gate="motion") == [0.5, 2.0]


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    for name, size in (("fight", (128, 96)), ("normal", (128, 96))):
        (tmp_path / name).mkdir()
        film(tmp_path / name / "a.mp4", seconds=4, size_wh=size, bright=[(1, 2)] if name == "fight" else [])
    return tmp_path


def test_the_command_prints_a_table_and_writes_json(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gate.json"
    words = ["gate", "measure", str(clips), "--threshold", "20", "--threshold", "250", "--json", str(file)]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "0 of 1 (at most 97.5%)" in told and "1 of 1 (at most 100.0%)" in told and "no loss up to 20" in told
    data = json.loads(file.read_text())
    assert data["highest_without_loss"] == 20 and [each["lost"] for each in data["thresholds"]] == [0, 1]
    assert data["thresholds"][1]["lost_names"] == ["fight/a.mp4"]
    [folder] = data["folders"]
    assert folder == {"folder": str(clips), "thresholds": data["thresholds"]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "there is no folder nowhere"),
        (["{clips}", "--threshold", "0"], "a threshold is above 0 grey levels, not 0"),
        (["{clips}", "--threshold", "nan"], "a threshold is above 0 grey levels, not nan"),
        (["{clips}", "--task", "figth"], "fight"),
        (["{clips}", "--gate", "person", "--threshold", "1"], "a confidence above 0 and below 1, not 1"),
        (["{clips}", "--gate", "dogs"], "dogs"),
    ],
)
def test_what_cannot_be_measured_is_told_and_nothing_is_read(
    clips: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["gate", "measure", *(word.format(clips=clips) for word in words)]) != 0
    assert said in " ".join(capsys.readouterr().err.split())


def test_the_person_gate_is_measured_folder_by_folder(clips: Path, tmp_path: Path) -> None:
    file = tmp_path / "person.json"
    assert main(["gate", "measure", str(clips), "--gate", "person", "--json", str(file)]) == 0
    data = json.loads(file.read_text())
    assert data["gate"] == "person" and [each["threshold"] for each in data["thresholds"]][1] == USUAL_PERSON
    at_usual = data["thresholds"][1]
    assert at_usual["normal_skipped"] == at_usual["normal_windows"] > 0, "nobody is in these films"
