"""The step of tests/bench/step.cpp in PyTorch and transformers on the CPU, f32: prints its median time in seconds."""
import statistics
import sys
import time

import torch
from transformers import AutoConfig, AutoModelForCausalLM

torch.set_num_threads(2)
config = AutoConfig.for_model("qwen2", vocab_size=257, hidden_size=384, intermediate_size=1024, num_hidden_layers=7, num_attention_heads=6,
                              num_key_value_heads=2, tie_word_embeddings=True, max_position_embeddings=512)
model = AutoModelForCausalLM.from_config(config).float()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95))
tokens = torch.randint(0, 257, (4, 513))
times = []
for step in range(2 + int(sys.argv[1]) if len(sys.argv) > 1 else 12):
    start = time.perf_counter()
    logits = model(input_ids=tokens[:, :-1], use_cache=False).logits
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    times.append(time.perf_counter() - start)
print(f"pytorch_step_seconds_median {statistics.median(times[2:]):.3f}")
