"""Makes the reference results of LoRA with peft on the CPU in f32.  usage: lora.py CASES_DIR

Each case stands on a base of tests/golden/cases and becomes a directory beside it: adapter/ is what peft saves before the
first step, with B away from 0; golden.json has the loss, gradient norm and learning rate of each step, the evaluation loss
and a greedy continuation; gradients.safetensors the first step's gradients before clipping, after.safetensors the adapter
after the last step, both by peft's names; logits.safetensors those of the first window.
Made with torch 2.9.1, transformers 4.57.1 and peft 0.21.2.
"""
import json
import math
import os
import pathlib
import sys

import numpy as np
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "golden"))
from make import CASES as BASES, adamw, learning_rate, loss_sum  # noqa: E402

OPTIMIZER = dict(learning_rate=1e-2, beta1=0.9, beta2=0.95, epsilon=1e-8, weight_decay=0.1, grad_clip=1.0)
CASES = {
    # biases, a tied head, a rank that is padded, all linears
    "lora-qwen2": dict(base="qwen2", optimizer=OPTIMIZER, lora=dict(r=5, lora_alpha=12, target_modules="all-linear")),
    # a module missing in the middle of a stacked linear, alpha over the root of the rank
    "lora-llama": dict(base="llama", optimizer=OPTIMIZER | dict(grad_clip=0.5, weight_decay=0.0),
                       lora=dict(r=8, lora_alpha=4, use_rslora=True, target_modules=["q_proj", "v_proj", "down_proj"])),
    # masked targets, three micro-steps, one of two stacked modules
    "lora-qwen3": dict(base="qwen3", optimizer=OPTIMIZER, lora=dict(r=4, lora_alpha=8, target_modules=["o_proj", "gate_proj"])),
    # the upper layer alone
    "lora-upper": dict(base="qwen2", optimizer=OPTIMIZER,
                       lora=dict(r=6, lora_alpha=9, target_modules=["q_proj", "v_proj", "o_proj", "up_proj", "down_proj"],
                                 layers_to_transform=[1])),
}


def read_tokens(path):
    header = np.fromfile(path, np.int32, 256)
    count, has_mask = int(header[4]), bool(header[6])
    body = np.fromfile(path, np.uint8)[1024:]
    tokens = body[:4 * count].view(np.int32).astype(np.int64)
    mask = np.unpackbits(body[4 * count:], bitorder="little")[:count].astype(bool) if has_mask else None
    return tokens, mask


def named(model):
    """Trainable parameters by the names that peft stores them under."""
    return [(name.replace(".default", ""), p) for name, p in model.named_parameters() if p.requires_grad]


def make(cases, name, case):
    base, directory = pathlib.Path(cases) / case["base"], pathlib.Path(cases) / name
    shape = dict(BASES[case["base"]], optimizer=case["optimizer"])
    T, B, A = shape["T"], shape["B"], shape["A"]
    torch.manual_seed(17)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="eager")
    model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **case["lora"]))
    with torch.no_grad():
        for parameter_name, p in named(model):
            if "lora_B" in parameter_name:
                p.normal_(0, 0.05)
    model.save_pretrained(directory / "adapter", save_embedding_layers=False)
    (directory / "adapter/README.md").unlink(missing_ok=True)

    tokens, mask = read_tokens(base / "train.bin")
    windows = (len(tokens) - 1) // T
    x, y = torch.tensor(tokens[:windows * T].reshape(windows, T)), torch.tensor(tokens[1:windows * T + 1].reshape(windows, T))
    valid = torch.ones_like(y, dtype=torch.bool) if mask is None else torch.tensor(mask[1:windows * T + 1].reshape(windows, T))
    with torch.no_grad():
        total, logits = loss_sum(model, x, y, valid)
        save_file({"logits": logits[0].contiguous()}, directory / "logits.safetensors")
        prompt = x[:1, :8]
        greedy = model.generate(input_ids=prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=12, do_sample=False,
                                use_cache=False, pad_token_id=0, eos_token_id=None)
    result = dict(base=case["base"], sequence_length=T, micro_batch=B, gradient_accumulation=A, steps=shape["steps"],
                  warmup_steps=shape["warmup"], kind=shape["kind"], final_fraction=shape["final"], optimizer=case["optimizer"],
                  eval_loss=(total / valid.sum()).item(), targets=int(valid.sum()), prompt=prompt[0].tolist(),
                  greedy=greedy[0, 8:].tolist(), loss=[], grad_norm=[], learning_rate=[])

    parameters = named(model)
    state = {n: (torch.zeros_like(p), torch.zeros_like(p)) for n, p in parameters}
    for step in range(shape["steps"]):
        model.zero_grad()
        rows = torch.arange(step * A * B, (step + 1) * A * B)
        count, loss = valid[rows].sum(), 0.0
        for part in rows.split(B):
            part_loss, _ = loss_sum(model, x[part], y[part], valid[part])
            (part_loss / count).backward()
            loss += part_loss.item()
        if step == 0:
            save_file({n: p.grad.clone() for n, p in parameters}, directory / "gradients.safetensors")
        norm = math.sqrt(sum((p.grad.double() ** 2).sum().item() for _, p in parameters))
        rate = learning_rate(shape, step)
        result["loss"].append(loss / count.item())
        result["grad_norm"].append(norm)
        result["learning_rate"].append(rate)
        with torch.no_grad():
            adamw(parameters, state, case["optimizer"], rate, norm, step + 1)
    stored = get_peft_model_state_dict(model, save_embedding_layers=False)
    save_file({n: p.detach().clone() for n, p in stored.items()}, directory / "after.safetensors")
    with open(directory / "golden.json", "w") as f:
        json.dump(result, f, indent=1)
    print(f"{name}: {sum(p.numel() for _, p in parameters)} parameters, loss {result['loss'][0]:.4f} -> {result['loss'][-1]:.4f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for case_name, case_values in CASES.items():
        make(sys.argv[1], case_name, case_values)
