"""Chat: asking a model in words about a text, a picture, a video or a camera, turn by turn.

    conversation = Conversation()
    conversation.ask("What happens?", look_at_video(path, sampling, most_frames=64))
    async with Talker(endpoint) as talker:
        async for piece in talker.answer(model, conversation.messages(limits), max_tokens=512):
            ...

`look` makes pictures of what is attached, `span` reads which seconds a question names, `conversation` keeps the turns
within what the model can take, `talker` streams the answer. A fault of the endpoint is an EndpointError,
never an answer.
"""

from vigil.chat.conversation import Conversation, Limits, Turn
from vigil.chat.look import Look, look_at_camera, look_at_picture, look_at_pictures, look_at_video
from vigil.chat.span import Span, span_in
from vigil.chat.talker import Talker

__all__ = [
    "Conversation",
    "Limits",
    "Look",
    "Span",
    "Talker",
    "Turn",
    "look_at_camera",
    "look_at_picture",
    "look_at_pictures",
    "look_at_video",
    "span_in",
]
