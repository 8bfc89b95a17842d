"""Where the assistant speaks in a rendered chat (docs/chats.md says the rule)."""

import dataclasses

from chats.rows import REASONING


@dataclasses.dataclass
class Answer:
    begin: int
    end: int  # characters of the text: begin .. end - 1
    as_given: bool  # what the message says is in it
    rewritten: bool = False  # it read otherwise when it was the last message


class Unfindable(Exception):
    """The template shows nothing of an answer."""


def longest(most, holds):
    """The largest n up to most for which holds(n), which holds for all below it."""
    least = 0
    while least < most:
        middle = (least + most + 1) // 2
        if holds(middle):
            least = middle
        else:
            most = middle - 1
    return least


def common_start(a, b):
    return longest(min(len(a), len(b)), lambda n: a[:n] == b[:n])


def common_end(a, b):
    return longest(min(len(a), len(b)), lambda n: a[len(a) - n :] == b[len(b) - n :])


def texts_of(message):
    """What a message says: its content, in parts or not, and its reasoning."""
    content = message.get("content")
    parts = [part["text"] for part in content] if isinstance(content, list) else [content]
    return [text for text in parts + [message.get(key) for key in REASONING] if isinstance(text, str)]


def with_text(message, text):
    """The message saying something else."""
    content = [{"type": "text", "text": text}] if isinstance(message.get("content"), list) else text
    return {**message, "content": content, **{key: text for key in REASONING if message.get(key)}}


def content_range(text, messages, i, render):
    """Where text changes with what message i says; None where it does not."""
    message = messages[i]
    plain = {key: value for key, value in message.items() if key != "tool_calls"}
    for said in (message, plain) if message.get("tool_calls") else (message,):  # calls may stand instead of content
        others = [render(messages[:i] + [with_text(said, digit)] + messages[i + 1 :]) for digit in "01"]
        others = [other for other in others if other is not None]
        if any(other != text for other in others):
            begin = min(common_start(text, other) for other in others)
            return begin, max(begin, len(text) - min(common_end(text, other) for other in others))
    return None


def without_space(text, begin, end, added):
    """The end of an answer, less white space behind its last token where that is an added one."""
    bare = text[begin:end].rstrip()
    return begin + len(bare) if bare.endswith(added) else end


def find_answer(whole, messages, i, render, added):
    """The Answer that message i is in whole, which messages render to.

    render(messages, prompt=False): the text, with prompt=True that of a prompt for an answer; None where the template
    refuses. added: a tuple of the tokenizer's added tokens.
    """
    prompt = render(messages[:i], prompt=True)
    spoken = whole if i + 1 == len(messages) else render(messages[: i + 1])
    says = [text.strip() for text in texts_of(messages[i])]

    def beginning(text, content):
        return len(prompt) if prompt is not None and text.startswith(prompt) else content[0]

    def answer(begin, end, rewritten=False):
        return Answer(begin, end, all(text in whole[begin:end] for text in says), rewritten)

    if None not in (prompt, spoken) and whole.startswith(spoken) and spoken.startswith(prompt):
        if spoken == prompt and any(says):
            raise Unfindable
        return answer(len(prompt), without_space(whole, len(prompt), len(spoken), added))
    content = content_range(whole, messages, i, render)
    if content is None:
        raise Unfindable
    begin, tail, alone = beginning(whole, content), "", None
    if spoken is not None and (last := content_range(spoken, messages[: i + 1], i, render)):
        tail, first = spoken[last[1] :], beginning(spoken, last)
        alone = spoken[first : without_space(spoken, first, len(spoken), added)]
    # what follows the content where it is last, and follows it in whole too, is spoken
    end = max(begin, content[1] + common_start(whole[content[1] :], tail))
    end = without_space(whole, begin, end, added)
    return answer(begin, end, alone is not None and alone != whole[begin:end])
