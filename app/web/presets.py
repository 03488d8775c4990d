"""The questions to start from: those of the page's language first, and the one that the model was trained on marked."""

from collections.abc import Sequence

from app.web.language import Translator
from vigil.tasks import Question

NONE = ""


def preset_choices(questions: Sequence[Question], t: Translator, *, trained: str = "") -> list[tuple[str, str]]:
    """`(title, name)` of every question; `trained` is the name of the one that the served model was trained on."""
    ordered = sorted(questions, key=lambda question: (question.name != trained, question.language != t.language))
    titles = [(_title(question, t, trained=trained), question.name) for question in ordered]
    return [(t("chat.preset_none"), NONE), *titles]


def _title(question: Question, t: Translator, *, trained: str) -> str:
    return t("chat.preset_trained", title=question.title) if question.name == trained else question.title


def trained_question(questions: Sequence[Question], alias: str) -> str:
    """The name of the question whose words a server's contract spells; empty where it is none of ours."""
    parts = dict(part.partition("=")[::2] for part in alias.split(":")[1:])
    digest = parts.get("question", "")
    return next((q.name for q in questions if q.task is not None and digest and _digest(q) == digest), "")


def _digest(question: Question) -> str:
    from vigil.frames import FrameSampling
    from vigil.manifest import Contract

    return Contract.of(question.task, FrameSampling()).question_digest if question.task is not None else ""
