"""What the judge's tests share: a small task and the replies of a server that splits its words so."""

from typing import Any

from scripted_server import Reply, ScriptedServer, chat
from vigil.frames import Sampling
from vigil.judge import Endpoint, Judge
from vigil.tasks import Task

TASK = Task(name="t", question="Is there a fight?", alarm_word="Yes", normal_word="No")
SAMPLING = Sampling(max_pixels=12_288)
IDS = {"Yes": [7], "No": [9]}


def tokenized(ids: dict[str, list[int]]) -> Any:
    return lambda request: Reply(body={"tokens": ids[request.body["prompt"]]})


def yes(p_alarm_logprob: float = -0.1, normal_logprob: float = -3.0, text: str = "Yes") -> Reply:
    return chat(text, logprobs={"token_id:7": p_alarm_logprob, "token_id:9": normal_logprob})


def no() -> Reply:
    return chat("No", logprobs={"token_id:9": -0.1, "token_id:7": -3.0})


async def connect(server: ScriptedServer, **settings: Any) -> Judge:
    settings = {"media": "video", "retries": 0} | settings
    return await Judge.connect(Endpoint(url=server.url), TASK, SAMPLING, **settings)
