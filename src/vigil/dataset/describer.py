"""Asks a vision model for the description after a known label word; rejects one that contradicts the label."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import openai

from vigil.dataset.answers import CLOSING, TargetAnswer, contradiction, label_of_answer
from vigil.errors import EndpointError
from vigil.judge.endpoint import Endpoint
from vigil.judge.faults import REPLY_FAULTS, cause_of, detail_of
from vigil.judge.model_client import image_parts
from vigil.questions import LabelName, Question
from vigil.special_tokens import without_special_tokens
from vigil.verdict import Cause

MAX_CHARS = 300
ANSWER_TOKENS = 300
QUOTES = " \"'“”‘’「」"

_ASK_ZH = (
    "以上是一段监控视频中按时间顺序的{frames}帧画面。问题是：{question}\n人工已经确认，正确的结论是“{word}”。"
    "请写出紧跟在“{word}，”之后的一到两句描述和分析：画面中有什么人、在做什么、结论的依据是什么。"
    "只写这段描述，不要重复结论，不要写与结论相反的话，不要提及帧、标注或人工确认，不超过80字。"
)
_ASK_EN = (
    "These are {frames} frames of a surveillance video in order. The question is: {question}\n"
    'People have confirmed that the right verdict is "{word}". Write the one or two sentences that follow "{word}, ": '
    "who is there, what they do, and what shows that the verdict is right. Write only these sentences, do not repeat "
    "the verdict, say nothing against it, and do not mention frames, labels or this confirmation. At most 60 words."
)
_AGAIN_ZH = "这段描述与已确认的结论“{word}”相矛盾。请重新写一段与结论一致的描述，只写描述本身。"
_AGAIN_EN = 'That contradicts the confirmed verdict "{word}". Write it again so that it agrees. Only the sentences.'


@dataclass(frozen=True, slots=True)
class DescribeResult:
    """The description, or why it was rejected, and how often the model was asked."""

    text: str
    reason: str
    asked: int


class NoReplyError(Exception):
    """A request got no usable reply; a later run may ask about the window again."""


class WindowDescriber:
    """Describes windows through an OpenAI-compatible endpoint."""

    def __init__(
        self, client: openai.AsyncOpenAI, endpoint: Endpoint, model: str, task: Question, *, fps: float
    ) -> None:
        self.model = model
        self._client = client
        self._endpoint = endpoint
        self._task = task
        self._fps = fps
        self._length_option = "max_tokens"

    async def describe(self, jpegs: Sequence[bytes], label: LabelName) -> DescribeResult:
        """Asks for a description that agrees with the label; a contradiction is retried once, then rejected.

        Raises NoReplyError if this window got no usable reply, EndpointError if no window can get one.
        """
        messages = [
            {"role": "user", "content": [*image_parts(jpegs, fps=self._fps), _text(self._question(label, jpegs))]}
        ]
        reply = await self._reply(messages)
        text, reason = self._judge(reply, label)
        if not reason:
            return DescribeResult(text, "", 1)
        again = (_AGAIN_ZH if self._is_chinese else _AGAIN_EN).format(word=self._task.word(label))
        messages += [{"role": "assistant", "content": reply or "-"}, {"role": "user", "content": again}]
        text, reason = self._judge(await self._reply(messages), label)
        return DescribeResult("" if reason else text, reason, 2)

    @property
    def _is_chinese(self) -> bool:
        return self._task.language.startswith("zh")

    def _question(self, label: LabelName, jpegs: Sequence[bytes]) -> str:
        ask = _ASK_ZH if self._is_chinese else _ASK_EN
        return ask.format(frames=len(jpegs), question=self._task.text, word=self._task.word(label))

    def _judge(self, reply: str, label: LabelName) -> tuple[str, str]:
        """The description to use, and why it is rejected (empty if it is not)."""
        plain = _plain(reply, chinese=self._is_chinese)
        begun = label_of_answer(plain, self._task)
        if begun is not None and begun != label:
            return "", f"it begins with {self._task.word(begun)!r}"
        text = _shortened(plain[len(self._task.word(label)) :].lstrip("，,：:、。.！! " + QUOTES) if begun else plain)
        if not text:
            return "", "it is empty"
        return text, contradiction(text, label, self._task)

    async def _reply(self, messages: Sequence[dict[str, Any]]) -> str:
        try:
            return await self._complete(messages)
        except openai.BadRequestError as error:
            # Newer OpenAI models reject the older name of this limit.
            if "max_completion_tokens" not in str(error) or self._length_option != "max_tokens":
                raise self._fault(error) from error
            self._length_option = "max_completion_tokens"
            return await self._reply(messages)
        except REPLY_FAULTS as error:
            raise self._fault(error) from error

    async def _complete(self, messages: Sequence[Any]) -> str:
        options: dict[str, Any] = {self._length_option: ANSWER_TOKENS}
        reply = await self._client.chat.completions.create(model=self.model, messages=list(messages), **options)
        if not reply.choices:
            raise ValueError("the reply holds no answer")
        choice = reply.choices[0]
        text = choice.message.content or ""
        return _whole_sentences(text) if choice.finish_reason == "length" else text

    def _fault(self, error: BaseException) -> Exception:
        cause = cause_of(error)
        if cause is Cause.UNAUTHORIZED:
            return EndpointError(
                f"{self._endpoint.url} refused the key ({detail_of(error)}); set it with --key-env or --key-file"
            )
        if isinstance(error, openai.NotFoundError):
            return EndpointError(f"{self._endpoint.url} has no model {self.model!r}: {detail_of(error)}")
        if cause is Cause.UNREACHABLE:
            return EndpointError(
                f"nothing answers at {self._endpoint.url} ({detail_of(error)}); what was written so far is kept, and "
                "the same command goes on from there"
            )
        return NoReplyError(f"{cause.value}: {detail_of(error)}")


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def _plain(text: str, *, chinese: bool) -> str:
    """One line without reasoning, special tokens, code fences, quotes and bullets."""
    text = without_special_tokens(re.sub(r"<think>.*?(?:</think>|$)", "", text, flags=re.DOTALL))
    lines = [re.sub(r"^[\s>#*`\-]+|[\s*`]+$", "", line) for line in text.splitlines()]
    joined = ("" if chinese else " ").join(line for line in lines if line)
    return joined.replace("**", "").strip(QUOTES)


def _shortened(text: str) -> str:
    """At most MAX_CHARS characters, cut at the end of a sentence."""
    return text if len(text) <= MAX_CHARS else _whole_sentences(text[:MAX_CHARS])


def _whole_sentences(text: str) -> str:
    end = max(text.rfind(mark) for mark in CLOSING)
    return text[: end + 1] if end > 0 else text


def answer_text(description: DescribeResult, label: LabelName, task: Question) -> str:
    """The complete answer: label word and description."""
    return TargetAnswer(label, description.text).text(task)
