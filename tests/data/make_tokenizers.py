#!/usr/bin/env python3
"""Makes tests/data/tokenizers: five small tokenizers, texts, and what the Python package `tokenizers` makes of them.

usage: tests/data/make_tokenizers.py CORPUS_DIR

CORPUS_DIR is what tools/fortunes writes. Needs the packages tokenizers (requirements.txt) and xxhash. The tokenizers have
4,000 tokens each, of the kinds of Qwen2, Llama 3, GPT-2, DeepSeek and Llama 2. texts.json holds some of the project's
pages and sources as they were when this ran, and hard strings; expected.json holds, per tokenizer and text, the XXH3-64
of its ids (int32, little endian) and of the text that they decode to.
"""
import json
import pathlib
import struct
import sys

import tokenizers
import xxhash
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from full_tokenizers import BYTE_LEVEL, added, all_merges, cl100k, split_then_bytes, tokenizer_json  # noqa: E402
from hard_strings import HARD, random_strings  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = pathlib.Path(__file__).parent / "tokenizers"
TOKENS = 4000
PAGES = ["README.md", "CONTRIBUTING.md", "docs/*.md", "docs/adr/*.md", "core/base/*.h", "core/data/*.cpp", "kernels/a*.cu",
         "shaders/common/*.glsl", "tools/*.py", "configs/*.toml", "meson.build", "LICENSE"]
GPT2_STEP = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
DEEPSEEK_SPLITS = [
    r"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"]


def deepseek_steps():
    splits = [{"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
              for pattern in DEEPSEEK_SPLITS]
    return {"type": "Sequence", "pretokenizers": splits + [BYTE_LEVEL]}


def trained(corpus, steps, normalizer, size):
    """Vocabulary and merges of a byte-level tokenizer with these steps."""
    tokenizer = Tokenizer.from_str(json.dumps(tokenizer_json({"vocab": {}, "merges": []}, pre_tokenizer=steps,
                                                             normalizer=normalizer)))
    trainer = trainers.BpeTrainer(vocab_size=size, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(corpus, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], model["merges"]


def byte_level_kind(corpus, steps, special, *, normalizer=None, decoder=BYTE_LEVEL, **more):
    vocabulary, merges = trained(corpus, steps, normalizer, TOKENS - len(special))
    return tokenizer_json({"vocab": vocabulary, "merges": merges}, pre_tokenizer=steps, normalizer=normalizer,
                          decoder=decoder, added_tokens=added(special, len(vocabulary)), **more)


def qwen2(corpus):
    made = byte_level_kind(corpus, split_then_bytes(cl100k()), ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>"],
                           normalizer={"type": "NFC"})
    made["added_tokens"][-1]["special"] = False
    return made


def llama3(corpus):
    """Some words have no merges: ignore_merges alone finds them."""
    special, words = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"], 100
    steps = split_then_bytes(cl100k("{1,3}"))
    vocabulary, _ = trained(corpus, steps, None, TOKENS - len(special))
    long = sorted((token for token in vocabulary if len(token) > 5), key=vocabulary.get)[::7][:words]
    merges = [list(pair) for pair in all_merges(vocabulary) if pair[0] + pair[1] not in long]
    bos = {"SpecialToken": {"id": special[0], "type_id": 0}}
    template = {"type": "TemplateProcessing", "single": [bos, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [bos],
                "special_tokens": {special[0]: {"id": special[0], "ids": [len(vocabulary)], "tokens": special[:1]}}}
    return tokenizer_json({"vocab": vocabulary, "merges": merges, "ignore_merges": True}, pre_tokenizer=steps,
                          decoder=BYTE_LEVEL, added_tokens=added(special, len(vocabulary)),
                          post_processor={"type": "Sequence", "processors": [BYTE_LEVEL, template]})


def gpt2(corpus):
    made = byte_level_kind(corpus, GPT2_STEP, ["<|endoftext|>"], decoder=GPT2_STEP)
    made["added_tokens"][0].update(lstrip=True, rstrip=True)
    del made["model"]["type"]  # as in its old file
    return made


def deepseek(corpus):
    made = byte_level_kind(corpus, deepseek_steps(), ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "the"],
                           normalizer={"type": "Sequence", "normalizers": []})
    made["added_tokens"][-1].update(special=False, normalized=True, single_word=True)
    return made


def llama2(corpus):
    """Merges over runs of U+2581 and a word behind them; bytes for what is no token."""
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
    normalizer = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"}, replace]}
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("\u2581*[^\u2581]+"), "isolated")
    tokenizer.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=TOKENS, special_tokens=special, limit_alphabet=100,
                                                              show_progress=False))
    model = json.loads(tokenizer.to_str())["model"]
    undo = {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}
    strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    return tokenizer_json({"vocab": model["vocab"], "merges": model["merges"], "unk_token": "<unk>", "fuse_unk": True,
                           "byte_fallback": True}, normalizer=normalizer, added_tokens=added(special[:3], 0),
                          decoder={"type": "Sequence", "decoders": [undo, {"type": "ByteFallback"}, {"type": "Fuse"}, strip]})


KINDS = {"qwen2": qwen2, "llama3": llama3, "gpt2": gpt2, "deepseek": deepseek, "llama2": llama2}

def xxh3(data):
    return xxhash.xxh3_64_hexdigest(data)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    corpus = [json.loads(line)["text"] for line in (pathlib.Path(sys.argv[1]) / "train.jsonl").read_text().splitlines()]
    pages = [path.read_text() for pattern in PAGES for path in sorted(ROOT.glob(pattern))]
    texts = pages + HARD + random_strings(1000, 1)
    OUT.mkdir(exist_ok=True)
    (OUT / "texts.json").write_text(json.dumps(texts, ensure_ascii=False, indent=0) + "\n")
    expected = {}
    for name, make in KINDS.items():
        written = json.dumps(make(corpus), ensure_ascii=False)
        (OUT / f"{name}.json").write_text(written + "\n")
        tokenizer = Tokenizer.from_str(written)
        ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
        expected[name] = {
            "tokens": sum(map(len, ids)),
            "ids": [xxh3(struct.pack(f"<{len(i)}i", *i)) for i in ids],
            "decoded": [xxh3(tokenizer.decode(i, skip_special_tokens=False).encode()) for i in ids]}
        print(name, tokenizer.get_vocab_size(), "tokens in the vocabulary,", expected[name]["tokens"], "in the texts")
    (OUT / "expected.json").write_text(json.dumps(expected, indent=0) + "\n")


if __name__ == "__main__":
    assert tokenizers.__version__ == "0.23.3"
    main()
