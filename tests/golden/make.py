"""Makes the reference results of tests/golden with transformers on the CPU in f32.  usage: make.py OUT_DIR

Each case is a directory: a small Hugging Face model with random weights, train.bin (LLMQ v2 tokens, some with a target mask) and
golden.json: loss, gradient norm and learning rate of each step, evaluation loss, greedy continuation. gradients.safetensors holds the
first step's gradients before clipping, after.safetensors the parameters after the last step, logits.safetensors those of the first window.
Made with torch 2.9.1 and transformers 4.57.1.
"""
import json
import math
import os
import sys

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

OPTIMIZER = dict(learning_rate=2e-3, beta1=0.9, beta2=0.95, epsilon=1e-8, weight_decay=0.1, grad_clip=1.0)
CASES = {
    # biases, tied head, grouped heads, several micro-steps, odd vocabulary
    "qwen2": dict(family="qwen2", T=24, B=2, A=2, steps=6, warmup=2, kind="cosine", final=0.1, mask=None, optimizer=OPTIMIZER,
                  config=dict(vocab_size=131, hidden_size=32, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4,
                              num_key_value_heads=2, tie_word_embeddings=True, max_position_embeddings=64)),
    # separate head, llama3 rope scaling, T no multiple of a tile
    "llama": dict(family="llama", T=37, B=3, A=1, steps=6, warmup=0, kind="linear", final=0.0, mask=None,
                  optimizer=OPTIMIZER | dict(grad_clip=0.5, beta2=0.999, weight_decay=0.01),
                  config=dict(vocab_size=96, hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=3,
                              num_key_value_heads=1, tie_word_embeddings=False, max_position_embeddings=256, rms_norm_eps=1e-5,
                              rope_theta=500000.0, rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0,
                                                                     high_freq_factor=4.0, original_max_position_embeddings=32))),
    # head norms, head_dim apart from hidden / heads, masked targets
    "qwen3": dict(family="qwen3", T=16, B=2, A=3, steps=6, warmup=2, kind="cosine", final=0.0, mask=0.6, optimizer=OPTIMIZER,
                  config=dict(vocab_size=100, hidden_size=32, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                              num_key_value_heads=1, head_dim=24, tie_word_embeddings=True, max_position_embeddings=64,
                              rope_theta=1000000.0)),
}


def write_tokens(path, tokens, vocabulary, mask):
    header = np.zeros(256, np.int32)
    header[:2] = np.frombuffer(b"BIN.TOK\n", np.int32)
    header[2:7] = 2, 4, len(tokens), vocabulary, int(mask is not None)
    with open(path, "wb") as f:
        f.write(header.tobytes() + tokens.astype(np.int32).tobytes())
        if mask is not None:
            f.write(np.packbits(mask.astype(np.uint8), bitorder="little").tobytes())


def noisy_walk(count, vocabulary, rng):
    """Tokens that can be learnt: mostly a fixed successor, sometimes any token."""
    tokens = np.empty(count, np.int64)
    tokens[0] = 1
    for i in range(1, count):
        tokens[i] = (7 * tokens[i - 1] + 5) % vocabulary if rng.random() < 0.75 else rng.integers(vocabulary)
    return tokens


def loss_sum(model, x, y, valid):
    logits = model(input_ids=x, use_cache=False).logits.float()
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").view_as(y)
    return (losses * valid).sum(), logits


def learning_rate(case, step):
    peak, steps, warmup = case["optimizer"]["learning_rate"], case["steps"], case["warmup"]
    if step < warmup:
        return peak * (step + 1) / warmup
    p = (step - warmup) / max(1, steps - 1 - warmup)
    curve = 0.5 * (1 + math.cos(math.pi * p)) if case["kind"] == "cosine" else 1 - p
    return peak * (case["final"] + (1 - case["final"]) * curve)


def adamw(parameters, state, o, rate, norm, t):
    clip = min(1.0, o["grad_clip"] / (norm + 1e-6))
    for name, p in parameters:
        m, v = state[name]
        g = p.grad * clip
        if p.ndim >= 2:
            p.mul_(1 - rate * o["weight_decay"])
        m.mul_(o["beta1"]).add_(g, alpha=1 - o["beta1"])
        v.mul_(o["beta2"]).addcmul_(g, g, value=1 - o["beta2"])
        p.sub_(rate * (m / (1 - o["beta1"] ** t)) / ((v / (1 - o["beta2"] ** t)).sqrt() + o["epsilon"]))


def make(name, case, out):
    directory = os.path.join(out, name)
    os.makedirs(directory, exist_ok=True)
    rng = np.random.default_rng(len(name))
    torch.manual_seed(11)
    T, B, A = case["T"], case["B"], case["A"]
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(case["family"], **case["config"]), attn_implementation="eager").float()
    with torch.no_grad():  # biases and norms away from 0 and 1, matrices large enough that attention is not flat
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p)) if p.ndim == 1 else p.mul_(4.0)
    model.save_pretrained(directory)
    if os.path.exists(os.path.join(directory, "generation_config.json")):
        os.remove(os.path.join(directory, "generation_config.json"))

    vocabulary, windows = case["config"]["vocab_size"], B * A * case["steps"]
    tokens = noisy_walk(windows * T + 1, vocabulary, rng)
    mask = None if case["mask"] is None else rng.random(len(tokens)) < case["mask"]
    write_tokens(os.path.join(directory, "train.bin"), tokens, vocabulary, mask)
    x = torch.tensor(tokens[:-1].reshape(windows, T))
    y = torch.tensor(tokens[1:].reshape(windows, T))
    valid = torch.ones_like(y, dtype=torch.bool) if mask is None else torch.tensor(mask[1:].reshape(windows, T))

    with torch.no_grad():
        total, logits = loss_sum(model, x, y, valid)
        save_file({"logits": logits[0].contiguous()}, os.path.join(directory, "logits.safetensors"))
        prompt = x[:1, :8]
        greedy = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=12, do_sample=False, use_cache=False,
                                pad_token_id=0, eos_token_id=None)
    result = dict(sequence_length=T, micro_batch=B, gradient_accumulation=A, steps=case["steps"], warmup_steps=case["warmup"], kind=case["kind"],
                  final_fraction=case["final"], optimizer=case["optimizer"], eval_loss=(total / valid.sum()).item(),
                  targets=int(valid.sum()), prompt=prompt[0].tolist(), greedy=greedy[0, 8:].tolist(), loss=[], grad_norm=[], learning_rate=[])

    parameters = list(model.named_parameters())
    state = {n: (torch.zeros_like(p), torch.zeros_like(p)) for n, p in parameters}
    for step in range(case["steps"]):
        model.zero_grad()
        rows = torch.arange(step * A * B, (step + 1) * A * B)
        count, loss = valid[rows].sum(), 0.0
        for part in rows.split(B):
            part_loss, _ = loss_sum(model, x[part], y[part], valid[part])
            (part_loss / count).backward()
            loss += part_loss.item()
        if step == 0:
            save_file({n: p.grad.clone() for n, p in parameters}, os.path.join(directory, "gradients.safetensors"))
        norm = math.sqrt(sum((p.grad.double() ** 2).sum().item() for _, p in parameters))
        rate = learning_rate(case, step)
        result["loss"].append(loss / count.item())
        result["grad_norm"].append(norm)
        result["learning_rate"].append(rate)
        with torch.no_grad():
            adamw(parameters, state, case["optimizer"], rate, norm, step + 1)
    save_file({n: p.detach().clone() for n, p in parameters}, os.path.join(directory, "after.safetensors"))
    with open(os.path.join(directory, "golden.json"), "w") as f:
        json.dump(result, f, indent=1)
    print(f"{name}: {sum(p.numel() for _, p in parameters)} parameters, loss {result['loss'][0]:.4f} -> {result['loss'][-1]:.4f}")


if __name__ == "__main__":
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    for case_name, case_values in CASES.items():
        make(case_name, case_values, sys.argv[1])
