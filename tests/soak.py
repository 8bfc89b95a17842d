#!/usr/bin/env python3
"""Soak: runs stopped at random moments and resumed must end as the uninterrupted run did, to the bit.

    tests/soak.py --tandem BUILD/cli/tandem [--runs 100] [--seed 1] [--backend auto]

Each run is stopped by SIGKILL, SIGTERM or SIGINT, after a random time, until one try ends by itself. Compared: every
byte of model/, and step, loss, grad_norm, learning_rate, tokens, targets and skipped of every line of metrics.jsonl.
Prints one line a run and the count; exit 0 when all agree.
"""
import argparse
import json
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
STOPPED = 75
NO_CHECKPOINT = 3
RECIPES = ("fp32", "bf16", "fp8")


def write_tokens(path, count, seed):
    draw = random.Random(seed)
    header = b"BIN.TOK\n" + struct.pack("<5i", 2, 4, count, 96, 0)
    path.write_bytes(header.ljust(1024, b"\0") + struct.pack(f"<{count}i", *(draw.randrange(96) for _ in range(count))))


def write_config(path, work, recipe, backend):
    model = ROOT / "tests/golden/cases/llama"
    path.write_text(
        f'[model]\npath = "{model}"\nfrom_scratch = true\n'
        f'[data]\ntrain = ["{work}/a.bin", "{work}/b.bin"]\neval = ["{work}/eval.bin"]\n'
        "sequence_length = 32\nshuffle = true\n"
        "[batch]\nmicro_batch = 2\ngradient_accumulation = 2\n"
        f'[precision]\nrecipe = "{recipe}"\n'
        "[schedule]\nsteps = 12\nwarmup_steps = 2\n[optimizer]\nlearning_rate = 3e-3\n"
        "[checkpoint]\nevery = 4\nkeep = 2\n"
        f'[run]\ndirectory = "unused"\neval_every = 5\nbackend = "{backend}"\n')


def start(tandem, config, directory, resume):
    command = [str(tandem), "train", str(config), f"--run.directory={directory}"] + (["--resume"] if resume else [])
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def result(directory):
    """What two runs must agree on."""
    model = {p.name: p.read_bytes() for p in (directory / "model").iterdir()}
    lines = []
    for line in (directory / "metrics.jsonl").read_text().splitlines():
        values = json.loads(line)
        for key in ("seconds", "tokens_per_second", "mfu", "memory"):
            values.pop(key, None)
        lines.append(json.dumps(values))
    return model, lines


def stopped_run(tandem, config, directory, seconds, draw):
    """Stops and resumes until done; returns what happened, or raises."""
    story = []
    for attempt in range(50):
        resume = directory.exists() and any(directory.iterdir())
        process = start(tandem, config, directory, resume)
        if attempt < 4:
            time.sleep(draw.uniform(0, seconds))
            stop = draw.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGINT))
            process.send_signal(stop)
        else:
            stop = None
        text = process.communicate()[1]
        code = process.returncode
        story.append(f"{stop.name if stop else 'none'}:{code}")
        if code == 0:
            return story
        if code == NO_CHECKPOINT and "no checkpoint" in text:
            shutil.rmtree(directory)  # killed before the first save: nothing to lose
        elif code != STOPPED and not (stop and code == -stop):
            raise RuntimeError(f"exit {code} after {story}: {text}")
    raise RuntimeError(f"never ended: {story}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tandem", type=pathlib.Path, required=True)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--backend", default="auto")
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    agreed = 0
    with tempfile.TemporaryDirectory() as scratch:
        work = pathlib.Path(scratch)
        for name, count, seed in (("a.bin", 1000, 1), ("b.bin", 400, 2), ("eval.bin", 700, 3)):
            write_tokens(work / name, count, seed)
        expected = {}
        for recipe in RECIPES:
            config = work / f"{recipe}.toml"
            write_config(config, work, recipe, arguments.backend)
            began = time.monotonic()
            process = start(arguments.tandem, config, work / f"whole-{recipe}", False)
            text = process.communicate()[1]
            if process.returncode != 0:
                sys.exit(f"{recipe}: the uninterrupted run ended with {process.returncode}: {text}")
            expected[recipe] = result(work / f"whole-{recipe}"), time.monotonic() - began
        for run in range(arguments.runs):
            recipe = RECIPES[run % len(RECIPES)]
            directory = work / "run"
            outcome, seconds = expected[recipe]
            story = stopped_run(arguments.tandem, work / f"{recipe}.toml", directory, seconds, draw)
            same = result(directory) == outcome
            agreed += same
            print(f"run {run + 1} {recipe} {' '.join(story)}: {'same' if same else 'DIFFERENT'}", flush=True)
            shutil.rmtree(directory)
    print(f"{agreed} of {arguments.runs} runs, stopped and resumed, ended as the uninterrupted ones")
    return 0 if agreed == arguments.runs else 1


if __name__ == "__main__":
    sys.exit(main())
