"""Two hundred steps of AdamW on a matrix by torch.optim.AdamW, and how far from there bitsandbytes' AdamW8bit comes, on the
CPU: tests/reference/adam8-BETA2.f32 and adam8.json, for tests/ops/adam8.cpp, which makes the same steps here.

usage: adam8.py --make DIR      writes them, in a venv with PACKAGES and NumPy
       adam8.py                 a test, under TANDEM_FULL alone: the checked-in ones, and state_codes.json, are what is
                                made today"""
import json
import pathlib
import subprocess
import sys

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent / "data"))
from own_venv import full_test  # noqa: E402

PACKAGES = ("torch==2.9.1", "bitsandbytes==0.50.2", "numpy")
ROWS, COLUMNS, STEPS = 32, 256, 200
LEARNING_RATE, BETA1, EPSILON, DECAY = 1e-3, 0.9, 1e-8, 0.1
BETAS2 = (0.95, 0.999)


def unit(numpy, count, first):
    """Numbers in [0, 1) of 24 bits: splitmix64 of first, first + 1, ..."""
    u64 = numpy.uint64
    x = (numpy.arange(count, dtype=u64) + u64(first) + u64(1)) * u64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> u64(30))) * u64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> u64(27))) * u64(0x94D049BB133111EB)
    return ((x ^ (x >> u64(31))) >> u64(40)).astype(numpy.float64) / 2.0**24


def start(numpy):
    return ((unit(numpy, ROWS * COLUMNS, 0) - 0.5) * 0.125).astype(numpy.float32)


def draw(numpy, count, first):
    """Sums of four numbers, nearly normal, around 0."""
    return sum(unit(numpy, count, (first + i) << 32) for i in range(4)) - 2.0


def gradient(numpy, step):
    """Noise around a drift. Rows and columns have sizes, powers of two, as those of dY' x do. Exact in f64."""
    count = ROWS * COLUMNS
    drift = unit(numpy, count, 1 << 60) - 0.5
    rows, columns = (numpy.rint(2.5 * draw(numpy, n, 1 << at)) for n, at in ((ROWS, 20), (COLUMNS, 21)))
    size = numpy.exp2(rows[:, None] + columns[None, :] - 4.0).reshape(-1)
    return ((draw(numpy, count, 1 + 4 * step) + drift) * size).astype(numpy.float32)


def train(make, beta2):
    import numpy
    import torch
    p = torch.nn.Parameter(torch.from_numpy(start(numpy).reshape(ROWS, COLUMNS)))
    optimizer = make([p], lr=LEARNING_RATE, betas=(BETA1, beta2), eps=EPSILON, weight_decay=DECAY)
    for step in range(STEPS):
        p.grad = torch.from_numpy(gradient(numpy, step).reshape(ROWS, COLUMNS))
        optimizer.step()
    return p.detach().numpy().reshape(-1)


def made():
    """The parameters by torch, by beta2, and the distances of bitsandbytes' from them."""
    import bitsandbytes
    import numpy
    import torch
    parameters, out = {}, {}
    for beta2 in BETAS2:
        parameters[beta2] = train(torch.optim.AdamW, beta2)
        other = train(bitsandbytes.optim.AdamW8bit, beta2)
        out[str(beta2)] = {
            "moved": float(numpy.linalg.norm((parameters[beta2] - start(numpy)).astype(numpy.float64))),
            "bitsandbytes": float(numpy.linalg.norm((other - parameters[beta2]).astype(numpy.float64))),
        }
    return parameters, out


def check(_):
    import numpy
    codes = subprocess.run([sys.executable, here / "state_codes.py"], check=True, capture_output=True, text=True).stdout
    assert codes == (here / "state_codes.json").read_text(), "state_codes.json"
    parameters, out = made()
    stored = json.loads((here / "adam8.json").read_text())
    for beta2 in BETAS2:
        old = numpy.fromfile(here / f"adam8-{beta2}.f32", numpy.float32)
        assert numpy.linalg.norm(old - parameters[beta2]) <= 1e-5 * out[str(beta2)]["moved"], beta2
        for key, value in out[str(beta2)].items():
            assert abs(value - stored[str(beta2)][key]) <= 1e-2 * value, (beta2, key, value, stored[str(beta2)][key])
    return 0


def make(directory):
    parameters, out = made()
    for beta2 in BETAS2:
        parameters[beta2].tofile(directory / f"adam8-{beta2}.f32")
    (directory / "adam8.json").write_text(json.dumps(out, indent=1) + "\n")
    print(json.dumps(out))
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        sys.exit(make(pathlib.Path(sys.argv[2])))
    sys.exit(full_test(__file__, check, *PACKAGES))
