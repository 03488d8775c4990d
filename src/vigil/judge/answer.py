"""From the first token's log probabilities to the probability of alarm.

p = P(alarm) / (P(alarm) + P(normal)) = sigmoid(logprob(alarm) - logprob(normal)). vLLM reports raw log
probabilities, before any grammar or sampling, so the mass outside the two words stays visible.

Three ways to get them, the best that the server offers (`Words.ways`):

- `ids`: both words are single tokens: `logprob_token_ids` asks for exactly these two.
- `sequences`: a word is several tokens: each word is put behind the prompt and its tokens' log
  probabilities are summed (`prompt_logprobs`), one request a word. P(word), not P(its first token).
- `top`: a server without `/tokenize`: the words are looked for among the 20 likeliest first tokens. One that is not
  among them is taken to be as likely as it can be: like the last of them, or what they leave of 1.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from vigil.calibration import calibrate, sigmoid
from vigil.manifest import Calibration
from vigil.tasks import begins_with_word

Way: TypeAlias = Literal["ids", "sequences", "top"]

TOP_LOGPROBS = 20
"""The most that the OpenAI interface allows."""

LEAST_LOGPROB = -30.0
"""Stands for a word that a server left out of its likeliest tokens, or reported as minus infinity."""

ROUNDING = 1e-3
"""How far above 0 a log probability may lie by a server's rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The two verdict words as this server's tokenizer splits them (empty where it cannot be asked)."""

    alarm: str
    normal: str
    alarm_ids: tuple[int, ...] = ()
    normal_ids: tuple[int, ...] = ()

    @property
    def way(self) -> Way:
        """How the probabilities are read from this server."""
        if not self.alarm_ids or not self.normal_ids:
            return "top"
        return "ids" if len(self.alarm_ids) == len(self.normal_ids) == 1 else "sequences"


@dataclass(frozen=True, slots=True)
class Mass:
    """The log probabilities of the two words."""

    alarm_logprob: float
    normal_logprob: float

    @property
    def logit(self) -> float:
        """log(P(alarm) / P(normal)), uncalibrated."""
        return self.alarm_logprob - self.normal_logprob

    @property
    def outside(self) -> float:
        """The probability of everything but the two words."""
        inside = math.exp(min(0.0, self.alarm_logprob)) + math.exp(min(0.0, self.normal_logprob))
        return max(0.0, 1.0 - inside)

    def p_alarm(self, calibration: Calibration | None = None) -> float:
        """The probability of alarm, calibrated when a calibration is given."""
        return calibrate(sigmoid(self.logit), calibration)


def request_options(words: Words) -> dict[str, Any]:
    """The request's fields that make the server report what `read_mass` needs."""
    if words.way == "ids":
        ids = [words.alarm_ids[0], words.normal_ids[0]]
        return {"logprobs": True, "logprob_token_ids": ids, "return_tokens_as_token_ids": True}
    return {"logprobs": True, "top_logprobs": TOP_LOGPROBS}


def read_logprob(value: Any) -> float:
    """A log probability as a server reported it, at least LEAST_LOGPROB; raises ValueError for what cannot be one."""
    logprob = float(value)
    if math.isnan(logprob) or logprob > ROUNDING:
        raise ValueError(f"the answer's log probability {value!r} is none")
    return min(0.0, max(logprob, LEAST_LOGPROB))


def read_mass(logprobs: Mapping[str, Any] | None, words: Words) -> Mass | None:
    """The two words' mass in a choice's `logprobs`; None when the server reported nothing of either."""
    content = (logprobs or {}).get("content")
    if not content:
        return None
    reported = {entry["token"]: read_logprob(entry["logprob"]) for entry in content[0].get("top_logprobs") or []}
    if words.way == "ids":
        found = [reported.get(f"token_id:{word[0]}") for word in (words.alarm_ids, words.normal_ids)]
    else:
        found = [_begins(reported, words.alarm), _begins(reported, words.normal)]
    if found == [None, None]:
        return None
    missing = LEAST_LOGPROB if words.way == "ids" else _most_of_another(reported)
    alarm, normal = (missing if value is None else value for value in found)
    return Mass(alarm, normal)


def _begins(reported: dict[str, float], word: str) -> float | None:
    """The log probability of the tokens that a word begins with, or that begin with the whole word."""
    matching = [
        logprob
        for token, logprob in reported.items()
        if (plain := token.strip()) and (word.startswith(plain) or begins_with_word(plain, word))
    ]
    return math.log(sum(map(math.exp, matching))) if matching else None


def _most_of_another(reported: Mapping[str, float]) -> float:
    """The highest log probability that a token may have which was not reported among the likeliest."""
    left = 1.0 - sum(map(math.exp, reported.values()))
    return max(LEAST_LOGPROB, min(*reported.values(), math.log(left) if left > 0 else LEAST_LOGPROB, 0.0))


def word_at_start(text: str, words: Words) -> Literal["alarm", "normal"] | None:
    """Which verdict word an answer begins with as a whole word, ignoring quotes, spaces and case; None for neither."""
    plain = text.lstrip(" \t\r\n\"'“”‘’「」*#").casefold()
    for name, word in (("alarm", words.alarm), ("normal", words.normal)):
        if begins_with_word(plain, word.casefold()):
            return "alarm" if name == "alarm" else "normal"
    return None
