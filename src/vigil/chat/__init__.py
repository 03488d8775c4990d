"""Chat: asks a model about a text, a picture, a video or a camera, turn by turn.

    conversation = Conversation()
    conversation.ask("What happens?", attach_video(path, sampling, most_frames=64))
    async with ChatClient(endpoint) as client:
        async for piece in client.answer(model, conversation.messages(limits), max_tokens=512):
            ...

`attachment` turns what is attached into pictures, `time_span` reads which seconds a question names, `conversation`
keeps the turns within the model's context and streams the answer. Endpoint failures raise EndpointError; they are
never returned as an answer.
"""

from vigil.chat.attachment import Attachment, attach_camera, attach_picture, attach_pictures, attach_video
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
    "attach_pictures",
    "attach_video",
    "find_time_span",
]
