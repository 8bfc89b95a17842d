"""Makes tests/golden/cases/muon/golden.safetensors with torch.optim.Muon on the CPU: parameters that train by given gradients,
which come round every five steps.  usage: muon.py CASES_DIR

For each CASE: CASE.parameter, CASE.gradients (5, rows, columns), CASE.direction, what the first gradient's update is orthogonalized
to, and CASE.after, the parameter after 20 steps. Made with torch 2.9.1.
"""
import pathlib
import sys

import torch
from safetensors.torch import save_file

STEPS, GRADIENTS = 20, 5
LEARNING_RATE, WEIGHT_DECAY, MOMENTUM = 2e-2, 0.1, 0.95
CASES = {
    "wide": dict(shape=(16, 24), nesterov=True, adjust_lr_fn="match_rms_adamw"),
    "tall": dict(shape=(40, 16), nesterov=True, adjust_lr_fn="original"),
    "plain": dict(shape=(24, 32), nesterov=False, adjust_lr_fn="match_rms_adamw"),
}


def train(case, parameter, gradients):
    p = torch.nn.Parameter(parameter.clone())
    optimizer = torch.optim.Muon([p], lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, momentum=MOMENTUM, nesterov=case["nesterov"],
                                 adjust_lr_fn=case["adjust_lr_fn"])
    for step in range(STEPS):
        p.grad = gradients[step % GRADIENTS].clone()
        optimizer.step()
    return p.detach()


def direction(case, gradient):
    """One step of learning rate 1 from zero, without what the shape multiplies it by."""
    p = torch.nn.Parameter(torch.zeros_like(gradient))
    optimizer = torch.optim.Muon([p], lr=1.0, weight_decay=0.0, momentum=MOMENTUM, nesterov=case["nesterov"],
                                 adjust_lr_fn="match_rms_adamw")
    p.grad = gradient.clone()
    optimizer.step()
    return -p.detach() / (0.2 * max(gradient.shape) ** 0.5)


def main(directory):
    torch.manual_seed(1)
    tensors = {}
    for name, case in CASES.items():
        parameter = torch.randn(case["shape"]) * 0.1
        gradients = torch.randn((GRADIENTS, *case["shape"])) * 0.01
        tensors |= {f"{name}.parameter": parameter, f"{name}.gradients": gradients,
                    f"{name}.direction": direction(case, gradients[0]).contiguous(),
                    f"{name}.after": train(case, parameter, gradients)}
    out = pathlib.Path(directory) / "muon"
    out.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out / "golden.safetensors")


if __name__ == "__main__":
    main(sys.argv[1])
