"""A tokenizer's chat template in transformers' own environment."""

import contextlib
import inspect
import io
import json
import os
import re

from chats.fault import Fault

GENERATION = re.compile(r"\{%[-+]?\s*generation\s*[-+]?%\}")


class TemplateError(Exception):
    """What a template raised, in one line."""


def one_line(error):
    return " ".join(str(error).split()) or type(error).__name__


def load_tokenizer(directory):
    if not os.path.isfile(f"{directory}/tokenizer.json"):
        raise Fault(2, directory, "has no tokenizer.json; save_pretrained of transformers' AutoTokenizer writes one")
    os.environ.update(TRANSFORMERS_VERBOSITY="error", TRANSFORMERS_NO_ADVISORY_WARNINGS="1", HF_HUB_OFFLINE="1")
    with contextlib.redirect_stderr(io.StringIO()):  # says that there is no PyTorch
        from transformers import PreTrainedTokenizerFast
    try:
        return PreTrainedTokenizerFast.from_pretrained(directory, local_files_only=True)
    except Exception as error:
        raise Fault(3, directory, f"its tokenizer cannot be loaded: {one_line(error)}") from None


def read_template(choice, tokenizer, directory):
    """The text, or the name of one of several, that --template asks for."""
    if choice.endswith(".jinja"):
        try:
            with open(choice, encoding="utf-8", newline="") as file:
                return file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise Fault(2, "--template", f"{choice} cannot be read: {one_line(error)}") from None
    names = sorted(tokenizer.chat_template) if isinstance(tokenizer.chat_template, dict) else []
    if choice not in names:
        raise Fault(
            2,
            "--template",
            f"{choice} is neither a .jinja file nor one of the templates that {directory} names: "
            f"{', '.join(names) or 'none'}",
        )
    return choice


def read_json(path):
    """The object in a file; an empty one where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def end_token(tokenizer, directory, given):
    """The text of the token that ends documents, found as `tandem data tokenize` does."""
    from tokenizers import Tokenizer

    own = Tokenizer.from_file(f"{directory}/tokenizer.json")  # transformers adds what is missing in it
    if given is not None:
        if own.token_to_id(given) is None:
            raise Fault(2, "--end", f"{given} is not a token of {directory}")
        return given
    listed = read_json(f"{directory}/tokenizer_config.json").get("added_tokens_decoder") or {}
    text = tokenizer.eos_token
    if text is not None and (own.token_to_id(text) is not None or text in map(token_text, listed.values())):
        return text
    ids = read_json(f"{directory}/config.json").get("eos_token_id")
    first = ids[0] if isinstance(ids, list) and ids else ids
    text = own.id_to_token(first) if isinstance(first, int) and 0 <= first < 1 << 32 else None
    if text is None:
        raise Fault(2, directory, "names no token that ends a document; give --end TOKEN")
    return text


def token_text(entry):
    """A token is its text, or an object that holds it."""
    return entry.get("content") if isinstance(entry, dict) else entry


class Compiled:
    """One template: what it reads, and whether its environment was asked for the date."""

    def __init__(self, text):
        import jinja2.meta
        from transformers.utils.chat_template_utils import _compile_jinja_template

        self.text = text
        self.tagged = GENERATION.search(text) is not None
        environment = _compile_jinja_template(text).environment
        self.variables = jinja2.meta.find_undeclared_variables(environment.parse(text))
        self.asked_date = False
        now = environment.globals["strftime_now"]

        def strftime_now(form):
            self.asked_date = True
            return now(form)

        environment.globals["strftime_now"] = strftime_now


class Template:
    """choice: --template; given: KEY to value of --template-argument; end: --end."""

    def __init__(self, directory, choice, given, end):
        self.directory = directory
        self.tokenizer = load_tokenizer(directory)
        if choice is None and not self.tokenizer.chat_template:
            raise Fault(2, directory, "has no chat template; name one with --template FILE.jinja")
        self.choice = read_template(choice, self.tokenizer, directory) if choice is not None else None
        self.given = given
        self.end = end_token(self.tokenizer, directory, end)
        self.added = tuple(token for token in self.tokenizer.get_added_vocab() if token.strip())
        self.reserved = {"messages", *inspect.signature(self.tokenizer.apply_chat_template).parameters} - {
            "tools",
            "documents",
            "kwargs",
        }
        self.compiled = {}

        self.check_given()

    def check_given(self):
        """Fails for a --template-argument that no template reads."""
        several = self.choice is None and isinstance(self.tokenizer.chat_template, dict)
        texts = self.tokenizer.chat_template.values() if several else [self.tokenizer.get_chat_template(self.choice)]
        for key in self.given:
            try:
                read = any(key in Compiled(text).variables for text in texts)
            except Exception:
                return  # a template that does not compile, which its first chat says
            if not read or key in self.reserved:
                raise Fault(2, "--template-argument", f"{key} is not a variable that the chat template reads")

    def asked_date(self):
        return any(compiled.asked_date for compiled in self.compiled.values())

    def of(self, arguments):
        """The Compiled template for a chat with these arguments."""
        try:
            text = self.tokenizer.get_chat_template(self.choice, arguments.get("tools"))
            if text not in self.compiled:
                self.compiled[text] = Compiled(text)
        except Exception as error:
            raise TemplateError(one_line(error)) from None
        return self.compiled[text]

    def render(self, messages, arguments, prompt=False):
        try:
            text = self.tokenizer.apply_chat_template(
                messages,
                chat_template=self.of(arguments).text,
                tokenize=False,
                add_generation_prompt=prompt,
                **{**self.given, **arguments},
            )
            text.encode()
            return text
        except TemplateError:
            raise
        except Exception as error:
            raise TemplateError(one_line(error)) from None

    def generation_ranges(self, messages, arguments):
        """The rendered text, and what {% generation %} encloses: (begin, end) in its characters."""
        from transformers.utils.chat_template_utils import render_jinja_template

        plain = [{key: value for key, value in message.items() if value is not None} for message in messages]
        try:
            texts, ranges = render_jinja_template(
                conversations=[plain],
                chat_template=self.of(arguments).text,
                return_assistant_tokens_mask=True,
                **{**self.tokenizer.special_tokens_map, **self.given, **arguments},
            )
        except TemplateError:
            raise
        except Exception as error:
            raise TemplateError(one_line(error)) from None
        return texts[0], ranges[0]
