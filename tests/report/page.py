#!/usr/bin/env python3
"""`tandem report` on made-up runs: the page's numbers recomputed from the run's files, its HTML and SVG, texts that want
to be markup, bad input with its exit code, and a million steps in time, memory and size."""
import html.parser
import json
import math
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import made_run  # noqa: E402

TANDEM = os.environ["TANDEM_EXECUTABLE"]
VOID = {"meta", "input", "br", "rect", "path"}
HOSTILE = ["</script><script>alert(1)</script>", "a\"b'c&d", "line\nend", "\u202eright to left", "x" * 200]


def report(*arguments, code=0):
    done = subprocess.run([TANDEM, "report", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == code, f"exit {done.returncode}, not {code}: {done.stderr}"
    assert done.stdout == ""
    return done.stderr


def data_of(page):
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1]
    return json.loads(text)["runs"]


class Reader(html.parser.HTMLParser):
    """Checks that tags are balanced, ids unique, and that nothing points out of the page."""

    def __init__(self, page):
        super().__init__()
        self.open, self.ids, self.faults, self.texts = [], set(), [], []
        self.feed(page)
        self.close()
        if self.open:
            self.faults.append(f"open at the end: {self.open}")

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id":
                if value in self.ids:
                    self.faults.append(f"id {value} twice")
                self.ids.add(value)
            if name == "src" or name.startswith("on") or (name == "href" and not value.startswith("#")):
                self.faults.append(f"{tag} {name}={value}")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")

    def handle_data(self, text):
        self.texts.append(text)


def percentile(values, share):
    values = sorted(values)
    place = share * (len(values) - 1)
    below = int(place)
    return values[below] + (place - below) * (values[min(below + 1, len(values) - 1)] - values[below])


def slow_buckets(pairs):
    """The bucket width and the buckets of (step, value), value None where it is not finite."""
    width = 1
    while len({(step - 1) // width for step, _ in pairs}) > 1500:
        width *= 2
    buckets = {}
    for step, value in pairs:
        buckets.setdefault((step - 1) // width, []).append((step, value))
    return width, list(buckets.values())


class Page(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.place = pathlib.Path(self.directory.name)

    def tearDown(self):
        self.directory.cleanup()

    def page(self, *runs, **more):
        out = self.place / "page.html"
        report(*runs, "--out", out, **more)
        return out.read_text()

    def check_series(self, lines, series, field):
        pairs = [(line["step"], line[field]) for line in lines if field in line]
        width, buckets = slow_buckets(pairs)
        self.assertEqual(series["width"], width, field)
        self.assertEqual(len(series["mean"]), len(buckets), field)
        for i, bucket in enumerate(buckets):
            finite = [value for _, value in bucket if value is not None]
            if not finite:
                self.assertIsNone(series["mean"][i])
                continue
            self.assertAlmostEqual(series["mean"][i] / (sum(finite) / len(finite)), 1, delta=6e-5)
            if width > 1:
                self.assertAlmostEqual(series["least"][i] / min(finite), 1, delta=6e-5)
                self.assertAlmostEqual(series["largest"][i] / max(finite), 1, delta=6e-5)
                count = series["last_count"] if "last_count" in series and i + 1 == len(buckets) else width
                self.assertEqual(series["count"][i] if "count" in series else count, len(bucket))

    def check_run(self, run, data):
        lines = [line for line in made_run.lines_of(run) if "eval" not in line]
        evaluations = [line["eval"] for line in made_run.lines_of(run) if "eval" in line]
        plan, verdict = json.loads((run / "plan.json").read_text()), data["verdict"]
        seconds = [line["seconds"] for line in lines]
        last, best = evaluations[-1], min(evaluations, key=lambda e: e["loss"])
        self.assertEqual(verdict["state"], "done")
        self.assertEqual(verdict["tokens"], lines[-1]["tokens"])
        self.assertEqual(verdict["loss"], lines[-1]["loss"])
        self.assertEqual((verdict["last_evaluation"]["step"], verdict["last_evaluation"]["loss"]), (last["step"], last["loss"]))
        self.assertEqual(verdict["best_evaluation"]["step"], best["step"])
        self.assertEqual(verdict["skipped"], 2)
        times = [line["time"] for line in [*lines, *evaluations]]
        self.assertAlmostEqual(verdict["wall_seconds"], max(times) - lines[0]["time"] + seconds[0], delta=0.1)
        rates = [line["tokens_per_second"] for line in lines]
        for name, expected in [("median_seconds", percentile(seconds, 0.5)), ("median_tokens_per_second", percentile(rates, 0.5)),
                               ("slow_tokens_per_second", percentile(rates, 0.05)),
                               ("median_data_seconds", percentile([line["data_seconds"] for line in lines], 0.5)),
                               ("evaluating_seconds", sum(e["seconds"] for e in evaluations)),
                               ("saving_seconds", sum(line.get("save_seconds", 0) for line in lines)),
                               ("scale_misses", sum(line["scale_misses"] for line in lines))]:
            self.assertAlmostEqual(verdict[name] / expected, 1, delta=0.01, msg=name)
        for field in ("loss", "grad_norm", "learning_rate", "tokens_per_second", "power", "temperature"):
            self.check_series(lines, data["series"][field], field)
        self.assertEqual(data["series"]["evaluations"]["step"], [e["step"] for e in evaluations])
        self.assertEqual(data["series"]["saves"]["step"], [line["step"] - 1 for line in lines if "save_seconds" in line])
        self.assertEqual(len(data["series"]["gaps"]["step"]), 1)
        self.assertAlmostEqual(data["series"]["gaps"]["mean"][0], 4000, delta=1)
        self.check_shares(run, data, plan, percentile(seconds, 0.5))

    def check_shares(self, run, data, plan, median):
        parts = {part["name"]: part for part in data["time"]["parts"]}
        self.assertAlmostEqual(sum(part["seconds"] for part in parts.values()) / median, 1, delta=0.01)
        profile = run / "profile.json"
        classes = json.loads(profile.read_text())["classes"] if profile.exists() else plan["classes"]
        self.assertEqual(data["time"]["measured"], profile.exists())
        by_name = {c["name"]: c for c in classes}
        for name, part in [("e4m3 products", "products in e4m3"), ("attention", "attention"), ("optimizer", "optimizer")]:
            self.assertAlmostEqual(parts[part]["seconds"] / by_name[name]["seconds"], 1, delta=1e-5)
            self.assertAlmostEqual(parts[part]["floor"], by_name[name]["floor_seconds"])
        copies = [line["copy_seconds"] for line in made_run.lines_of(run) if "copy_seconds" in line]
        self.assertAlmostEqual(parts["waiting for copies"]["seconds"] / percentile(copies, 0.5), 1, delta=0.01)
        self.assertEqual(sum(part["device"] for part in data["bytes"]["parts"]), plan["device_bytes"])
        self.assertEqual(sum(part["host"] for part in data["bytes"]["parts"]), plan["host_bytes"])
        states = next(part for part in data["bytes"]["parts"] if part["name"] == "states")
        self.assertEqual(states["device"], sum(r["device"] for r in plan["bytes"] if r["name"] in ("m", "v")))

    def test_the_numbers_are_those_of_the_runs_files(self):
        run = made_run.make(self.place / "one")
        self.check_run(run, data_of(self.page(run))[0])
        run = made_run.make(self.place / "two", steps=7000, profile=False)
        self.check_run(run, data_of(self.page(run))[0])

    def check_markup(self, page):
        self.assertTrue(page.startswith("<!doctype html><!-- tandem report"))
        reader = Reader(page)
        self.assertEqual(reader.faults, [])
        shown = page
        for text in re.findall(r"<pre>.*?</pre>|<script.*?</script>", page, re.S):
            shown = shown.replace(text, "")
        for outside in ("//", "http:", "https:", "url("):
            self.assertNotIn(outside, shown)
        script = re.search(r"<script>\n(.*?)</script>", page, re.S)[1]
        self.assertNotRegex(script, r"https?:|url\(|w3\.org|fetch|XMLHttp")
        pictures = re.findall(r"<svg.*?</svg>", page, re.S)
        self.assertGreaterEqual(len(pictures), 5)
        for picture in pictures:
            self.check_picture(xml.etree.ElementTree.fromstring(picture))
        for figure in re.findall(r"<figure.*?</figure>", page, re.S):
            self.assertLessEqual(figure.count("<tr>"), 60)
        return reader

    def check_picture(self, svg):
        self.assertEqual(svg.get("role"), "img")
        self.assertTrue(svg.find("title").text)
        self.assertTrue(svg.find("desc").text)
        _, _, width, height = map(float, svg.get("viewBox").split())
        for path in svg.iter("path"):
            for verb, numbers in re.findall(r"([MLHVh])([-\d. ]+)", path.get("d")):
                values = list(map(float, numbers.split()))
                xs = {"M": values[:1], "L": values[:1], "H": values, "V": [], "h": []}[verb]
                ys = {"M": values[1:], "L": values[1:], "H": [], "V": values, "h": []}[verb]
                self.assertTrue(all(-0.05 <= x <= width + 0.05 for x in xs) and all(-0.05 <= y <= height + 0.05 for y in ys), path.get("d")[:80])
        for box in svg.iter("rect"):
            self.assertLessEqual(float(box.get("x")) + float(box.get("width")), width + 0.05)

    def test_markup(self):
        one, two = made_run.make(self.place / "one"), made_run.make(self.place / "two", seed=2, offload="none")
        self.check_markup(self.page(one))
        page = self.page(one, two)
        self.check_markup(page)
        self.assertIn("<th>model.seed</th><td>1</td><td>2</td>", page)
        self.assertNotIn("<th>schedule.steps</th>", page)
        words = re.search(r'<desc id="loss-words">(.*?)</desc>', self.page(one), re.S)[1]
        self.assertRegex(words, r"^Loss falls from \d+\.\d+ at step 1 to \d\.\d+ at step 400; lowest \d\.\d+ at \d+, highest")

    def test_texts_of_a_run_come_out_as_texts(self):
        for number, name in enumerate(HOSTILE):
            run = made_run.make(self.place / str(number) / name.replace("/", "\u2215"))
            with (run / "config.toml").open("a") as file:
                file.write(f"name = {json.dumps(name)}\n")
            plan = json.loads((run / "plan.json").read_text())
            plan["policy"][0]["text"] = plan["environment"]["driver"] = plan["peak"]["alive"][0]["name"] = name * 50
            (run / "plan.json").write_text(json.dumps(plan))
            page = self.page(run)
            self.check_markup(page)
            self.assertNotIn("<script>alert", page)
            self.assertNotIn("\u202e", page)
            self.assertEqual(data_of(page)[0]["name"], run.name)

    def test_what_is_drawn_all_the_same(self):
        run = made_run.make(self.place / "run")
        with (run / "metrics.jsonl").open("a") as file:
            file.write('not json\n{"step":401,"loss":"2"}\n[]\n{"step":')  # the last has no line end
        for name in ("config.toml", "plan.json", "profile.json"):
            (run / name).write_text("{ not this")
        (run / "checkpoints/step_00000400/manifest.json").write_text("[]")
        said = report(run, "--out", self.place / "page.html")
        self.assertIn("3 lines could not be read", said)
        page = (self.place / "page.html").read_text()
        self.check_markup(page)
        self.assertEqual((data_of(page)[0]["verdict"]["bad_lines"], data_of(page)[0]["verdict"]["first_bad_line"]), (3, 421))
        for name in ("config.toml", "plan.json", "profile.json", "manifest.json"):
            self.assertIn(name + ":", page)
            (run / "checkpoints/step_00000400/manifest.json" if name == "manifest.json" else run / name).unlink()
        page = self.page(run)
        self.check_markup(page)
        self.assertIn("plan.json: it is not there", page)

    def test_old_runs_have_a_page(self):
        run = self.place / "old"
        run.mkdir()
        old = ("step", "loss", "grad_norm", "learning_rate", "tokens", "targets", "seconds", "tokens_per_second", "mfu", "memory", "skipped")
        lines = [{k: line[k] for k in old} for line in made_run.step_lines(50)]
        (run / "metrics.jsonl").write_text(made_run.text_of(lines))
        (run / "plan.json").write_text('{"device": {"backend": "vulkan"}, "device_bytes": 5, "host_bytes": 0}')
        self.check_markup(self.page(run))

    def test_bad_input(self):
        run, out = made_run.make(self.place / "run"), self.place / "page.html"
        empty, blank = self.place / "empty", self.place / "blank"
        empty.mkdir()
        blank.mkdir()
        (blank / "metrics.jsonl").write_text("nothing\n")
        other, trace = self.place / "other.html", self.place / "trace.json"
        other.write_text("<!doctype html>mine")
        trace.write_text('{"traceEvents": [{"ph": "X"}]}')
        for code, named, arguments in [
                (3, "nowhere", ("nowhere", "--out", out)), (3, "metrics.jsonl", (empty, "--out", out)),
                (3, "metrics.jsonl", (blank, "--out", out)), (3, "trace.json", (run, "--out", out, "--profile", trace)),
                (3, "metrics.jsonl", (empty, "--out", out, "--follow")), (2, "--out", (run,)),
                (2, "8", (*[made_run.make(self.place / f"r{i}", steps=2) for i in range(9)], "--out", out)),
                (2, "twice", (run, self.place / "." / "run", "--out", out)),
                (2, "--profile", (run, blank, "--out", out, "--profile", trace)),
                (2, "nodir", (run, "--out", self.place / "nodir/page.html")), (2, "other.html", (run, "--out", other))]:
            said = report(*arguments, code=code)
            self.assertIn(named, said)
            self.assertRegex(said, r"^tandem: \[")
        self.assertEqual(other.read_text(), "<!doctype html>mine")
        self.assertFalse(out.exists())

    def test_a_full_disk_keeps_the_old_page(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        run, out = made_run.make(self.place / "run"), self.place / "page.html"
        report(run, "--out", out)
        before = out.read_bytes()
        limited = subprocess.run([TANDEM, "report", run, "--out", out], capture_output=True, text=True, check=False,
                                 preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))
        self.assertEqual(limited.returncode, 7, limited.stderr)
        self.assertEqual(out.read_bytes(), before)

    def test_a_million_steps(self):
        run, steps = self.place / "long", 1_000_000
        made_run.make(run, steps=1000)
        rest = [made_run.text_of([{"step": 0, "tokens": 0, **line} | {"step": 0, "tokens": 0}]).replace("%", "%%").replace(
            '"step":0,"tokens":0', '"step":%d,"tokens":%d') for line in made_run.step_lines(1000) if "eval" not in line]
        with (run / "metrics.jsonl").open("w") as file:
            for step in range(1, steps + 1):
                file.write(rest[step % 1000] % (step, 16384 * step))
        size = (run / "metrics.jsonl").stat().st_size
        self.assertGreater(size, 300e6)
        begin = time.monotonic()
        process = subprocess.Popen([TANDEM, "report", run, "--out", self.place / "page.html"])
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - begin
        print(f"{size / 1e6:.0f} MB: {wall:.1f} s, processor {used.ru_utime + used.ru_stime:.1f} s, {used.ru_maxrss / 1024:.0f} MB")
        self.assertEqual(status, 0)
        self.assertLess(used.ru_utime + used.ru_stime, 20)  # 10 s on two cores
        self.assertLess(used.ru_maxrss, 100 * 1024)
        self.assertLess((self.place / "page.html").stat().st_size, 600_000)
        self.assertEqual(data_of((self.place / "page.html").read_text())[0]["verdict"]["step"], steps)

    def test_eight_runs(self):
        runs = [made_run.make(self.place / f"r{i}", steps=2900, seed=i + 1) for i in range(8)]
        page = self.page(*runs)
        self.check_markup(page)
        self.assertLess(len(page), 4_000_000)
        self.assertLess(len(self.page(runs[0])), 600_000)  # 1450 buckets of two steps


if __name__ == "__main__":
    unittest.main()
