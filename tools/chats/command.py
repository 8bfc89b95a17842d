"""Chats to a token file, through `tandem data tokenize`.

usage: tools/tokenize --tokenizer DIR INPUT... --out FILE.bin [--train-on assistant|last|each|all]
                      [--template NAME|FILE.jinja] [--template-argument KEY=VALUE] [options of tandem data tokenize]
       tools/tokenize --tokenizer DIR --prompt TEXT      prints its ids: tandem generate --prompt-tokens 1,2,3
       tools/tokenize --tokenizer DIR --decode 1,2,3     prints the text of ids, such as tandem generate prints

An INPUT is a .txt (one document) or a .jsonl file (one in each line), each also with .gz or .zst behind it, or - for
lines from standard input. A line is a text, {"text": "..."}, or a chat, which the tokenizer's chat template renders:
{"messages": [{"role": ..., "content": ...}, ...]} with tools, documents and chat_template_kwargs; "conversations" of
{"from", "value"}; "instruction", "input", "output"; or "prompt" and "completion". In chats only what the assistant
says is a target, in texts all is. The first chat installs transformers and jinja2 in .venv-tokenize.
"""

import argparse
import json
import os
import sys

from chats import documents, environment, rows, sources, tandem
from chats.fault import Fault


def parse(arguments):
    usage, _, details = __doc__.partition("\n\n")[2].partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="tools/tokenize",
        usage=usage.removeprefix("usage: "),
        allow_abbrev=False,
        description=__doc__.split("\n")[0],
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--tokenizer", required=True, metavar="bytes|DIR")
    parser.add_argument("inputs", nargs="*", metavar="INPUT")
    parser.add_argument("--out", metavar="FILE.bin")
    parser.add_argument(
        "--train-on",
        choices=documents.TRAIN_ON,
        default="assistant",
        help="all answers, the last, each as a document of its own that ends with it, or every token",
    )
    parser.add_argument("--template", metavar="NAME|FILE.jinja", help="one of the tokenizer's templates, or another")
    parser.add_argument(
        "--template-argument",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a variable of the template, such as enable_thinking=false; a row's own come first",
    )
    parser.add_argument("--end", metavar="TOKEN", help="the end token's text, such as <|endoftext|>")
    parser.add_argument("--bos", action="store_true", help="put the bos token in front of each text")
    parser.add_argument("--special-tokens", choices=("ids", "text"), help="what special tokens in texts become")
    parser.add_argument("--shard-tokens", metavar="N", help="begin a new file at the first document after N tokens")
    parser.add_argument("--threads", metavar="N")
    parser.add_argument("--prompt", metavar="TEXT")
    parser.add_argument("--decode", metavar="IDS")
    options = parser.parse_args(arguments)
    for name, value in vars(options).items():
        if "" in (value if isinstance(value, list) else [value]):
            raise Fault(2, f"--{name.replace('_', '-')}", "is empty; give it a value or leave it out")
    modes = [bool(options.inputs and options.out), options.prompt is not None, options.decode is not None]
    if modes.count(True) != 1:
        parser.error("give INPUT... and --out FILE.bin, or --prompt TEXT, or --decode IDS")
    return options


def own_options(options):
    """What `tandem data tokenize` takes of them, but for the inputs."""
    values = {
        name: getattr(options, name.replace("-", "_"))
        for name in ("tokenizer", "out", "end", "special-tokens", "shard-tokens", "threads", "prompt", "decode")
    }
    given = [f"--{name}={value}" for name, value in values.items() if value is not None]
    return given + (["--bos"] if options.bos else [])


def template_arguments(options):
    result = {}
    for argument in options.template_argument:
        key, equals, value = argument.partition("=")
        if not key or not equals:
            raise Fault(2, "--template-argument", f"{argument} is not KEY=VALUE")
        try:
            result[key] = json.loads(value)
        except ValueError:
            result[key] = value  # a text without quotes
    return result


def open_renderer(options):
    if options.bos or options.special_tokens == "text":
        raise Fault(
            2,
            "--bos" if options.bos else "--special-tokens",
            "is not for chats: their template writes the " "special tokens",
        )
    if options.tokenizer == "bytes":
        raise Fault(2, "--tokenizer", "bytes has no chat template; name a model directory")
    environment.enter()
    from chats.template import Template

    template = Template(options.tokenizer, options.template, template_arguments(options), options.end)
    return documents.Renderer(template, options.train_on)


class Work:
    """The inputs from the first to the last that may hold chats, on their way into the pipe."""

    def __init__(self, options, pipe):
        self.options, self.pipe = options, pipe
        self.renderer = None  # until a chat is met

    def feed(self, path):
        feed_lines = self.feed_lines if sources.is_lines(path) else self.feed_text
        feed_lines(path)

    def feed_text(self, path):
        with sources.opened(path) as file:
            text = file.read().decode("utf-8", "replace")
        self.pipe.write(tandem.row_text({"text": text}), path, 1)

    def feed_lines(self, path):
        for number, line in sources.lines(path):
            if self.pipe.broken:
                return
            if not line.strip(" \t\r"):
                continue
            place = f"{path}:{number}"
            chat = rows.read(rows.parse(line, place), place)
            if chat is None:
                self.pipe.write(line, path, number)
                continue
            self.renderer = self.renderer or open_renderer(self.options)
            for document in self.renderer.documents(chat):
                self.pipe.write(tandem.row_text(document), path, number)

    def finish(self):
        if self.renderer is None or self.pipe.broken:
            return self.pipe.finish()
        counts = self.renderer.counts
        counts.check_targets()
        code = self.pipe.finish()
        if code == 0:
            for line in counts.lines(self.options.train_on):
                print(f"tokenize: {line}", file=sys.stderr)
            if self.renderer.template.asked_date():
                print("tokenize: the chat template writes today's date into the text", file=sys.stderr)
        return code


def check_inputs(options):
    for path in options.inputs:
        if path != "-" and not sources.is_lines(path) and not path.endswith((".txt", ".txt.gz", ".txt.zst")):
            raise Fault(2, path, "is neither a .txt nor a .jsonl file, nor one of them with .gz or .zst behind it")
        if path != "-" and os.path.exists(path) and os.path.exists(options.out) and os.path.samefile(path, options.out):
            raise Fault(2, "--out", f"{options.out} is the input {path}, which is not overwritten; name another file")
    if options.inputs.count("-") > 1:
        raise Fault(2, "-", "stands for standard input, which is read once; name it once")


def run(options):
    given = own_options(options)
    if options.inputs:
        check_inputs(options)
    chats = [i for i, path in enumerate(options.inputs) if sources.may_hold_chats(path)]
    if not chats:
        tandem.become([*given, *options.inputs])
    before, after = options.inputs[: chats[0]], options.inputs[chats[-1] + 1 :]
    pipe = tandem.Pipe([*given, *before, "-", *after])
    work = Work(options, pipe)
    try:
        for path in options.inputs[chats[0] : chats[-1] + 1]:
            work.feed(path)
        return work.finish()
    except BaseException:
        pipe.give_up()
        raise


def main(arguments):
    try:
        return run(parse(arguments))
    except Fault as fault:
        print(f"tokenize: {fault}", file=sys.stderr)
        return fault.code
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # a defect of this program
        print(f"tokenize: internal error: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
