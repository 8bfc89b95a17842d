"""Run directories made up for tests: figures drawn at random, and every file that a run has."""
import json
import math
import pathlib
import random

GIB = 2**30
CLASSES = [("e4m3 products", 0.30, 0.29), ("bf16 products", 0.02, 0.018), ("attention", 0.06, 0.05),
           ("memory passes", 0.06, 0.05), ("optimizer", 0.03, 0.027), ("copies", 0.2, 0.0)]
ROWS = [("parameters", 3.8, 10.4), ("gradients", 2.0, 12.1), ("m", 0.5, 14.1), ("v", 0, 14.1), ("quantized copies", 1.3, 7.8),
        ("activations: residual stream", 3, 0.25), ("activations: gate and up", 2.1, 0), ("logits", 0.6, 0),
        ("inputs and report", 1e-5, 0), ("staging", 1.1, 0), ("alignment and gaps", 1e-6, 1e-7), ("reserve", 0.7, 0)]


def classes(factor=1.0):
    return [{"name": n, "instructions": 10, "flops": 1, "bytes": 1, "seconds": s * factor, "floor_seconds": f}
            for n, s, f in CLASSES]


def step_lines(steps, seed=1, first=1, evaluate_every=0):
    """Lines of metrics.jsonl as dictionaries, with skipped steps, saves, copies and a device's figures."""
    draw = random.Random(seed)
    clock, tokens, energy = 1764000000.0, 0, 0.0
    for step in range(1, steps + 1):
        seconds = 0.5 * (1 + 0.03 * draw.gauss(0, 1))
        save = 1.75 if step > 1 and (step - 1) % 100 == 0 else None
        if step == steps * 2 // 3:
            clock, energy = clock + 4000, 0.0  # another process goes on
        clock, tokens, energy = clock + seconds + (save or 0), tokens + 16384, energy + 300 * seconds
        share, skipped = step / steps, step in (steps // 3, steps // 3 + 1)
        line = {"step": step, "loss": None if skipped else 2.2 + 8 * math.exp(-12 * share) + 0.08 * draw.gauss(0, 1),
                "grad_norm": None if skipped else 0.4 + 3 * math.exp(-15 * share) + abs(0.15 * draw.gauss(0, 1)),
                "learning_rate": 1e-4 * (0.1 + 0.45 * (1 + math.cos(math.pi * share))), "tokens": tokens, "targets": 16384,
                "seconds": seconds, "tokens_per_second": 16384 / seconds, "mfu": 0.41, "memory": 15 * GIB, "skipped": skipped,
                "time": clock, "data_seconds": 4e-4 * (1 + draw.random()), "scale_misses": draw.randrange(6),
                "scale_guesses": 448}
        if save:
            line["save_seconds"] = save
        if step == 3 or step % 25 == 0:
            line["copy_seconds"] = 0.013 * (1 + 0.1 * draw.random())
        if step % 2 == 0:
            line |= {"power": 300 + 15 * draw.gauss(0, 1), "temperature": 62 + 2 * draw.random(), "clock": 1700, "energy": energy}
        if step >= first:
            yield line
        if evaluate_every and step % evaluate_every == 0:
            clock += 3
            if step >= first:
                yield {"eval": {"step": step, "loss": 2.25 + 7 * math.exp(-12 * share), "tokens": 100000, "seconds": 3.0,
                                "time": clock}}


def text_of(lines):
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)


def make(directory, steps=400, seed=1, profile=True, offload="m, v everywhere"):
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True)
    with (directory / "metrics.jsonl").open("w") as file:
        for line in step_lines(steps, seed, evaluate_every=max(1, steps // 20)):
            file.write(text_of([line]))
    (directory / "config.toml").write_text(f'[model]\npath = "models/m"\nseed = {seed}\n[schedule]\nsteps = {steps}\n'
                                           "[optimizer]\ngrad_clip = 1.0\n[run]\nmax_skipped = 8\n")
    rows = [{"name": n, "device": int(d * GIB), "host": int(h * GIB)} for n, d, h in ROWS]
    plan = {"step_seconds": 0.49, "floor_seconds": 0.43, "exposed_copy_seconds": 0.012, "exposed_exchange_seconds": 0.0,
            "device_bytes": sum(r["device"] for r in rows), "host_bytes": sum(r["host"] for r in rows), "classes": classes(),
            "bytes": rows, "budgets": {"device": 16 * GIB, "host": 64 * GIB},
            "peak": {"range": "micro_step", "label": "layers.12.ffn", "bytes": 6 * GIB, "alive":
                     [{"name": f"layers.{i}.gate_up", "kind": "ffn", "layer": i, "bytes": 300 * 2**20} for i in range(20)]},
            "policy": [{"name": "recompute", "text": "swiglu in 24 of 28 layers"}, {"name": "offload", "text": offload}],
            "environment": {"version": "0.1.0", "commit": "abc1234", "driver": "NVIDIA 580.65", "libraries": ["CUDA 13.0"],
                            "device": "RTX 4060 Ti", "processors": 16, "memory_bytes": 64 * GIB}}
    (directory / "plan.json").write_text(json.dumps(plan))
    if profile:
        (directory / "profile.json").write_text(json.dumps({"step": 3, "seconds": 0.5, "classes": classes(1.02)}))
    checkpoint = directory / f"checkpoints/step_{steps:08d}"
    checkpoint.mkdir(parents=True)
    (checkpoint / "manifest.json").write_text("{}")
    (checkpoint / "model.safetensors").write_bytes(b"x" * 50000)
    return directory


def lines_of(directory):
    return [json.loads(line) for line in (pathlib.Path(directory) / "metrics.jsonl").read_text().splitlines()]
