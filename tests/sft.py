#!/usr/bin/env python3
"""Chats whose answers only their own question tells, from text to a trained model.

    tests/sft.py --tandem BUILD/cli/tandem [--seed 1] [--backend vulkan]

A chat asks for one of 16 letters, and the answer is that letter: half of the targets, so that without its question the
loss is ln 16 / 2 = 1.386. tools/tokenize renders the chats. With separate documents, and packed whole, the loss comes near
0; where the token that ends turns is taken for the end of a document it does not. The run of whole documents is stopped
and resumed and must end as the other one, to the bit, and the trained model answers.

Meson runs it under TANDEM_FULL, with $TANDEM_EXECUTABLE.
"""
import argparse
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import soak

sys.path.insert(0, str(soak.ROOT / "tests/data"))
import full_tokenizers  # noqa: E402
from own_venv import SKIPPED  # noqa: E402

LETTERS = "abcdefghijklmnop"
SPECIAL, ROLES = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], ["user", "assistant"]
TEMPLATE = ("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
            "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
CHAT_TOKENS = 12  # two turns: <|im_start|>, the role, a line end, the letter, <|im_end|>, a line end
STEPS = 300


def write_model(directory):
    """A Llama of two layers, and a tokenizer of bytes that knows the tokens of ChatML."""
    step = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": True}
    vocabulary = {character: byte for byte, character in full_tokenizers.BYTE_CHARACTERS.items()}
    tokenizer = full_tokenizers.tokenizer_json({"vocab": vocabulary, "merges": []}, pre_tokenizer=step, decoder=step,
                                               added_tokens=full_tokenizers.added(SPECIAL, 256) +
                                               full_tokenizers.added(ROLES, 256 + len(SPECIAL), special=False))
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 264, "hidden_size": 64,
              "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4,
              "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
              "tie_word_embeddings": True, "eos_token_id": 258}
    files = {"tokenizer.json": tokenizer, "config.json": config,
             "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>",
                                       "chat_template": TEMPLATE}}
    directory.mkdir()
    for name, value in files.items():
        (directory / name).write_text(json.dumps(value))


def write_chats(path, draw):
    with path.open("w") as file:
        for _ in range(2000):
            letter = draw.choice(LETTERS)
            chat = [{"role": "user", "content": letter}, {"role": "assistant", "content": letter}]
            file.write(json.dumps({"messages": chat}) + "\n")


def write_config(work, backend, more):
    (work / "config.toml").write_text(
        f'[model]\npath = "{work}/model"\nfrom_scratch = true\n[data]\ntrain = ["{work}/chats.bin"]\n'
        f"sequence_length = {4 * CHAT_TOKENS}\n{more}[batch]\nmicro_batch = 8\n[precision]\nrecipe = \"fp32\"\n"
        "[optimizer]\nlearning_rate = 3e-3\nweight_decay = 0.0\n"
        f"[schedule]\nsteps = {STEPS}\nwarmup_steps = 0\n[checkpoint]\nevery = 30\n"
        f'[run]\ndirectory = "unused"\nbackend = "{backend}"\n')
    return work / "config.toml"


def finish(process, what, expected=(0,)):
    error = process.communicate()[1]
    if process.returncode not in expected:
        sys.exit(f"{what}: exit {process.returncode}: {error[-500:]}")
    return process.returncode


def last_loss(directory):
    return soak.lines_of(directory)[-1]["loss"]


def train(options, work, name, more):
    config, begin = write_config(work, options.backend, more), time.monotonic()
    finish(soak.start(options.tandem, config, work / name, resume=False), name)
    loss = last_loss(work / name)
    print(f"{name}: loss {loss:.5f} after {STEPS} steps, {time.monotonic() - begin:.0f} s", flush=True)
    return loss


def stopped_and_resumed(options, work, more, draw):
    """The number of stops of a run that ends by itself in the end."""
    config, directory, stops = write_config(work, options.backend, more), work / "resumed", 0
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        process = soak.start(options.tandem, config, directory, resume=stops > 0)
        watch = soak.Watch(directory)
        after = 35 + draw.randrange(30)  # behind a checkpoint
        while watch.new_steps() < after and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(number)
        finish(process, "stopped", (-signal.SIGKILL, soak.STOPPED))
        stops += 1
    finish(soak.start(options.tandem, config, directory, resume=True), "resumed")
    return stops


def answers(options, work):
    """Letters that the trained model gives back."""
    right = 0
    for letter in LETTERS[::4]:
        prompt = f"<|im_start|>user\n{letter}<|im_end|>\n<|im_start|>assistant\n"
        done = subprocess.run([options.tandem, "generate", "--model", work / "whole/model", "--prompt", prompt, "--json",
                               "--max-tokens", "4", "--backend", options.backend], capture_output=True, text=True, check=True)
        right += json.loads(done.stdout)["text"] == f"{letter}<|im_end|>"
    return right


def check(options, work):
    draw = random.Random(options.seed)
    write_model(work / "model")
    write_chats(work / "chats.jsonl", draw)
    subprocess.run([soak.ROOT / "tools/tokenize", "--tokenizer", work / "model", work / "chats.jsonl", "--out",
                    work / "chats.bin"], env={**os.environ, "TANDEM": str(options.tandem)}, check=True)
    whole = 'packing = "whole"\n'
    losses = {"separate": train(options, work, "separate", "separate_documents = true\n"),
              "whole": train(options, work, "whole", whole)}
    by_turns = train(options, work, "turns", "separate_documents = true\ndocument_end = 258\n")
    stops = stopped_and_resumed(options, work, whole, draw)
    same = soak.result(work / "whole") == soak.result(work / "resumed")
    print(f"whole, stopped {stops} times and resumed: {'the same' if same else 'OTHER'} bytes of model/ and metrics")
    right = answers(options, work)
    print(f"the model answers {right} of 4 questions")
    return 0 if max(losses.values()) < 0.01 and by_turns > 1.2 and same and right == 4 else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tandem", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--backend", default="vulkan")
    options = parser.parse_args()
    if options.tandem is None:
        if not os.environ.get("TANDEM_FULL"):
            print("skipped: wants --tandem, or TANDEM_FULL, which tools/test --full sets")
            return SKIPPED
        options.tandem = pathlib.Path(os.environ["TANDEM_EXECUTABLE"])
    options.tandem = options.tandem.resolve()
    with tempfile.TemporaryDirectory() as directory:
        return check(options, pathlib.Path(directory))


if __name__ == "__main__":
    sys.exit(main())
