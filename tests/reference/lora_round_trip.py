"""Loads a run's adapter with peft and a merged model with transformers, and holds their loss over a token file, in fp32 on
the CPU, against what `tandem eval --recipe fp32` says.
usage: lora_round_trip.py BASE ADAPTER MERGED TOKENS.bin SEQUENCE_LENGTH ADAPTER_LOSS MERGED_LOSS [WINDOWS]
Exit code 1 where a key is missing or unexpected, a loss differs by more than 1e-5 of it, merged tensors in bf16 are less
than 99% equal to those of merge_and_unload, or one differs by more than an ulp.
"""
import json
import pathlib
import sys
import warnings

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lora import read_tokens  # noqa: E402


def load(path, dtype=torch.float32):
    return AutoModelForCausalLM.from_pretrained(path, dtype=dtype, attn_implementation="eager").eval()


def mean_loss(model, tokens, length, windows):
    total, count = 0.0, 0
    with torch.no_grad():
        for first in range(0, windows, 16):
            rows = [tokens[w * length:w * length + length + 1] for w in range(first, min(first + 16, windows))]
            batch = torch.tensor(rows)
            logits = model(input_ids=batch[:, :-1], use_cache=False).logits.double()
            losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="sum")
            total, count = total + losses.item(), count + batch[:, 1:].numel()
    return total / count


def compare_merged(base, adapter, merged):
    """Shares of equal elements, and the largest difference in ulps of the stored dtype."""
    stored = {}
    for file in pathlib.Path(merged).glob("*.safetensors"):
        stored |= load_file(file)
    kind = next(iter(stored.values())).dtype
    theirs = PeftModel.from_pretrained(load(base, kind), adapter).merge_and_unload().state_dict()
    equal = total = worst = 0
    for name, ours in stored.items():
        other = theirs[name].to(ours.dtype)
        integers = torch.int16 if kind == torch.bfloat16 else torch.int32
        a, b = ours.view(integers).long(), other.view(integers).long()
        equal, total = equal + (a == b).sum().item(), total + a.numel()
        worst = max(worst, (a - b).abs().max().item())
    return kind, equal / total, worst


def main(base, adapter, merged, tokens_path, length, adapter_loss, merged_loss, windows=0):
    tokens = read_tokens(tokens_path)[0].tolist()
    length, windows = int(length), int(windows) or (len(tokens) - 1) // int(length)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        peft = PeftModel.from_pretrained(load(base), adapter)
    complaints = [str(w.message) for w in caught if "key" in str(w.message).lower()]
    names = {n.replace(".default", "") for n, _ in peft.named_parameters() if "lora_" in n}
    written = set(load_file(pathlib.Path(adapter) / "adapter_model.safetensors"))
    results = {"missing": len(names - written), "unexpected": len(written - names), "warnings": complaints}
    good = names == written and not complaints
    for what, model, expected in (("adapter", peft, adapter_loss), ("merged", load(merged), merged_loss)):
        loss = mean_loss(model, tokens, length, windows)
        apart = abs(loss - float(expected)) / loss
        results[what] = {"transformers": loss, "tandem": float(expected), "relative": apart}
        good = good and apart < 1e-5
    kind, equal, worst = compare_merged(base, adapter, merged)
    results["merged tensors"] = {"dtype": str(kind), "equal": equal, "largest difference in ulp": worst}
    good = good and (kind != torch.bfloat16 or (equal >= 0.99 and worst <= 1))
    print(json.dumps(results, indent=1))
    return 0 if good else 1


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main(*sys.argv[1:]))
