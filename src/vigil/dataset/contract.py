"""What a dataset folder says of itself: its manifest, and the task that its examples put."""

from pathlib import Path

from vigil.errors import DatasetError, ManifestError, UsageError
from vigil.manifest import MANIFEST_NAME, Manifest, read_manifest
from vigil.tasks import Task, load_question


def read_dataset_manifest(folder: Path) -> tuple[Manifest, Task]:
    """The manifest of a finished dataset, and its task; raises DatasetError when the folder is none."""
    if not (folder / MANIFEST_NAME).is_file():
        raise DatasetError(
            f"{folder} is no finished dataset, as it has no {MANIFEST_NAME}; make one with: vigil dataset build CLIPS "
            f"--out {folder} (a build that was stopped goes on when it is run again)"
        )
    try:
        manifest = read_manifest(folder)
    except ManifestError as error:
        raise DatasetError(f"{error}; build the dataset again") from error
    return manifest, task_of(manifest)


def task_of(manifest: Manifest) -> Task:
    """The task of that name when it still asks the same, else what the manifest holds of it."""
    contract = manifest.contract
    told = Task(
        name=contract.task,
        question=contract.question,
        alarm_word=contract.alarm_word,
        normal_word=contract.normal_word,
        language="en" if contract.alarm_word.isascii() else "zh",
    )
    try:
        named = load_question(contract.task)
    except UsageError:
        return told
    same = (named.question, named.alarm_word, named.normal_word) == (told.question, told.alarm_word, told.normal_word)
    return named if same else told
