"""Asks a served model for other wordings of a question."""

import re

from vigil.errors import EndpointError
from vigil.judge import Endpoint
from vigil.judge.discovery import find_model, open_openai_client
from vigil.judge.faults import REPLY_FAULTS, endpoint_error
from vigil.questions import Question

ASK_ZH = """一个视频模型被问到下面的问题，只能回答“{alarm}”或“{normal}”：
{text}
请写出 {count} 个意思相同但措辞不同的问题，更具体地说明要在画面中留意什么。每行一个，不要编号，不要其他内容。"""
ASK_EN = """A video model is asked the question below and may only answer "{alarm}" or "{normal}":
{text}
Write {count} other wordings that mean the same and say more precisely what to look for in the picture. One a line, \
without numbers, and nothing else."""
TOKENS_EACH = 120
NUMBERED = re.compile(r"^[\s>#*`\-]*(?:\d{1,2}\s*[.)、．:：]\s*)?")
QUOTED = "\"'“”「」 `*"


async def write_wordings(endpoint: Endpoint, question: Question, *, count: int, timeout_s: float) -> list[str]:
    """At most `count` texts that the model wrote, without numbers and quotes; raises EndpointError."""
    template = ASK_ZH if question.language.startswith("zh") else ASK_EN
    words = {"alarm": question.alarm_word, "normal": question.normal_word}
    asked = template.format(text=question.text, count=count, **words)
    client = open_openai_client(endpoint, timeout_s=timeout_s, retries=1)
    try:
        model = await find_model(client, endpoint)
        reply = await client.chat.completions.create(
            model=model.name,
            messages=[{"role": "user", "content": asked}],
            max_tokens=TOKENS_EACH * count,
            temperature=0.8,
            seed=0,
        )
        text = reply.choices[0].message.content or ""
    except REPLY_FAULTS as error:
        if isinstance(error, EndpointError):
            raise
        raise endpoint_error(error, endpoint.url) from error
    finally:
        await client.close()
    return wordings_in(text)[:count]


def wordings_in(text: str) -> list[str]:
    """The wordings in a model's answer, one a line."""
    # Special tokens stay: a wording without the one that it had would ask for something else, so it is refused.
    plain = re.sub(r"<think>.*?(?:</think>|$)", "", text, flags=re.DOTALL)
    lines = (NUMBERED.sub("", line).strip(QUOTED) for line in plain.splitlines())
    return [line for line in dict.fromkeys(lines) if any(character.isalnum() for character in line)]
