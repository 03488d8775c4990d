"""The streamed answer to a conversation; closing the stream ends the server's work."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Self

from vigil.errors import EndpointError
from vigil.judge.certificates import tls_fault
from vigil.judge.endpoint import Endpoint
from vigil.judge.faults import REPLY_FAULTS, cause_of, detail_of
from vigil.judge.prompt import Message
from vigil.judge.transport import ModelClient
from vigil.verdict import Cause

ADVICE = {
    Cause.UNREACHABLE: "start a server with `./vllm.sh MODEL_DIR`, or wait until it is up",
    Cause.UNAUTHORIZED: "put the server's key into $VIGIL_API_KEY or name it with --key-file",
    Cause.RATE_LIMITED: "ask again in a moment",
    Cause.REJECTED: "ask for less: a shorter question, a shorter answer or fewer pictures",
    Cause.CUT_OFF: "ask again; the server's log tells why it stopped",
}
ASK_AGAIN = "ask again"


class ChatClient:
    """Asks one endpoint in words; several conversations may go on at once."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._transport = ModelClient(endpoint, retries=0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.close()

    async def answer(
        self, model: str, messages: Sequence[Message], *, max_tokens: int, temperature: float = 0.0
    ) -> AsyncGenerator[str, None]:
        """The pieces of the answer as they arrive; close it (`contextlib.aclosing`) to end the server's work.

        Raises EndpointError, also in the middle: what came before is then a part of an answer and no answer.
        """
        body: dict[str, Any] = {"model": model, "messages": list(messages), "max_tokens": max_tokens, "stream": True}
        complete = False
        try:
            async with aclosing(self._transport.events(body | {"temperature": temperature})) as events:
                async for event in events:
                    choice = (event.get("choices") or [{}])[0]
                    complete = complete or choice.get("finish_reason") is not None
                    piece = (choice.get("delta") or {}).get("content")
                    if piece:
                        yield str(piece)
        except REPLY_FAULTS as error:
            raise self._refused(error) from error
        if not complete:
            raise EndpointError(f"{self._endpoint.url} broke off in the middle of its answer; {ADVICE[Cause.CUT_OFF]}")

    def _refused(self, error: BaseException) -> EndpointError:
        said = detail_of(error)
        if tls_fault(error):
            # What is to be done about a certificate is said with it; the server is there.
            return EndpointError(f"{self._endpoint.url}: {said}")
        return EndpointError(f"{self._endpoint.url}: {said}; {ADVICE.get(cause_of(error), ASK_AGAIN)}")
