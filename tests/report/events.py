#!/usr/bin/env python3
"""TensorBoard's own reader on `tandem report --tensorboard`: every tag, step, time and value of metrics.jsonl, as f32, also
after a run that was followed was cut. Under TANDEM_FULL alone: the package comes from PyPI."""
import json
import math
import os
import pathlib
import struct
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "data")]
import made_run  # noqa: E402
from own_venv import full_test  # noqa: E402

TAGS = {"loss": "train/loss", "grad_norm": "train/grad_norm", "learning_rate": "train/learning_rate",
        "tokens_per_second": "speed/tokens_per_second", "seconds": "speed/seconds", "data_seconds": "speed/data_seconds",
        "copy_seconds": "speed/copy_seconds", "mfu": "speed/mfu", "memory": "memory/device",
        "scale_misses": "fp8/scale_misses", "power": "device/power", "temperature": "device/temperature"}


def f32(value):
    return math.nan if value is None else struct.unpack("f", struct.pack("f", value))[0]


def expected(lines):
    """{tag: [(step, time, value)]}"""
    scalars = {}
    for line in lines:
        body, tags = (line["eval"], {"loss": "eval/loss"}) if "eval" in line else (line, TAGS)
        for key, tag in tags.items():
            if key in body:
                scalars.setdefault(tag, []).append((body["step"], body["time"], f32(body[key])))
    return scalars


def read(directory):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    accumulator = EventAccumulator(str(directory), size_guidance={"scalars": 0})
    accumulator.Reload()
    return {tag: [(e.step, e.wall_time, e.value) for e in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]}


def compare(found, wanted, what):
    if sorted(found) != sorted(wanted):
        sys.exit(f"{what}: tags {sorted(found)}, expected {sorted(wanted)}")
    values = 0
    for tag, rows in wanted.items():
        if len(found[tag]) != len(rows):
            sys.exit(f"{what}: {tag} has {len(found[tag])} values, expected {len(rows)}")
        for (step, when, value), (step2, when2, value2) in zip(found[tag], rows):
            values += 1
            if (step, when) != (step2, when2) or not (value == value2 or math.isnan(value) and math.isnan(value2)):
                sys.exit(f"{what}: {tag} is {(step, when, value)}, expected {(step2, when2, value2)}")
    print(f"{what}: {values} values of {len(wanted)} tags are the same")


def wait(condition, what):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    sys.exit(f"{what} did not happen")


def hold(lock):
    """A process that holds a run's lock, as the run's own does."""
    holder = subprocess.Popen([sys.executable, "-c", "import fcntl, sys, time\nf = open(sys.argv[1], 'w')\n"
                               "fcntl.flock(f, fcntl.LOCK_EX)\nprint(flush=True)\ntime.sleep(600)", lock],
                              stdout=subprocess.PIPE)
    holder.stdout.readline()
    return holder


def check(directory):
    tandem = os.environ["TANDEM_EXECUTABLE"]
    run = made_run.make(directory / "run", steps=3000)
    subprocess.run([tandem, "report", run, "--tensorboard", directory / "events"], check=True)
    files = list((directory / "events/run").iterdir())
    first = json.loads((run / "metrics.jsonl").read_text().split("\n")[0])["time"]
    if [file.name for file in files] != [f"events.out.tfevents.{int(first)}.tandem.0"]:
        sys.exit(f"files are {files}")
    compare(read(directory / "events/run"), expected(made_run.lines_of(run)), "an export")

    # a run that holds its lock, is followed, and goes on from a checkpoint
    live = made_run.make(directory / "live", steps=200)
    lines = made_run.lines_of(live)
    holder = hold(live / ".lock")
    metrics = live / "metrics.jsonl"
    metrics.write_text(made_run.text_of(lines[:150]))
    follower = subprocess.Popen([tandem, "report", live, "--tensorboard", directory / "followed", "--follow"])
    out = directory / "followed/live"
    wait(lambda: out.is_dir() and any(out.glob("events*")), "the first export")
    compare(read(out), expected(lines[:150]), "followed")
    kept = [line for line in lines[:150] if line.get("step", line.get("eval", {}).get("step")) <= 100]
    beside = live / "new"
    beside.write_text(made_run.text_of(kept))
    beside.replace(metrics)
    again = [dict(line, loss=9.5) if "loss" in line else line for line in lines[len(kept):]]
    holder.kill()
    holder.wait()
    time.sleep(7)  # killed, and resumed a little later
    holder = hold(live / ".lock")
    with metrics.open("a") as file:
        file.write(made_run.text_of(again))
    holder.kill()
    holder.wait()
    if follower.wait(120) != 0:
        sys.exit(f"the follower: exit {follower.returncode}")
    compare(read(out), expected(kept + again), "after a cut")
    return 0


if __name__ == "__main__":
    sys.exit(full_test(__file__, check, "-r", str(HERE / "requirements.txt")))
