#!/usr/bin/env python3
"""tools/track with libraries that record their calls in place of the real ones."""
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import made_run  # noqa: E402

TRACK = pathlib.Path(os.environ.get("TANDEM_SOURCE_ROOT", HERE.parents[1])) / "tools/track"
RECORDER = '''
import json, os
def note(*call):
    with open(os.environ["CALLS"], "a") as file: file.write(json.dumps(call) + "\\n")
class Run:
    id = "run-1"
    info = None
class Info:
    run_id = "run-1"
def init(**more):
    note("init", more)
    if os.environ.get("FAILS"): raise RuntimeError("no login")
    return Run()
def log(values, step): note("log", step, values)
def finish(): note("finish")
def set_experiment(name): note("experiment", name)
def start_run(**more):
    note("init", more)
    run = Run()
    run.info = Info()
    return run
def log_params(parameters): note("parameters", parameters)
def log_metrics(values, step): note("log", step, values)
def end_run(): note("finish")
'''


class Track(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.place = pathlib.Path(self.directory.name)
        for library in ("wandb", "trackio", "mlflow"):
            (self.place / f"{library}.py").write_text(RECORDER)
        self.calls = self.place / "calls"

    def tearDown(self):
        self.directory.cleanup()

    def track(self, run, library, code=0, **environment):
        self.calls.write_text("")
        done = subprocess.run([sys.executable, TRACK, run, "--to", library], capture_output=True, text=True, check=False,
                              env={**os.environ, "PYTHONPATH": str(self.place), "CALLS": str(self.calls), **environment})
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        return [json.loads(line) for line in self.calls.read_text().splitlines()], done.stderr

    def logged(self, calls):
        return [(step, values) for kind, step, values in (c for c in calls if c[0] == "log")]

    def test_each_library_gets_every_line_once(self):
        for library in ("wandb", "trackio", "mlflow"):
            run = made_run.make(self.place / f"run-{library}", steps=60)
            lines = made_run.lines_of(run)
            calls, _ = self.track(run, library)
            got = self.logged(calls)
            self.assertEqual(len(got), len(lines))
            for line, (step, values) in zip(lines, got):
                body = line.get("eval", line)
                self.assertEqual(step, body["step"])
                if "eval" in line:
                    self.assertEqual(values, {"eval/loss": body["loss"]})
                elif body["loss"] is None:
                    self.assertTrue(math.isnan(values["train/loss"]))
                else:
                    self.assertEqual(values["train/loss"], body["loss"])
                    self.assertEqual(values["speed/seconds"], body["seconds"])
            parameters = next(c for c in calls if c[0] == ("parameters" if library == "mlflow" else "init"))[1]
            self.assertEqual(parameters.get("config", parameters)["schedule.steps"], 60)

    def test_a_second_call_goes_on_and_a_cut_begins_anew(self):
        run = made_run.make(self.place / "run", steps=60)
        metrics, lines = run / "metrics.jsonl", made_run.lines_of(run)
        metrics.write_text(made_run.text_of(lines[:30]) + '{"step":')
        calls, _ = self.track(run, "wandb")
        self.assertEqual(len(self.logged(calls)), 30)
        metrics.write_text(made_run.text_of(lines[:40]))
        calls, _ = self.track(run, "wandb")
        self.assertEqual([step for step, _ in self.logged(calls)], [l.get("eval", l)["step"] for l in lines[30:40]])
        self.assertEqual(calls[0][1]["id"], "run-1")
        metrics.write_text(made_run.text_of(lines[:20]))
        calls, said = self.track(run, "wandb")
        self.assertIn("cut", said)
        self.assertEqual(len(self.logged(calls)), 20)
        self.assertNotIn("id", calls[0][1])

    def test_failures(self):
        run = made_run.make(self.place / "run", steps=10)
        with (run / "metrics.jsonl").open("a") as file:
            file.write('nothing\n[1]\n{"step":"x"}\n')
        self.assertEqual(len(self.logged(self.track(run, "wandb")[0])), 20)  # 10 steps, 10 evaluations
        _, said = self.track(run, "trackio", code=6, FAILS="1")
        self.assertIn("no login", said)
        _, said = self.track(self.place, "wandb", code=3)
        self.assertIn("metrics.jsonl", said)
        (self.place / "mlflow.py").unlink()
        try:
            import mlflow  # noqa: F401
        except ImportError:
            _, said = self.track(run, "mlflow", code=2)
            self.assertIn("pip install mlflow", said)


if __name__ == "__main__":
    unittest.main()
