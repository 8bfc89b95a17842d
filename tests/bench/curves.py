#!/usr/bin/env python3
"""Text curves: the quickstart's model and text with each optimizer, recipe and kind of state, several seeds each.

    tests/bench/curves.py --tandem build/cli/tandem [--backend cuda] [--jobs 8] [--seeds 1,2,3] [--steps 400]
                          [--only "NAME;..."] [--out FILE.json] [--data data/quickstart]

The data are what tools/quickstart made: train.bin and heldout.bin. Prints per row the held-out loss of every seed
(model.seed and data.seed), their mean and their spread; FILE gets all evaluations. The exit code is 1 when a run fails.
"""

import argparse
import concurrent.futures
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

EIGHT_BIT = ["--optimizer.m_dtype=e4m3", "--optimizer.v_dtype=e5m3"]
SLOW_V = ["--optimizer.beta2=0.999"]
# a row's name and the keys that differ from configs/quickstart.toml
ROWS = {
    "adamw fp8": [],
    "adamw fp8, fast accumulation": ["--precision.fast_accumulation=true"],
    "adamw bf16": ["--precision.recipe=bf16"],
    "adamw bf16, 8-bit states": ["--precision.recipe=bf16", *EIGHT_BIT],
    "adamw fp8, 8-bit states": EIGHT_BIT,
    "adamw bf16, beta2 0.999": ["--precision.recipe=bf16", *SLOW_V],
    "adamw bf16, beta2 0.999, 8-bit states": ["--precision.recipe=bf16", *SLOW_V, *EIGHT_BIT],
    "adamw fp8, clip_by tensor": ["--optimizer.clip_by=tensor"],
    "adamw bf16, clip_by tensor": ["--precision.recipe=bf16", "--optimizer.clip_by=tensor"],
    "adamw fp8, clip_by previous": ["--optimizer.clip_by=previous"],
    "adamw bf16, clip_by previous": ["--precision.recipe=bf16", "--optimizer.clip_by=previous"],
    "muon fp8": ["--optimizer.kind=muon"],
    "muon bf16": ["--precision.recipe=bf16", "--optimizer.kind=muon"],
    "apollo fp8, rank 32": ["--optimizer.kind=apollo", "--optimizer.projection_rank=32"],
    "apollo bf16, rank 32": ["--precision.recipe=bf16", "--optimizer.kind=apollo", "--optimizer.projection_rank=32"],
    "apollo-mini fp8": ["--optimizer.kind=apollo", "--optimizer.projection_rank=1", "--optimizer.projection_scale=128",
                        "--optimizer.scaling=tensor"],
    "galore fp8, rank 32": ["--optimizer.kind=galore", "--optimizer.projection_rank=32", "--optimizer.projection_scale=0.25"],
    "adalomo fp8, learning rate 0.01": ["--optimizer.kind=adalomo", "--optimizer.learning_rate=0.01"],
    "adalomo bf16, learning rate 0.01": ["--precision.recipe=bf16", "--optimizer.kind=adalomo", "--optimizer.learning_rate=0.01"],
    "sgd fp8, learning rate 0.4": ["--optimizer.kind=sgd", "--optimizer.learning_rate=0.4"],
}


def evaluations(options, root, name, seed):
    """The (step, held-out loss) pairs of one run; a run that fails raises with what it said."""
    run = pathlib.Path(root) / f"{list(ROWS).index(name)}-{seed}"
    command = [options.tandem, "train", options.config, f"--run.directory={run}", f"--run.backend={options.backend}",
               f"--model.path={options.model}", f'--data.train=["{options.data}/train.bin"]',
               f'--data.eval=["{options.data}/heldout.bin"]', f"--model.seed={seed}", f"--data.seed={seed}",
               f"--schedule.steps={options.steps}", f"--checkpoint.every={options.steps}", *ROWS[name]]
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"{name}, seed {seed}: exit code {done.returncode}: {done.stdout[-500:]}")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(line["eval"]["step"], line["eval"]["loss"]) for line in lines if "eval" in line]


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tandem", required=True, type=pathlib.Path)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--only", default=";".join(ROWS), help="names of rows, with semicolons between them")
    parser.add_argument("--data", type=pathlib.Path, default=root / "data/quickstart")
    parser.add_argument("--config", type=pathlib.Path, default=root / "configs/quickstart.toml")
    parser.add_argument("--model", type=pathlib.Path, default=root / "configs/models/quickstart")
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    names = options.only.split(";")
    if unknown := [name for name in names if name not in ROWS]:
        parser.error(f"unknown row {unknown[0]}; there are {'; '.join(ROWS)}")
    seeds = [int(seed) for seed in options.seeds.split(",")]

    found, failed = {}, 0
    with tempfile.TemporaryDirectory() as runs, concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        waiting = {(name, seed): pool.submit(evaluations, options, runs, name, seed) for name in names for seed in seeds}
        for (name, seed), future in waiting.items():
            try:
                found.setdefault(name, {})[seed] = future.result()
            except RuntimeError as error:
                failed += 1
                print(error, file=sys.stderr, flush=True)
    for name, curves in found.items():
        last = [curve[-1][1] for curve in curves.values()]
        print(f"{name:40} {', '.join(f'{loss:.3f}' for loss in last)}  mean {statistics.mean(last):.3f}  "
              f"spread {max(last) - min(last):.3f}", flush=True)
    if options.out:
        options.out.write_text(json.dumps({"steps": options.steps, "curves": found}, indent=1))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
