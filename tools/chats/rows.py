"""Lines of JSON: which are texts, and the chats that others hold."""

import dataclasses
import json
import sys

from chats.fault import Fault

# the keys that make a row one of a kind
KINDS = {
    "text": ("text",),
    "messages": ("messages",),
    "conversations": ("conversations",),
    "instruction": ("instruction", "output"),
    "prompt": ("prompt", "completion"),
}
OPTIONAL = {"instruction": ("input", "system")}
ARGUMENTS = ("tools", "documents", "chat_template_kwargs")
OTHER_METHODS = ("images", "videos", "audios", "chosen", "rejected")  # what they say would be lost
ROLES = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "tool": "tool",
    "function_response": "tool",
    "observation": "tool",
}
REASONING = ("reasoning_content", "thinking", "reasoning")

sys.set_int_max_str_digits(0)  # numbers that nobody reads may be of any size
sys.setrecursionlimit(20_000)  # Python counts several calls per level of JSON


@dataclasses.dataclass
class Chat:
    place: str  # FILE:LINE
    messages: list
    first: int = 0  # messages before are a prompt, whose answers are not trained
    arguments: dict = dataclasses.field(default_factory=dict)  # what the template gets beside the messages
    others: dict = dataclasses.field(default_factory=dict)  # keys that no kind of row has

    def answers(self):
        """The messages of the assistant."""
        return [i for i, message in enumerate(self.messages) if message["role"] == "assistant"]

    def trained(self):
        return [i for i in self.answers() if i >= self.first and self.messages[i].get("weight") != 0]


class Twice(dict):
    """An object in which keys stand twice; the last of them counts, as in Python's json."""

    def __init__(self, pairs):
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.keys_twice = {name for name in names if names.count(name) > 1}


def as_object(pairs):
    value = dict(pairs)
    return value if len(value) == len(pairs) else Twice(pairs)


def check_once(value, place, path):
    """Fails where a key inside of value, all of which reaches the template, stands twice."""
    if isinstance(value, Twice):
        raise Fault(3, place, f"{path}.{min(value.keys_twice)} stands twice; remove one")
    if isinstance(value, dict):
        for key, part in value.items():
            check_once(part, place, f"{path}.{key}")
    elif isinstance(value, list):
        for i, part in enumerate(value):
            check_once(part, place, f"{path}[{i}]")


def parse(line, place):
    try:
        row = json.loads(line.removeprefix("\ufeff"), object_pairs_hook=as_object)
        if "\\u" in line:
            json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Fault(3, place, "holds half of a surrogate pair; correct the escape") from None
    except RecursionError:
        raise Fault(3, place, "is nested too deep") from None
    except ValueError as error:
        raise Fault(3, place, f"is not valid JSON: {error}") from None
    if not isinstance(row, dict):
        raise Fault(3, place, 'is not an object, such as {"messages": [...]} or {"text": "..."}')
    return row


def kind_of(row, place):
    for name in OTHER_METHODS:
        if row.get(name) not in (None, []):
            raise Fault(3, place, f"has {name}, which only other methods of training read; remove it, or the row")
    kinds = [kind for kind, keys in KINDS.items() if all(row.get(key) is not None for key in keys)]
    if not kinds:
        raise Fault(
            3, place, "has neither text, messages, conversations, instruction and output, nor prompt and " "completion"
        )
    if len(kinds) > 1:
        raise Fault(3, place, f"has both {' and '.join(kinds)}; keep one of them")
    if kinds == ["prompt"] and row.get("label") is not None:
        raise Fault(
            3,
            place,
            "has a label beside the completion, which only other methods of training read; remove it, " "or the row",
        )
    return kinds[0]


def check_content(message, place, path):
    content = message.get("content")
    if isinstance(content, str) or (content is None and message.get("tool_calls")):
        return
    if content is None:
        raise Fault(3, place, f"{path} has no content, and no tool_calls in its place")
    if not isinstance(content, list):
        raise Fault(3, place, f"{path}.content is neither a string nor a list of text parts")
    for part in content:
        if not (isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)):
            kind = part.get("type") if isinstance(part, dict) else type(part).__name__
            raise Fault(3, place, f"{path}.content holds a part of type {kind}; only text is trained on")


def as_message(value, place, path):
    if not isinstance(value, dict):
        raise Fault(3, place, f"{path} is not an object with role and content")
    check_once(value, place, path)
    if "from" in value and "role" not in value:
        if not isinstance(value["from"], str) or value["from"] not in ROLES:
            raise Fault(3, place, f"{path}.from is {value['from']!r}, which is none of {', '.join(ROLES)}")
        rest = {key: part for key, part in value.items() if key not in ("from", "value")}
        value = {"role": ROLES[value["from"]], "content": value.get("value"), **rest}
    if not isinstance(value.get("role"), str):
        raise Fault(3, place, f"{path} has no role")
    check_content(value, place, path)
    if value.get("weight") not in (None, 0, 1):
        raise Fault(3, place, f"{path}.weight is {value['weight']!r}; 0 (not trained) or 1 was expected")
    return value


def as_messages(value, place, path):
    if not isinstance(value, list) or not value:
        raise Fault(3, place, f"{path} is not a list of messages")
    return [as_message(message, place, f"{path}[{i}]") for i, message in enumerate(value)]


def alpaca_messages(row, place):
    for key in ("instruction", "input", "output", "system"):
        if not isinstance(row.get(key, ""), str | None):
            raise Fault(3, place, f"{key} is not a string")
    question = row["instruction"] + ("\n\n" + row["input"] if row.get("input") else "")
    system = [{"role": "system", "content": row["system"]}] if row.get("system") else []
    return system + [{"role": "user", "content": question}, {"role": "assistant", "content": row["output"]}]


def read_list(row, name, place):
    """A list, or the JSON text of one; None where there is none."""
    value = row.get(name)
    if isinstance(value, str):
        try:  # an empty text stands for none in tables whose columns are texts
            value = json.loads(value, object_pairs_hook=as_object) if value.strip() else None
        except RecursionError:
            raise Fault(3, place, f"{name} is nested too deep") from None
        except ValueError as error:
            raise Fault(3, place, f"{name} is a text that is not JSON: {error}") from None
    if value is not None and not isinstance(value, list):
        raise Fault(3, place, f"{name} is neither a list nor the JSON text of one")
    check_once(value, place, name)
    return value


def read_arguments(row, place):
    given = row.get("chat_template_kwargs")
    if given is not None and not isinstance(given, dict):
        raise Fault(3, place, "chat_template_kwargs is not an object")
    check_once(given, place, "chat_template_kwargs")
    lists = {name: read_list(row, name, place) for name in ("tools", "documents")}
    return {**(given or {}), **{name: value for name, value in lists.items() if value is not None}}


def read(row, place):
    """The Chat that a row holds, or None for a text, which `tandem data tokenize` reads as it is."""
    kind = kind_of(row, place)
    if kind == "text" or (kind == "prompt" and isinstance(row["prompt"], str) and isinstance(row["completion"], str)):
        return None
    known = KINDS[kind] + OPTIONAL.get(kind, ()) + ARGUMENTS
    for key in getattr(row, "keys_twice", ()):
        if key in known:
            raise Fault(3, place, f"{key} stands twice; remove one")
    first = 0
    if kind == "instruction":
        messages = alpaca_messages(row, place)
    elif kind == "prompt":
        prompt = as_messages(row["prompt"], place, "prompt")
        messages, first = prompt + as_messages(row["completion"], place, "completion"), len(prompt)
    else:
        messages = as_messages(row[kind], place, kind)
    others = {key: value for key, value in row.items() if key not in known and value is not None}
    return Chat(place, messages, first, read_arguments(row, place), others)
