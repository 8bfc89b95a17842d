"""Text to an LLMQ version 2 token file with a Hugging Face tokenizer.

usage: tools/tokenize --tokenizer DIR INPUT... --out FILE.bin [--end TOKEN]
       tools/tokenize --tokenizer DIR --prompt TEXT      prints its ids: tandem generate --prompt-tokens 1,2,3
       tools/tokenize --tokenizer DIR --decode 1,2,3     prints the text of ids, such as tandem generate prints

DIR is a model directory with tokenizer.json. A .txt input is one document; a .jsonl input has one a line: {"text": "..."},
or a chat, {"messages": [{"role": ..., "content": ...}, ...]}, which the tokenizer's chat template renders. No special token
is added to a text but the end token after it; it is eos_token of tokenizer_config.json unless --end names another. As soon
as one document is a chat, the file has a mask: in chats only the assistant's tokens are targets, in texts all are.
"""
import argparse
import json
import os
import pathlib
import sys

import numpy
from tokenizers import Tokenizer

MOST_TOKENS = 2**31 - 1


class Fault(Exception):
    """Bad input, with the exit code of `tandem`: 2 arguments, 3 an input file."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def token_text(entry):
    """A token in tokenizer_config.json is its text, or an object that holds it."""
    return entry.get("content") if isinstance(entry, dict) else entry


class Encoder:
    def __init__(self, directory):
        path = directory / "tokenizer.json"
        if not path.is_file():
            raise Fault(2, f"[{path}] is not there; --tokenizer wants a model directory with a tokenizer.json")
        try:
            self.tokenizer = Tokenizer.from_file(str(path))
            self.config = self.read_config(directory)
        except Exception as error:  # tokenizers throws plain Exception
            raise Fault(3, f"[{path}] cannot be read: {error}") from None
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.template = self.read_template(directory)

    def end_documents(self, directory, end):
        text = end or token_text(self.config.get("eos_token"))
        self.end = self.tokenizer.token_to_id(text) if text else None
        if self.end is None:
            raise Fault(2, f"[{directory}] names no end token that it has ({text!r}); give --end TOKEN")

    @staticmethod
    def read_config(directory):
        path = directory / "tokenizer_config.json"
        return json.loads(path.read_text("utf-8")) if path.is_file() else {}

    def read_template(self, directory):
        path = directory / "chat_template.jinja"
        text = path.read_text("utf-8") if path.is_file() else self.config.get("chat_template")
        if isinstance(text, list):  # several, by name
            text = next((entry["template"] for entry in text if entry.get("name") == "default"), None)
        if not text:
            return None
        from jinja2.ext import loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        def refuse(message):
            raise Fault(3, f"the chat template refuses: {message}")

        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
        environment.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
        environment.globals["raise_exception"] = refuse
        return environment.from_string(text)

    def vocabulary_size(self):
        return self.tokenizer.get_vocab_size(with_added_tokens=True)

    def ids(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids):
        try:
            return self.tokenizer.decode([int(i) for i in ids.split(",")], skip_special_tokens=False)
        except (ValueError, OverflowError):
            raise Fault(2, f"[--decode] {ids!r} is not a list of token ids such as 1,2,3") from None

    def text(self, text):
        """A document that is not a chat: its tokens and the end token, all of them targets."""
        ids = self.ids(text) + [self.end]
        return ids, [True] * len(ids)

    def render(self, messages, answer_next):
        names = ("bos_token", "eos_token", "unk_token", "pad_token")
        special = {name: token_text(self.config[name]) for name in names if self.config.get(name)}
        return self.template.render(messages=messages, add_generation_prompt=answer_next, **special)

    def assistant_spans(self, messages, whole):
        """Where in the rendered text the assistant speaks: from where a prompt for message i would end to its end."""
        for i, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            prompt, spoken = self.render(messages[:i], True), self.render(messages[: i + 1], False)
            if not (spoken.startswith(prompt) and whole.startswith(spoken)):
                # a template that drops or moves text by what follows, such as earlier reasoning
                raise Fault(3, f"the chat template rewrites the text before message {i}; split the chat there")
            yield len(prompt), len(spoken)

    def chat(self, messages):
        """The chat's tokens, and of each whether the assistant speaks it. The end token is added unless it is there."""
        if self.template is None:
            raise Fault(2, "the tokenizer has no chat template; tokenize texts, or add chat_template to its config")
        whole = self.render(messages, False)
        spans = list(self.assistant_spans(messages, whole))
        encoding = self.tokenizer.encode(whole, add_special_tokens=False)
        ids = list(encoding.ids)
        mask = [any(first <= begin and end <= last for first, last in spans) for begin, end in encoding.offsets]
        if self.end not in ids[-2:]:  # templates often put a line end after it
            ids.append(self.end)
            mask.append(messages[-1]["role"] == "assistant")
        return ids, mask


def is_chat(value):
    messages = value.get("messages")
    return isinstance(messages, list) and bool(messages) and all(
        isinstance(m, dict) and isinstance(m.get("role"), str) and isinstance(m.get("content"), str) for m in messages)


def documents(path, encoder):
    """(tokens, mask) of each document; mask is None for a text."""
    if path.suffix == ".txt":
        yield encoder.text(path.read_text("utf-8", "replace"))[0], None
        return
    with open(path, encoding="utf-8", newline="\n") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
                if isinstance(value, dict) and isinstance(value.get("text"), str):
                    yield encoder.text(value["text"])[0], None
                elif isinstance(value, dict) and is_chat(value):
                    yield encoder.chat(value["messages"])
                else:
                    raise Fault(3, "expected an object with a string text, or messages that have role and content")
            except (ValueError, Fault) as error:
                raise Fault(getattr(error, "code", 3), f"[{path}:{number}] {error}") from None


def header(count, vocabulary, masked):
    words = numpy.zeros(256, "<i4")
    words[:2] = numpy.frombuffer(b"BIN.TOK\n", "<i4")
    words[2:7] = 2, 4, count, vocabulary, masked
    return words.tobytes()


def write(out, inputs, encoder):
    """Streams the tokens beside out, then the mask, then the header's count, and renames."""
    temporary = out.with_name(".tmp-" + out.name)
    count, mask, masked = 0, [], False
    try:
        with open(temporary, "wb") as file:
            file.write(header(0, 0, False))
            for path in inputs:
                for ids, targets in documents(path, encoder):
                    count += len(ids)
                    if count > MOST_TOKENS:
                        raise Fault(3, f"[{path}] more than {MOST_TOKENS} tokens; split the input")
                    file.write(numpy.asarray(ids, "<i4").tobytes())
                    masked = masked or targets is not None
                    mask.append(numpy.ones(len(ids), bool) if targets is None else numpy.asarray(targets, bool))
            if masked:
                file.write(numpy.packbits(numpy.concatenate(mask), bitorder="little").tobytes())
            file.seek(0)
            file.write(header(count, encoder.vocabulary_size(), masked))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, out)
    finally:
        temporary.unlink(missing_ok=True)
    return count, len(mask)


def encode_files(encoder, arguments):
    for path in arguments.inputs:
        if path.suffix not in (".txt", ".jsonl"):
            raise Fault(2, f"[{path}] is neither a .txt nor a .jsonl file")
    encoder.end_documents(arguments.tokenizer, arguments.end)
    count, number = write(arguments.out, arguments.inputs, encoder)
    print(f"{arguments.out}: {count} tokens of {number} documents", file=sys.stderr)


def main():
    usage, _, details = __doc__.partition("\n\n")[2].partition("\n\n")
    parser = argparse.ArgumentParser(prog="tools/tokenize", usage=usage.removeprefix("usage: "), description=__doc__.split("\n")[0],
                                     epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", required=True, type=pathlib.Path, metavar="DIR")
    parser.add_argument("inputs", nargs="*", type=pathlib.Path, metavar="INPUT")
    parser.add_argument("--out", type=pathlib.Path, metavar="FILE.bin")
    parser.add_argument("--end", metavar="TOKEN", help="the end token's text, such as <|endoftext|>")
    parser.add_argument("--prompt", metavar="TEXT")
    parser.add_argument("--decode", metavar="IDS")
    arguments = parser.parse_args()
    if [bool(arguments.inputs and arguments.out), arguments.prompt is not None, arguments.decode is not None].count(True) != 1:
        parser.error("give INPUT... and --out FILE.bin, or --prompt TEXT, or --decode IDS")
    try:
        encoder = Encoder(arguments.tokenizer)
        if arguments.prompt is not None:
            print(",".join(map(str, encoder.ids(arguments.prompt))))
        elif arguments.decode is not None:
            print(encoder.decode(arguments.decode))
        else:
            encode_files(encoder, arguments)
    except Fault as fault:
        print(f"tokenize: {fault}", file=sys.stderr)
        sys.exit(fault.code)
    except OSError as error:
        print(f"tokenize: {error}", file=sys.stderr)
        sys.exit(3)


if __name__ == "__main__":
    main()
