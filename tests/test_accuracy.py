"""The accuracy of a served model on labelled clips: `vigil score` as a script.

    python tests/test_accuracy.py --url http://127.0.0.1:8000/v1 --model NAME --data data
    python tests/test_accuracy.py --url http://127.0.0.1:8000/v1 --model NAME CLIPS --min-accuracy 0.9

Exits 1 when a window got no answer, or the accuracy is below --min-accuracy.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

import pytest

from exchange import endpoint_of, parser
from vigil.errors import VigilError
from vigil.judge import Endpoint
from vigil.judge.verdict_reader import MIN_LABEL_PROBABILITY
from vigil.report.tables import score_table
from vigil.score.eval_set import EvalSet, load_eval_set
from vigil.score.journal import JournalEntry
from vigil.score.run import ScoreResult, ScoreSettings, score_model
from vigil.synth.dataset import write_synth_dataset

JSON_KEYS = {
    *("model", "n", "accuracy", "accuracy_ci95", "baseline_majority", "precision", "recall", "f1", "roc_auc", "ece"),
    *("unknown", "confusion", "latency_ms", "requests_per_s"),
}


class Printed:
    """Prints every window's verdict as it comes."""

    def clip_read(self, name: str, windows: int) -> None:
        """Nothing is asked yet."""

    def answered(self, record: JournalEntry) -> None:
        """One line a window."""
        p_alarm = "" if record.p_alarm is None else f" P(alarm) {record.p_alarm:.3f}"
        cause = "" if record.cause is None else f" {record.cause}: {record.detail}"
        print(
            f"{record.clip} window {record.window}: {record.outcome}{p_alarm}{cause}, {record.latency_ms:.0f} ms",
            flush=True,
        )


def measure(
    endpoint: Endpoint, ground: EvalSet, *, min_label_probability: float = MIN_LABEL_PROBABILITY
) -> ScoreResult:
    """Scores the endpoint's model, anew each time, printing every verdict and then the table."""
    with tempfile.TemporaryDirectory(prefix="vigil-accuracy-") as folder:
        scored = asyncio.run(
            score_model(
                endpoint,
                ground.task,
                ground.sampling,
                ground.clips,
                journal=Path(folder) / "verdicts.jsonl",
                calibration=ground.calibration,
                settings=ScoreSettings(min_label_probability=min_label_probability),
                observer=Printed(),
            )
        )
    print("\n" + score_table([scored.score]))
    return scored


@pytest.mark.e2e
def test_accuracy(endpoint: Endpoint, tmp_path: Path) -> None:
    write_synth_dataset(tmp_path / "clips", clips=12, seed=5)
    ground = load_eval_set([tmp_path / "clips"], endpoint=endpoint)
    # The tiny base was never taught the verdict words, and gives them next to nothing.
    score = measure(endpoint, ground, min_label_probability=0.0).score
    data = json.loads(json.dumps(score.to_json()))
    assert data.keys() >= JSON_KEYS
    assert (data["n"], data["unknown"], sum(data["confusion"].values())) == (12, {}, 12)
    assert data["accuracy_ci95"][0] <= data["accuracy"] <= data["accuracy_ci95"][1]
    assert 0 <= data["roc_auc"] <= 1 and data["requests_per_s"] > 0


def main() -> int:
    options = parser(__doc__)
    options.add_argument("clips", type=Path, nargs="*", help="folders of classes, or video files in them")
    options.add_argument("--data", type=Path, help="a built dataset instead")
    options.add_argument("--split", default="test", choices=("test", "train", "all"), help="of --data (%(default)s)")
    options.add_argument("--task", help="task name or YAML file")
    options.add_argument("--model-dir", type=Path, help="the model's folder, for its contract and calibration")
    options.add_argument("--json", type=Path, help="write the figures to this file")
    options.add_argument("--min-accuracy", type=float, default=0.0, help="fail below it")
    chosen = options.parse_args()
    try:
        endpoint = endpoint_of(chosen)
        ground = load_eval_set(
            chosen.clips,
            endpoint=endpoint,
            data=chosen.data,
            split=chosen.split,
            task=chosen.task,
            model_dir=chosen.model_dir,
        )
        score = measure(endpoint, ground).score
        if chosen.json:
            score.write(chosen.json)
    except VigilError as error:
        print(f"test_accuracy: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 1
    unknown = score.windows.unknown if score.windows else {}
    return 1 if unknown or score.figures.accuracy < chosen.min_accuracy else 0


if __name__ == "__main__":
    sys.exit(main())
