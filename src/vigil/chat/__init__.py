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

from vigil.chat.attachment import Attachment, attach_camera, attach_picture, attach_video, look_at_pictures
from vigil.chat.conversation import ChatClient, ChatTurn, ContextLimits, Conversation
from vigil.chat.time_span import TimeSpan, find_time_span

__all__ = [
    "Attachment",
    "ChatClient",
    "ChatTurn",
    "ContextLimits",
    "Conversation",
    "TimeSpan",
    "attach_camera",
    "attach_picture",
    "attach_video",
    "find_time_span",
    "look_at_pictures",
]
