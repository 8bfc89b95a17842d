#!/usr/bin/env python3
"""Soak: runs stopped at random moments and resumed must end as the uninterrupted run did, to the bit.

    tests/soak.py --tandem BUILD/cli/tandem [--runs 100] [--seed 1] [--backend auto] [--ranks 1]

Recipes in turn (and with several ranks, threads of one process, zero 1 to 3 in turn), two shuffled token files, more than two epochs. Each run is stopped up to five times by SIGKILL,
SIGTERM, SIGINT or two SIGINTs, and started again with --resume until it ends by itself. Compared then: every byte of
model/, and step, loss, grad_norm, learning_rate, tokens, targets and skipped of every line of metrics.jsonl.

A run counts only if a signal ended a process of it (killed, 75 or 130) and a later one resumed from a checkpoint; it
goes on until --runs of them are done. Prints a line a run, where the signals hit, and the count; exit 0 when all agree.
"""
import argparse
import collections
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
STOPPED, INTERRUPTED_TWICE, NO_CHECKPOINT = 75, 130, 3
RECIPES = ("fp32", "bf16", "fp8")
STEPS, EVAL_EVERY, MOST_STOPS = 24, 5, 5
STOPS = {  # the signals sent, and what the process may then end with
    "SIGKILL": ((signal.SIGKILL,), (-signal.SIGKILL,)),
    "SIGTERM": ((signal.SIGTERM,), (STOPPED,)),
    "SIGINT": ((signal.SIGINT,), (STOPPED,)),
    "SIGINT twice": ((signal.SIGINT, signal.SIGINT), (STOPPED, INTERRUPTED_TWICE)),
}
MOMENTS = ("start", "step", "evaluation", "save", "model")


def write_tokens(path, count, seed):
    draw = random.Random(seed)
    header = b"BIN.TOK\n" + struct.pack("<5i", 2, 4, count, 96, 0)
    path.write_bytes(header.ljust(1024, b"\0") + struct.pack(f"<{count}i", *(draw.randrange(96) for _ in range(count))))


def write_config(path, work, recipe, backend, ranks):
    model = ROOT / "tests/golden/cases/llama"
    path.write_text(
        f'[model]\npath = "{model}"\nfrom_scratch = true\n'
        f'[data]\ntrain = ["{work}/a.bin", "{work}/b.bin"]\neval = ["{work}/eval.bin"]\n'
        "sequence_length = 32\nshuffle = true\n"
        "[batch]\nmicro_batch = 2\ngradient_accumulation = 2\n"
        f"[distributed]\ndevices = {ranks}\nzero = {1 + RECIPES.index(recipe) if ranks > 1 else 1}\n"
        f'[precision]\nrecipe = "{recipe}"\n'
        f"[schedule]\nsteps = {STEPS}\nwarmup_steps = 2\n[optimizer]\nlearning_rate = 3e-3\n"
        "[checkpoint]\nevery = 3\nkeep = 2\n"
        f'[run]\ndirectory = "unused"\neval_every = {EVAL_EVERY}\nbackend = "{backend}"\n')


def start(tandem, config, directory, resume):
    command = [str(tandem), "train", str(config), f"--run.directory={directory}"] + (["--resume"] if resume else [])
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def lines_of(directory):
    """Whole lines of metrics.jsonl, parsed."""
    path = directory / "metrics.jsonl"
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]


def result(directory):
    """What two runs must agree on."""
    model = {p.name: p.read_bytes() for p in (directory / "model").iterdir()}
    lines = lines_of(directory)
    for line in lines:
        for key in ("seconds", "tokens_per_second", "mfu", "memory", "time", "data_seconds", "copy_seconds",
                    "save_seconds", "save_write_seconds", "scale_misses", "scale_guesses"):
            line.pop(key, None)
        for key in ("time", "seconds"):
            line.get("eval", {}).pop(key, None)
    return model, json.dumps(lines)


class Watch:
    """Looks at what a process does in its run directory, by the files."""

    def __init__(self, directory):
        self.directory, self.metrics = directory, directory / "metrics.jsonl"
        self.file_before = self.file()
        steps = [int(p.name[len("step_"):]) for p in directory.glob("checkpoints/step_*")]
        self.steps_before = max(steps, default=0)

    def file(self):
        return self.metrics.stat().st_ino if self.metrics.exists() else 0

    def new_steps(self):
        if self.file() == self.file_before:  # a resumed process writes the file anew first
            return 0
        return max(0, self.metrics.read_bytes().count(b'"grad_norm"') - self.steps_before)

    def moment(self):
        if (self.directory / ".tmp-model").exists() or (self.directory / "model").exists():
            return "model"
        if any(self.directory.glob("checkpoints/.tmp-*")):
            return "save"
        if self.new_steps() == 0:
            return "start"
        last = lines_of(self.directory)[-1]
        return "evaluation" if last.get("step", 1) % EVAL_EVERY == 0 else "step"


def stop(process, watch, timing, draw):
    """Sends a signal at a random moment: (its name, where it hit), or None when the process ended before."""
    after = draw.randrange(max(1, STEPS - watch.steps_before)) if draw.random() < 0.8 else 0
    deadline = time.monotonic() + 60 + 20 * timing["whole"]
    while watch.new_steps() < after:
        if process.poll() is not None:
            return None
        if time.monotonic() > deadline:
            raise RuntimeError("it does not go on")
        time.sleep(0.003)
    in_a_save = after > 0 and draw.random() < 0.25  # which is a moment too short to be met often by chance
    while in_a_save and watch.moment() != "save" and process.poll() is None:
        time.sleep(0.0005)
    time.sleep(draw.uniform(0, 0.01 if in_a_save else 3 * timing["step"] if after else timing["start"]))
    name, where = draw.choice(list(STOPS)), watch.moment()
    if process.poll() is not None:
        return None
    for one in STOPS[name][0]:
        process.send_signal(one)
        time.sleep(0.002)  # two at once would be one
    return name, where


def run_to_the_end(tandem, config, directory, timing, draw):
    """Stops and resumes until done. Returns the stops that a later process resumed from, and a story to print."""
    story, pending, counted = [], [], []
    stops = draw.randint(1, MOST_STOPS)
    while True:
        resume = directory.exists() and any(directory.iterdir())
        watch = Watch(directory)
        process = start(tandem, config, directory, resume)
        sent = stop(process, watch, timing, draw) if len(story) < stops else None
        text = process.communicate()[1]
        code = process.returncode
        story.append(f"{sent[0] if sent else '-'}:{code}")
        if "resumed after step" in text:
            counted += pending
            pending = []
        if sent and code in STOPS[sent[0]][1]:
            pending.append(sent)
        if code == 0:
            return counted, " ".join(story)
        if code == NO_CHECKPOINT and "no checkpoint" in text:
            shutil.rmtree(directory)  # killed before the first save: nothing to lose, nothing to resume
            pending = []
        elif not sent or (code not in STOPS[sent[0]][1] and code != -STOPS[sent[0]][0][0]):  # killed before it began
            raise RuntimeError(f"exit {code} after {story}: {text}")


def uninterrupted(tandem, config, directory):
    """Its result, and the seconds up to its first line, of a step, and of all."""
    began = time.monotonic()
    process = start(tandem, config, directory, False)
    first = None
    while process.poll() is None and first is None:
        first = time.monotonic() - began if lines_of(directory) else None
        time.sleep(0.002)
    text = process.communicate()[1]
    if process.returncode != 0:
        sys.exit(f"{config.stem}: the uninterrupted run ended with {process.returncode}: {text}")
    whole = time.monotonic() - began
    return result(directory), {"start": first or whole, "step": (whole - (first or 0)) / STEPS, "whole": whole}


def print_table(hits, stops_a_run):
    print(f"\n{'':14}" + "".join(f"{m:>12}" for m in MOMENTS) + f"{'all':>12}")
    for name in STOPS:
        row = [hits[name, m] for m in MOMENTS]
        print(f"{name:14}" + "".join(f"{n:12}" for n in row + [sum(row)]))
    columns = [sum(hits[name, m] for name in STOPS) for m in MOMENTS]
    print(f"{'all':14}" + "".join(f"{n:12}" for n in columns + [sum(columns)]))
    print("stops a run: " + ", ".join(f"{n}: {runs} runs" for n, runs in sorted(stops_a_run.items())))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tandem", type=pathlib.Path, required=True)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--ranks", type=int, default=1)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    agreed = counted = not_interrupted = 0
    hits, stops_a_run, recipes = collections.Counter(), collections.Counter(), collections.Counter()
    with tempfile.TemporaryDirectory() as scratch:
        work = pathlib.Path(scratch)
        for name, count, seed in (("a.bin", 1000, 1), ("b.bin", 400, 2), ("eval.bin", 700, 3)):
            write_tokens(work / name, count, seed)
        expected = {}
        for recipe in RECIPES:
            write_config(work / f"{recipe}.toml", work, recipe, arguments.backend, arguments.ranks)
            expected[recipe] = uninterrupted(arguments.tandem, work / f"{recipe}.toml", work / f"whole-{recipe}")
        while counted < arguments.runs:
            recipe = RECIPES[counted % len(RECIPES)]
            outcome, timing = expected[recipe]
            directory = work / "run"
            stops, story = run_to_the_end(arguments.tandem, work / f"{recipe}.toml", directory, timing, draw)
            same = result(directory) == outcome
            shutil.rmtree(directory)
            print(f"run {counted + 1} {recipe} {story}: {'same' if same else 'DIFFERENT'}"
                  f"{'' if stops else ', not interrupted'}", flush=True)
            if not same and not stops:
                sys.exit("a run that was not interrupted differs")
            if not stops:
                not_interrupted += 1
                continue
            counted += 1
            agreed += same
            hits.update(stops)
            stops_a_run[len(stops)] += 1
            recipes[recipe] += 1
    print_table(hits, stops_a_run)
    print(f"{agreed} of {counted} interrupted and resumed runs ended as the uninterrupted ones "
          f"({', '.join(f'{recipe} {n}' for recipe, n in recipes.items())}; {not_interrupted} runs were not "
          "interrupted and do not count)")
    return 0 if agreed == counted else 1


if __name__ == "__main__":
    sys.exit(main())
