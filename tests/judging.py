"""What the judge's tests share: a small task and the replies of a server that splits its words so."""

from collections.abc import Callable
from typing import Any

from scripted_server import Reply, Request, ScriptedServer, chat
from vigil.frames import FrameSampling
from vigil.judge import Endpoint, Judge
from vigil.judge.answer_parser import LabelTokens, Place
from vigil.label_tokens import Branch
from vigil.questions import Question

TASK = Question.with_two_labels(name="t", text="Is there a fight?", alarm_word="Yes", normal_word="No")
SAMPLING = FrameSampling(max_pixels=12_288)
IDS = {"Yes": [7], "No": [9]}
WORDS = LabelTokens(
    texts={"alarm": "Yes", "normal": "No"},
    ids={"alarm": (7,), "normal": (9,)},
    places=(Place("", Branch((), {"alarm": 7, "normal": 9})),),
)
"""The task's words as such a server splits them."""

TURN = [1, 2, 3]


def tokenized(ids: dict[str, list[int]]) -> Callable[[Request], Reply]:
    """`/tokenize` of a text, or of a conversation whose answer begins with one."""

    def reply(request: Request) -> Reply:
        messages = request.body.get("messages")
        if messages is None:
            # A text that a test did not think of is split into bytes, as a word that no token spells.
            text = request.body["prompt"]
            return Reply(body={"tokens": ids.get(text) or [1000 + byte for byte in text.encode()]})
        begun = [message["content"] for message in messages if message["role"] == "assistant"]
        return Reply(body={"tokens": TURN + [token for text in begun for token in ids.get(text, [55])]})

    return reply


def detokenized(ids: dict[str, list[int]]) -> Callable[[Request], Reply]:
    """`/detokenize` of the same server; what is no text of its own gives a stand-in for broken characters."""
    texts = {tuple(split): text for text, split in ids.items()}
    return lambda request: Reply(body={"prompt": texts.get(tuple(request.body["tokens"]), "\ufffd")})


def yes(p_alarm_logprob: float = -0.1, normal_logprob: float = -3.0) -> Reply:
    """The answer of one token with these log probabilities: the likelier word."""
    text = "Yes" if p_alarm_logprob >= normal_logprob else "No"
    return chat(text, logprobs={"token_id:7": p_alarm_logprob, "token_id:9": normal_logprob})


def no() -> Reply:
    return chat("No", logprobs={"token_id:9": -0.1, "token_id:7": -3.0})


async def connect(server: ScriptedServer, *, task: Question = TASK, **settings: Any) -> Judge:
    options: dict[str, Any] = {"media": "video", "retries": 0} | settings
    return await Judge.connect(Endpoint(url=server.url), task, SAMPLING, **options)
