"""`vigil tune-question`: finds the wording of a question that a served model answers best.

vigil tune-question --data data --candidates wordings.txt --out better.yaml
vigil tune-question clips/ --task fight_en --write 8 --url http://127.0.0.1:8000/v1
"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from vigil.cli.calibrate import SplitOption
from vigil.cli.options import (
    OUTPUT,
    CaFileOption,
    JsonOption,
    KeyFileOption,
    MaxPixelsOption,
    ModelDirOption,
    ModelOption,
    TaskOption,
    UrlOption,
)
from vigil.cli.progress import ScoreProgressBar
from vigil.cli.score import DataOption, DeadlineOption, InFlightOption, LimitOption, RuleOption, lost_windows
from vigil.errors import JobError, UsageError
from vigil.files import require_writable_file, require_writable_folder, write_atomically, write_json
from vigil.judge import Endpoint, read_key
from vigil.judge.contract import served_model
from vigil.judge.endpoint import DEFAULT_URL
from vigil.questions import Question, question_as_yaml
from vigil.report.tables import question_table
from vigil.score.eval_set import EvalSet, load_eval_set
from vigil.score.folds import read_fold
from vigil.score.question_tuning import TriedQuestion, candidates_of, rank, read_candidates, try_digest
from vigil.score.question_writer import write_wordings
from vigil.score.run import IN_FLIGHT, ScoreSettings, score_model

ClipsArgument = Annotated[
    list[Path] | None, typer.Argument(metavar="PATH", help="Class folders (fight/, normal/) or video files.")
]
CandidatesOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Text file with one wording of the question a line; # starts a comment."),
]
WriteOption = Annotated[
    int,
    typer.Option("--write", metavar="N", min=0, max=20, help="Also try this many wordings that the model writes."),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", rich_help_panel=OUTPUT, help="Write the best question to this task file, if it is a new one."
    ),
]
WorkOption = Annotated[
    Path, typer.Option(metavar="FOLDER", rich_help_panel=OUTPUT, help="Folder in which answers are kept.")
]
FreshOption = Annotated[
    bool,
    typer.Option("--fresh", rich_help_panel=OUTPUT, help="Ask about everything again. Default: resume what is kept."),
]


def tune_question(
    paths: ClipsArgument = None,
    candidates: CandidatesOption = None,
    write: WriteOption = 0,
    data: DataOption = None,
    split: SplitOption = "calibration",
    limit: LimitOption = None,
    url: UrlOption = DEFAULT_URL,
    model: ModelOption = "",
    key_file: KeyFileOption = None,
    ca_file: CaFileOption = None,
    model_dir: ModelDirOption = None,
    task: TaskOption = None,
    max_pixels: MaxPixelsOption = None,
    in_flight: InFlightOption = IN_FLIGHT,
    deadline_s: DeadlineOption = 300.0,
    rule: RuleOption = "top2",
    out: OutOption = None,
    work: WorkOption = Path("outputs/tune-question"),
    json_file: JsonOption = None,
    fresh: FreshOption = False,
) -> None:
    """Score several wordings of a question on the same labelled clips, and name the best beside the old one.

    Each wording gets its ROC AUC with a 95 % interval, and the paired difference to the old one. Score the best again
    on clips kept back (vigil score --split test --task FILE): it was chosen for looking good on these.

    Example: vigil tune-question --data data --candidates wordings.txt --out better.yaml
    """
    if data is not None and split == "test":
        raise UsageError("the test split is for the score alone: choose a question on another split")
    if candidates is None and not write:
        raise UsageError("name a file of wordings with --candidates, or let the model write some with --write 8")
    require_writable_file(json_file, "--json")
    require_writable_file(_task_file(out), "--out")
    require_writable_folder(work, "--work")
    endpoint = Endpoint(url=url, model=model, api_key=read_key(key_file, url=url), ca_file=ca_file)
    contract: dict[str, Any] = {"task": task, "model_dir": model_dir, "max_pixels": max_pixels}
    eval_set = load_eval_set(paths or [], endpoint=endpoint, data=data, split=split, **contract).drawn(limit)
    if not eval_set.task.has_two_labels:
        raise UsageError(f"task {eval_set.task.name!r} has classes; wordings are compared for questions of two labels")
    settings = ScoreSettings(in_flight=in_flight, deadline_s=deadline_s, rule=rule, fresh=fresh)
    others = _wordings(endpoint, eval_set.task, file=candidates, write=write, work=work, settings=settings)
    tried = _try_all(endpoint, [eval_set.task, *others], eval_set, settings=settings, work=work)
    ranked = rank(tried[0], tried[1:], threshold=settings.threshold)
    typer.echo(question_table(ranked))
    _report(ranked, old=tried[0], out=out, json_file=json_file)


def _task_file(out: Path | None) -> Path | None:
    if out is not None and out.suffix not in {".yaml", ".yml"}:
        raise UsageError(f"--out names a task file, which ends in .yaml, not {out.name!r}")
    return out


def _wordings(
    endpoint: Endpoint, old: Question, *, file: Path | None, write: int, work: Path, settings: ScoreSettings
) -> list[Question]:
    """The wordings to try; those that the model writes are kept, so that a resumed run tries the same."""
    found, refused = ([], []) if file is None else read_candidates(file, old=old)
    if write:
        kept = work / f"written-{write}.txt"
        if settings.fresh or not kept.is_file():
            asking = write_wordings(endpoint, old, count=write, timeout_s=settings.deadline_s)
            written = asyncio.run(asking)
            work.mkdir(parents=True, exist_ok=True)
            write_atomically(kept, "".join(f"{text}\n" for text in written))
        else:
            written = kept.read_text(encoding="utf-8").splitlines()
        by_model, more = candidates_of(written, old=old)
        typer.echo(f"the model wrote {len(by_model)} wordings, kept in {kept}", err=True)
        found, refused = [*found, *by_model], [*refused, *more]
    for problem in refused:
        typer.echo(f"left out: {problem}", err=True)
    if not found:
        raise JobError("there is no other wording to try; write some into a file and name it with --candidates")
    return list({question.text: question for question in found}.values())


def _try_all(
    endpoint: Endpoint, questions: Sequence[Question], eval_set: EvalSet, *, settings: ScoreSettings, work: Path
) -> list[TriedQuestion]:
    """Each question's answers to the same clips; one whose answers are kept whole is not asked again."""
    model = endpoint.model or asyncio.run(served_model(endpoint)).name
    tried = []
    for number, question in enumerate(questions, start=1):
        digest = try_digest(question, eval_set, url=endpoint.url, model=model, settings=settings)
        kept = work / f"score-{digest}.json"
        if settings.fresh or not kept.is_file():
            _try(endpoint, question, eval_set, settings=settings, kept=kept, what=f"{number} of {len(questions)}")
        answers = read_fold(kept).uncalibrated_answers()
        tried.append(TriedQuestion.of(question, answers, threshold=settings.threshold))
    return tried


def _try(
    endpoint: Endpoint, question: Question, eval_set: EvalSet, *, settings: ScoreSettings, kept: Path, what: str
) -> None:
    """Asks one question about all clips and keeps the score; raises JobError if some windows got no answer."""
    journal = kept.with_name(f"verdicts-{kept.stem.removeprefix('score-')}.jsonl")
    with ScoreProgressBar(f"question {what}", clips=len(eval_set.clips), journal=journal) as progress:
        scoring = score_model(
            endpoint,
            question,
            eval_set.sampling,
            eval_set.clips,
            journal=journal,
            settings=settings,
            observer=progress,
        )
        score = asyncio.run(scoring).score
    if lost := lost_windows(score):
        raise JobError(f"question {what}: {lost}. Repeat the command, which asks only for those that are missing")
    score.write(kept)


def _report(ranked: Sequence[TriedQuestion], *, old: TriedQuestion, out: Path | None, json_file: Path | None) -> None:
    best = ranked[0]
    if best is not old and (interval := _interval(best)) is not None and interval[0] <= 0:
        typer.echo("the best may be no better than the old one: the interval of its difference holds 0", err=True)
    if json_file is not None:
        rows = [
            {
                "question": tried.question.text,
                "is_old": tried is old,
                "clips_without_answer": tried.unknown,
                **asdict(tried.figures),
                "comparison": None if tried.comparison is None else tried.comparison.to_json(),
            }
            for tried in ranked
        ]
        write_json(json_file, {"questions": rows})
        typer.echo(f"wrote {json_file}", err=True)
    if out is None:
        return
    if best is old:
        typer.echo(f"no wording is better than the old one, so {out} is not written", err=True)
        return
    named = replace(best.question, name=out.stem, title=best.question.title or out.stem)
    write_atomically(out, question_as_yaml(named))
    typer.echo(f"wrote {out}; score it on clips kept back: vigil score --split test --task {out}", err=True)


def _interval(tried: TriedQuestion) -> tuple[float, float] | None:
    return None if tried.comparison is None else tried.comparison.roc_auc_difference_ci95
