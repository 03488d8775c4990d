import pytest

from vigil.chat import Attachment, ContextLimits, Conversation
from vigil.errors import UsageError
from vigil.frames import FrameSampling

PICTURE = Attachment(kind="picture", jpegs=(b"p",), size_wh=(320, 320))  # 100 tokens and 8
VIDEO = Attachment(kind="video", jpegs=(b"a", b"b", b"c", b"d"), size_wh=(128, 96), start_s=0, end_s=1.5, spacing_s=0.5)


def kinds(content: object) -> list[str]:
    return [part["type"] for part in content] if isinstance(content, list) else ["text"]


def test_the_turns_become_messages_in_order_pictures_first() -> None:
    conversation = Conversation()
    conversation.ask("What is it?", PICTURE).answer = "A dog."
    conversation.ask(" And now? ")
    messages = conversation.messages(ContextLimits())
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert kinds(messages[0]["content"]) == ["image_url", "text"]
    assert messages[2]["content"] == "And now?"


def test_a_video_is_one_list_of_frames() -> None:
    conversation = Conversation()
    conversation.ask("What happens?", VIDEO)
    [message] = conversation.messages(ContextLimits())
    assert message["content"][0]["video_url"]["url"].count(",") == 4
    assert message["content"][1]["text"] == "What happens?"


def test_frames_that_are_further_apart_than_the_server_believes_are_told_with_their_times() -> None:
    conversation = Conversation()
    far = Attachment(kind="video", jpegs=VIDEO.jpegs, size_wh=(128, 96), end_s=30, spacing_s=10, is_stretched=True)
    conversation.ask("What happens?", far)
    assert "4 frames, 10.0 s apart, from 0.0 s to 30.0 s" in str(conversation.messages(ContextLimits()))


def test_the_newest_look_stays_while_old_words_go() -> None:
    conversation = Conversation()
    conversation.ask("look", VIDEO).answer = "seen"
    for _ in range(30):
        conversation.ask("more " * 10).answer = "words " * 10
    conversation.ask("and?")
    messages = conversation.messages(ContextLimits(context=600, answer=100))
    assert kinds(messages[0]["content"]) == ["video_url", "text"]
    assert messages[-1]["content"] == "and?"
    assert len(messages) < 20


def test_an_old_picture_that_does_not_fit_is_left_out_with_a_word() -> None:
    conversation = Conversation()
    for number in range(3):
        conversation.ask(f"picture {number}", PICTURE).answer = "yes"
    messages = conversation.messages(ContextLimits(context=4000, answer=100, pictures=2))
    shown = [kinds(message["content"]) for message in messages if message["role"] == "user"]
    assert shown == [["text"], ["image_url", "text"], ["image_url", "text"]]
    assert messages[0]["content"].startswith("(What was shown here is left out")


def test_a_question_that_does_not_fit_is_told() -> None:
    conversation = Conversation()
    conversation.ask("x" * 1000)
    with pytest.raises(UsageError, match="does not fit"):
        conversation.messages(ContextLimits(context=500, answer=100))
    conversation = Conversation()
    conversation.ask("x", PICTURE)
    with pytest.raises(UsageError, match="does not fit"):
        conversation.messages(ContextLimits(context=200, answer=100))


def test_an_empty_question_is_refused_and_one_without_an_answer_can_be_taken_back() -> None:
    conversation = Conversation()
    with pytest.raises(UsageError, match="empty"):
        conversation.ask(" \n")
    turn = conversation.ask("Who?")
    assert conversation.take_back() is turn
    assert conversation.take_back() is None


@pytest.mark.parametrize("context", [512, 4096, 7680, 262_144])
def test_the_most_frames_of_a_video_fit_and_are_even(context: int) -> None:
    limits, sampling = ContextLimits(context=context, answer=context // 8), FrameSampling(max_pixels=12_288)
    most = limits.most_frames(sampling, beside="What happens?")
    assert most % 2 == 0
    assert 2 <= most <= 256
    conversation = Conversation()
    attachment = Attachment(kind="video", jpegs=(b"j",) * most, size_wh=(128, 96))
    conversation.ask("What happens?", attachment)
    assert conversation.messages(limits)
