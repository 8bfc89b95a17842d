"""Makes tests/golden/cases/projected/golden.safetensors with apollo_torch's APOLLOAdamW and GaLoreAdamW on the CPU: parameters
that train by given gradients, which come round every five steps.  usage: projected.py CASES_DIR

For each CASE: CASE.parameter, CASE.gradients (5, rows, columns), CASE.signs (turns, rank, smaller side), our projection's, made by
NumPy and put into the package's projector, and CASE.after, the parameter after 20 steps. Weights decay before an update, as AdamW's
do, where the package's decay behind it. Made with torch 2.9.1, apollo-torch 1.0.3.
"""
import math
import pathlib
import sys
import types

import numpy
import torch
from safetensors.torch import save_file

# The package asks transformers for the version of torch, which is known here.
for name in ("transformers", "transformers.utils", "transformers.utils.versions"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["transformers.utils.versions"].require_version = lambda wanted: None
for name in ("bitsandbytes", "bitsandbytes.functional", "bitsandbytes.optim", "bitsandbytes.optim.optimizer"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["bitsandbytes.optim.optimizer"].Optimizer2State = object

from apollo_torch.adamw import AdamW as GaLoreAdamW  # noqa: E402
from apollo_torch.apollo import AdamW as ApolloAdamW  # noqa: E402
from apollo_torch.random_projector import GradientProjector  # noqa: E402
from apollo_torch.svd_projector import GaLoreProjector  # noqa: E402

STEPS, GRADIENTS, EVERY = 20, 5, 8
LEARNING_RATE, WEIGHT_DECAY, BETAS, EPSILON = 2e-2, 0.1, (0.9, 0.95), 1e-8
SEED, TENSOR, STREAM = 1, 7, 5
SIZES = (0.1, 1.0, 3.0, 0.5, 2.0)  # of the gradients, so that the norm's growth is limited in some steps
CASES = {
    "channel_tall": dict(shape=(40, 24), rank=8, scale=1.0, scaling="channel"),
    "channel_wide": dict(shape=(16, 40), rank=5, scale=2.0, scaling="channel"),
    "tensor_tall": dict(shape=(32, 24), rank=1, scale=128.0, scaling="tensor"),
    "tensor_wide": dict(shape=(13, 32), rank=4, scale=1.0, scaling="tensor"),
    "galore_tall": dict(shape=(40, 24), rank=8, scale=0.25),
    "galore_wide": dict(shape=(16, 40), rank=5, scale=1.0),
}
PHILOX = {32: ((0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85)),
          64: ((0xD2E7470EE14C6C93, 0xCA5A826395121157), (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B))}


def philox(bits, key, counter):
    """Philox4 of 32 or 64 bits in 10 rounds (Salmon et al. 2011): four words."""
    mask, (multipliers, bumps) = (1 << bits) - 1, PHILOX[bits]
    c, k = list(counter), list(key)
    for _ in range(10):
        first, second = multipliers[0] * c[0], multipliers[1] * c[2]
        c = [second >> bits ^ c[1] ^ k[0], second & mask, first >> bits ^ c[3] ^ k[1], first & mask]
        k = [(word + bump) & mask for word, bump in zip(k, bumps)]
    return c


def check_philox():
    """The same function, of 64 bits, is NumPy's generator, which counts before it draws."""
    generator = numpy.random.Philox(key=numpy.array([5, 6], dtype=numpy.uint64), counter=numpy.array([1, 2, 3, 4], dtype=numpy.uint64))
    assert list(map(int, generator.random_raw(4))) == philox(64, (5, 6), (2, 2, 3, 4))


def signs(rank, size, turn):
    words = [philox(32, (SEED, 0), (block, TENSOR, turn, STREAM)) for block in range((rank * size + 3) // 4)]
    odd = numpy.array(words).reshape(-1)[:rank * size] & 1
    return torch.tensor(1.0 - 2.0 * odd, dtype=torch.float32).reshape(rank, size)


class Turns:
    """Puts our projection into a projector: anew whenever that would draw its own."""

    def __init__(self, case):
        self.rank, self.size, self.turn = case["rank"], min(case["shape"]), 0

    def next(self, side):
        p = signs(self.rank, self.size, self.turn) / math.sqrt(self.rank)
        self.turn += 1
        return p if side == "right" else p.t().contiguous()


def train(case, parameter, gradients):
    p, turns = torch.nn.Parameter(parameter.clone()), Turns(case)
    for projector in (GradientProjector, GaLoreProjector):
        projector.get_orthogonal_matrix = lambda _self, _weights, _rank, type, seed=None: turns.next(type)
    group = dict(params=[p], rank=case["rank"], update_proj_gap=EVERY, scale=case["scale"], proj_type="std")
    options = dict(lr=LEARNING_RATE, betas=BETAS, eps=EPSILON, weight_decay=0.0)
    if "scaling" in case:
        optimizer = ApolloAdamW([group | dict(proj="random", scale_type=case["scaling"])], **options)
    else:
        optimizer = GaLoreAdamW([group], **options)
    for step in range(STEPS):
        p.grad = gradients[step % GRADIENTS].clone()
        with torch.no_grad():
            p.mul_(1 - LEARNING_RATE * WEIGHT_DECAY)
        optimizer.step()
    assert turns.turn == (STEPS + EVERY - 1) // EVERY, turns.turn
    return p.detach()


def main(directory):
    check_philox()
    torch.manual_seed(1)
    tensors = {}
    for name, case in CASES.items():
        parameter = torch.randn(case["shape"]) * 0.1
        gradients = torch.randn((GRADIENTS, *case["shape"])) * 0.01 * torch.tensor(SIZES).reshape(-1, 1, 1)
        turns = [signs(case["rank"], min(case["shape"]), turn) for turn in range((STEPS + EVERY - 1) // EVERY)]
        tensors |= {f"{name}.parameter": parameter, f"{name}.gradients": gradients, f"{name}.signs": torch.stack(turns),
                    f"{name}.after": train(case, parameter, gradients)}
    out = pathlib.Path(directory) / "projected"
    out.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out / "golden.safetensors")


if __name__ == "__main__":
    main(sys.argv[1])
