"""From a chat to the documents that are trained on, and what is to be said about all of them."""

import collections

from chats.answers import Unfindable, find_answer, texts_of
from chats.fault import Fault
from chats.template import TemplateError

TRAIN_ON = ("assistant", "last", "each", "all")


def counted(count, noun):
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


class Noted:
    """How often something was seen, and where first."""

    def __init__(self):
        self.count, self.first = 0, ""

    def add(self, place):
        self.first = self.first or place
        self.count += 1


class Counts:
    def __init__(self):
        self.chats = self.answers = 0
        self.dropped, self.rewritten, self.without_target = Noted(), Noted(), Noted()
        self.unread = collections.Counter()

    def check_targets(self):
        """Fails where more than 1% of the chats have no target, or all."""
        none = self.without_target
        if none.count * 100 > self.chats or (none.count and none.count == self.chats):
            raise Fault(
                3,
                none.first.partition(" ")[0],
                f"{none.count} of {self.chats} chats have no target, first {none.first}; at most 1% may; remove "
                "them, or use --train-on all",
            )

    def lines(self, train_on):
        trained = "" if train_on == "all" else f", {counted(self.answers, 'answer')}"
        yield f"{counted(self.chats, 'chat')}{trained}"
        if self.dropped.count:
            yield (
                f"answers that are not in the text as given, for the template drops or changes a part, such as a "
                f"thought: {self.dropped.count}, first {self.dropped.first}"
            )
        if self.rewritten.count:
            yield (
                f"earlier answers that read otherwise than when they were last: {self.rewritten.count}, first "
                f"{self.rewritten.first}; --train-on each trains them as they were spoken"
            )
        if self.unread:
            yield "keys not read: " + ", ".join(f"{key} ({count})" for key, count in self.unread.items())
        if self.without_target.count:
            yield (
                f"chats without a target, which are left out: {self.without_target.count} of {self.chats}, first "
                f"{self.without_target.first}"
            )


def merged(ranges):
    """Ascending and apart, without empty ones."""
    result = []
    for begin, end in sorted(ranges):
        if begin == end:
            continue
        if result and begin <= result[-1][1]:
            result[-1][1] = max(end, result[-1][1])
        else:
            result.append([begin, end])
    return result


def in_bytes(text, ranges):
    if text.isascii():
        return ranges
    return [[len(text[:begin].encode()), len(text[:end].encode())] for begin, end in ranges]


def with_parts(message, change):
    """The message with change(content) where that is a list of parts."""
    content = message.get("content")
    return {**message, "content": change(content)} if isinstance(content, list) else message


class Renderer:
    def __init__(self, template, train_on):
        self.template, self.train_on = template, train_on
        self.counts = Counts()

    def documents(self, chat):
        """The rows for `data tokenize`; none where the chat has no target, which is counted."""
        self.counts.chats += 1
        try:
            arguments = self.arguments(chat)
            messages = self.spelled(chat.messages, arguments)
            rows = list(self.rows(chat, messages, arguments))
        except TemplateError as error:
            raise Fault(3, chat.place, f"the chat template: {error}") from None
        if not rows:
            self.counts.without_target.add(f"{chat.place} ({self.reason(chat)})")
        return rows

    def reason(self, chat):
        """Why a chat has no target."""
        if not chat.answers():
            return "no assistant message"
        if not chat.trained():
            return "no answer in training"
        said = any(text.strip() for i in chat.trained() for text in texts_of(chat.messages[i]))
        return "the template encloses no answer in {% generation %}" if said else "an empty answer"

    def arguments(self, chat):
        """What the template gets beside the messages; counts the keys that it does not read."""
        variables = self.template.of(chat.arguments).variables
        arguments = {**chat.arguments, **{key: value for key, value in chat.others.items() if key in variables}}
        if clash := sorted(self.template.reserved & arguments.keys()):
            raise Fault(3, chat.place, f"sets {clash[0]}, which is not for a row to say; remove it")
        for key, value in {**chat.others, **chat.arguments}.items():
            if key not in variables and value not in (None, []):
                own = key in chat.others or key in ("tools", "documents")
                self.counts.unread[key if own else f"chat_template_kwargs.{key}"] += 1
        return arguments

    def spelled(self, messages, arguments):
        """Messages whose parts of text are joined, where the template does not read parts."""
        if all(not isinstance(message.get("content"), list) for message in messages):
            return messages
        mark = "a key that no template reads"  # seen where a template writes the list itself
        whole = self.attempt(arguments)(
            [with_parts(message, lambda parts: [{**part, mark: ""} for part in parts]) for message in messages]
        )
        if (
            whole is not None
            and mark not in whole
            and all(text.strip() in whole for m in messages for text in texts_of(m))
        ):
            return messages
        return [with_parts(message, lambda parts: "".join(part["text"] for part in parts)) for message in messages]

    def attempt(self, arguments):
        """The renderer of answers.py: None where the template refuses."""

        def render(messages, prompt=False):
            try:
                return self.template.render(messages, arguments, prompt)
            except TemplateError:
                return None

        return render

    def rows(self, chat, messages, arguments):
        answers, trained = chat.answers(), chat.trained()
        if self.train_on == "each":
            for i in trained:
                yield from self.row(chat, messages[: i + 1], [j for j in answers if j <= i], [i], arguments)
        elif self.train_on == "all":
            text = self.template.render(messages, arguments)
            yield {"text": text, "end": "none" if self.is_ended(text) else "target"}
        else:
            last = [i for i in trained if i == answers[-1]]
            yield from self.row(chat, messages, answers, last if self.train_on == "last" else trained, arguments)

    def is_ended(self, text):
        return text.rstrip().endswith(self.template.end)

    def row(self, chat, messages, answers, trained, arguments):
        text = self.template.render(messages, arguments)
        ranges = merged(self.ranges(chat, text, messages, answers, trained, arguments)) if trained else []
        last = len(messages) - 1 in trained
        end = "none" if self.is_ended(text) else "target" if last else "masked"
        silent = not any(text.strip() for i in trained for text in texts_of(messages[i]))
        if ranges or (end == "target" and silent):  # the end alone is no answer to a chat that has one
            self.counts.answers += len(trained)
            yield {"text": text, "targets": in_bytes(text, ranges), "end": end}

    def ranges(self, chat, text, messages, answers, trained, arguments):
        if self.template.of(arguments).tagged:
            return self.tagged(chat, text, messages, answers, trained, arguments)
        found = []
        for i in trained:
            try:
                answer = find_answer(text, messages, i, self.attempt(arguments), self.template.added)
            except Unfindable:
                raise Fault(
                    3,
                    chat.place,
                    f"the chat template shows nothing of the answer in message {i}, so that it "
                    "cannot be a target; try --train-on last or --train-on each",
                ) from None
            if not answer.as_given:
                self.counts.dropped.add(chat.place)
            if answer.rewritten:
                self.counts.rewritten.add(chat.place)
            found.append((answer.begin, answer.end))
        return found

    def tagged(self, chat, text, messages, answers, trained, arguments):
        """What {% generation %} encloses of the answers in training."""
        same, ranges = self.template.generation_ranges(messages, arguments)
        if same != text:
            raise TemplateError("renders another text while {% generation %} is followed")
        if trained == answers:
            return ranges
        if len(ranges) == len(answers):
            ends = list(range(1, len(answers) + 1))
        else:
            ends = [len(self.template.generation_ranges(messages[: i + 1], arguments)[1]) for i in answers]
        if ends != sorted(ends) or ends[-1] != len(ranges):
            raise Fault(
                3,
                chat.place,
                "the ranges of {% generation %} cannot be told apart by message, so that one "
                "answer cannot be trained without the others",
            )
        begins = dict(zip(answers, [0] + ends[:-1]))
        return [part for i, end in zip(answers, ends) if i in trained for part in ranges[begins[i] : end]]
