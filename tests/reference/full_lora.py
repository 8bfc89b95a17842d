"""LoRA beside peft, under TANDEM_FULL alone: the checked-in references are what peft makes today, and an adapter trained
here goes through peft and, merged, through transformers.  usage: full_lora.py TANDEM CASES_DIR"""
import json
import os
import pathlib
import shutil
import subprocess
import sys

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent / "data"))
from own_venv import full_test  # noqa: E402

PACKAGES = ("torch==2.9.1", "transformers==4.57.1", "peft==0.21.2", "accelerate==1.15.0")
CONFIG = """
[model]
path = "{base}"
[data]
train = ["{base}/train.bin"]
eval = ["{base}/train.bin"]
sequence_length = 24
[batch]
micro_batch = 2
[precision]
recipe = "{recipe}"
[lora]
rank = 5
[optimizer]
learning_rate = 1e-2
[schedule]
steps = 8
warmup_steps = 0
[run]
directory = "{run}"
"""


def remake(cases, directory):
    """The references made anew are the checked-in ones, up to the order of sums of another processor."""
    shutil.copytree(cases, directory / "cases", ignore=shutil.ignore_patterns("lora-*"))
    subprocess.run([sys.executable, here / "lora.py", directory / "cases"], check=True)
    for made in sorted((directory / "cases").glob("lora-*/golden.json")):
        new, old = json.loads(made.read_text()), json.loads((cases / made.parent.name / "golden.json").read_text())
        for key in ("loss", "grad_norm"):
            for a, b in zip(new[key], old[key], strict=True):
                assert abs(a - b) <= 1e-5 * abs(b), (made.parent.name, key, a, b)
        assert new["greedy"] == old["greedy"], made.parent.name


def evaluate(tandem, base, model, *more):
    out = subprocess.run([tandem, "eval", "--model", model, "--data", base / "train.bin", "--sequence-length", "24", "--recipe",
                          "fp32", "--json", *more], check=True, capture_output=True, text=True).stdout
    return str(json.loads(out)["loss"])


def round_trip(tandem, cases, directory, recipe):
    base, run = cases / "qwen2", directory / f"run-{recipe}"
    config = directory / f"{recipe}.toml"
    config.write_text(CONFIG.format(base=base, run=run, recipe=recipe))
    subprocess.run([tandem, "train", config], check=True)
    subprocess.run([tandem, "export", run / "checkpoints/step_00000008", "--merge", "--out", run / "merged"], check=True)
    losses = (evaluate(tandem, base, base, "--adapter", run / "adapter"), evaluate(tandem, base, run / "merged"))
    subprocess.run([sys.executable, here / "lora_round_trip.py", base, run / "adapter", run / "merged", base / "train.bin", "24",
                    *losses], check=True)


def check(directory):
    tandem, cases = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
    remake(cases, directory)
    for recipe in ("fp32", "bf16"):
        round_trip(tandem, cases, directory, recipe)
    return 0


if __name__ == "__main__":
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    sys.exit(full_test(__file__, check, *PACKAGES))
