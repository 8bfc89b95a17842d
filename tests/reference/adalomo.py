"""Makes tests/golden/cases/adalomo/golden.safetensors with lomo-optim's AdaLomo on the CPU: stored tensors that train for 20 steps by
given gradients, which come round every five.  usage: adalomo.py CASES_DIR

TENSOR, TENSOR.gradients (5, ...): what each begins with; TENSOR.after: what it is then. Matrices are clipped together and decay; the
vector is clipped by its own norm and does not, as the package decays all that it is given.
Made with torch 2.9.1 and lomo-optim 0.1.1, whose Tensor.cuda does nothing here.
"""
import pathlib
import sys

import lomo_optim
import torch
from released import Given
from safetensors.torch import save_file

STEPS, GRADIENTS = 20, 5
RATE, WEIGHT_DECAY, CLIP = 5e-2, 0.1, 1.0
SHAPES = {"q": (132, 20), "k": (13, 20), "v": (13, 20), "wide": (4, 260), "norm": (16,)}
SIZES = {"q": 0.02, "k": 0.001, "v": 0.05, "wide": 0.02, "norm": 0.5}  # of the gradients: some are clipped, some are not


def train(parameters, gradients, weight_decay):
    model = Given(parameters)
    optimizer = lomo_optim.AdaLomo(model, lr=RATE, clip_grad_norm=CLIP, weight_decay=weight_decay)
    for step in range(STEPS):
        optimizer.grad_norm(model.loss(gradients, step))
        optimizer.fused_backward(model.loss(gradients, step), RATE)
    return {f"{name}.after": p.detach() for name, p in model.named_parameters()}


def main(directory):
    torch.Tensor.cuda = lambda self, *_, **__: self
    torch.manual_seed(2)
    parameters = {name: torch.randn(shape) * 0.1 for name, shape in SHAPES.items()}
    parameters["k"] *= 1e-4  # so small that it moves as one of 1e-3
    gradients = {name: torch.randn((GRADIENTS, *shape)) * SIZES[name] for name, shape in SHAPES.items()}
    for i in range(GRADIENTS):  # norms that differ from step to step
        for name in SHAPES:
            gradients[name][i] *= 1 + i
    for name in ("v", "wide", "norm"):  # updates of a size above 1
        gradients[name][3] *= 8
    gradients["v"][:3, 5] = 0  # a row that gets its first gradient late
    vectors = {name: p for name, p in parameters.items() if p.dim() == 1}
    matrices = {name: p for name, p in parameters.items() if p.dim() == 2}
    tensors = parameters | {f"{name}.gradients": g for name, g in gradients.items()}
    tensors |= train(matrices, gradients, WEIGHT_DECAY) | train(vectors, gradients, 0.0)
    out = pathlib.Path(directory) / "adalomo"
    out.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, out / "golden.safetensors")


if __name__ == "__main__":
    main(sys.argv[1])
