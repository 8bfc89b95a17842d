"""Makes tests/golden/cases/released/golden.safetensors on the CPU: stored tensors that train for 20 steps by given gradients, which
come round every five.  usage: released.py CASES_DIR

clip.TENSOR, clip.TENSOR.gradients (5, rows, columns): what both begin with; tensor.TENSOR and previous.TENSOR: after AdamW of torch,
whose gradients torch.nn.utils.clip_grad_norm_ clips each by its own norm, or that are all multiplied by what the norm of the step
before says. The third gradient of k has an inf, for which that tensor is left as it is.
lomo.TENSOR: q, k and v after lomo-optim's Lomo, which clips by the norm of all; that inf is a 0 then.
Made with torch 2.9.1 and lomo-optim 0.1.1, whose Tensor.cuda does nothing here.
"""
import pathlib
import sys

import lomo_optim
import torch
from safetensors.torch import save_file

STEPS, GRADIENTS = 20, 5
RATE, WEIGHT_DECAY, BETAS, EPSILON, CLIP = 1e-2, 0.1, (0.9, 0.95), 1e-8, 1.0
SHAPES = {"q": (24, 16), "k": (8, 16), "v": (8, 16), "norm": (16,)}
SIZES = {"q": 0.2, "k": 0.01, "v": 0.5, "norm": 0.1}  # of the gradients: some are clipped, some are not


def begin():
    torch.manual_seed(1)
    parameters = {name: torch.randn(shape) * 0.1 for name, shape in SHAPES.items()}
    gradients = {name: torch.randn((GRADIENTS, *shape)) * SIZES[name] for name, shape in SHAPES.items()}
    for i in range(GRADIENTS):  # norms that differ from step to step
        for name in SHAPES:
            gradients[name][i] *= 1 + i
    gradients["k"][2, 3, 5] = float("inf")
    return parameters, gradients


def adamw(parameters, gradients, clip):
    """clip(gradients of a step): what each is multiplied by."""
    own = {name: torch.nn.Parameter(p.clone()) for name, p in parameters.items()}
    groups = [{"params": [p], "weight_decay": WEIGHT_DECAY if p.dim() > 1 else 0.0} for p in own.values()]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=BETAS, eps=EPSILON)
    for step in range(STEPS):
        for name, p in own.items():
            p.grad = gradients[name][step % GRADIENTS].clone()
        clip(own)
        for p in own.values():
            if not torch.isfinite(p.grad).all():  # left as it is; the step counts
                p.grad = None
                if optimizer.state[p]:
                    optimizer.state[p]["step"] += 1
        optimizer.step()
    return {name: p.detach() for name, p in own.items()}


def by_tensor(own):
    for p in own.values():
        if torch.isfinite(p.grad).all():
            torch.nn.utils.clip_grad_norm_([p], CLIP)


class ByPrevious:
    def __init__(self):
        self.norm = None

    def __call__(self, own):
        norm = torch.nn.utils.get_total_norm([p.grad for p in own.values()])
        if self.norm is not None:
            torch.nn.utils.clip_grads_with_norm_(own.values(), CLIP, self.norm)
        if torch.isfinite(norm):
            self.norm = norm


class Given(torch.nn.Module):
    """A model with these parameters and, by its loss, given gradients."""

    def __init__(self, parameters):
        super().__init__()
        for name, p in parameters.items():
            self.register_parameter(name, torch.nn.Parameter(p.clone()))

    def loss(self, gradients, step):
        finite = {name: torch.nan_to_num(gradients[name][step % GRADIENTS], posinf=0.0) for name, _ in self.named_parameters()}
        return sum((p * finite[name]).sum() for name, p in self.named_parameters())


def lomo(parameters, gradients):
    model = Given({name: parameters[name] for name in ("q", "k", "v")})
    optimizer = lomo_optim.Lomo(model, lr=RATE, clip_grad_norm=CLIP, weight_decay=WEIGHT_DECAY)
    for step in range(STEPS):
        optimizer.grad_norm(model.loss(gradients, step))
        optimizer.fused_backward(model.loss(gradients, step), RATE)
    return {name: p.detach() for name, p in model.named_parameters()}


def main(directory):
    torch.Tensor.cuda = lambda self, *_, **__: self
    parameters, gradients = begin()
    tensors = {f"clip.{name}": p for name, p in parameters.items()}
    tensors |= {f"clip.{name}.gradients": g for name, g in gradients.items()}
    for kind, clip in (("tensor", by_tensor), ("previous", ByPrevious())):
        tensors |= {f"{kind}.{name}": p for name, p in adamw(parameters, gradients, clip).items()}
    tensors |= {f"lomo.{name}": p for name, p in lomo(parameters, gradients).items()}
    out = pathlib.Path(directory) / "released"
    out.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, out / "golden.safetensors")


if __name__ == "__main__":
    main(sys.argv[1])
