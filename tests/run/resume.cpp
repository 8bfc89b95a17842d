// What may change between a checkpoint and the run that goes on from it.
#include "core/run/resume.h"

#include <doctest/doctest.h>

#include <map>

#include "core/run/config_keys.h"
#include "tests/support/temporary.h"

namespace tandem {
namespace {

using test::check_fails;
using Words = std::vector<std::string>;

RunConfig base() {
  return parse_config("[model]\npath = \"m\"\n[data]\ntrain = [\"a.bin\"]\n[run]\ndirectory = \"r\"\n", "c.toml", {});
}

Manifest manifest_of(const RunConfig& config) {
  Manifest m;
  m.step = 10;
  m.config = config_text(config);
  m.inputs = {{"a.bin", 5, "00"}};
  return m;
}

struct Change {
  ConfigValue value;  // not the default
  bool allowed = false;
};

std::map<std::string, Change> changes() {
  constexpr bool kAllowed = true;
  return {{"model.path", {std::string("other")}},
          {"model.from_scratch", {true}},
          {"model.seed", {int64_t(2)}},
          {"data.train", {Words{"b.bin"}}},
          {"data.eval", {Words{"a.bin"}}},
          {"data.sequence_length", {int64_t(512)}},
          {"data.shuffle", {false}},
          {"data.seed", {int64_t(2)}},
          {"data.separate_documents", {true}},
          {"data.packing", {std::string("whole")}},
          {"data.weights", {std::vector<double>{3}}},
          {"data.format", {std::string("u16")}},
          {"data.document_end", {int64_t(5)}},
          {"batch.micro_batch", {int64_t(8)}},
          {"batch.gradient_accumulation", {int64_t(2)}},
          {"batch.sequences", {int64_t(4), kAllowed}},  // as many as before
          {"precision.recipe", {std::string("bf16")}},
          {"precision.gradient_dtype", {std::string("f32")}},
          {"precision.fast_accumulation", {true}},
          {"optimizer.learning_rate", {0.5}},
          {"optimizer.beta1", {0.5}},
          {"optimizer.beta2", {0.5}},
          {"optimizer.epsilon", {0.5}},
          {"optimizer.weight_decay", {0.5}},
          {"optimizer.grad_clip", {0.5}},
          {"optimizer.clip_by", {std::string("previous")}},
          {"optimizer.z_loss", {0.5}},
          {"optimizer.kind", {std::string("muon")}},
          {"optimizer.momentum", {0.5}},
          {"optimizer.nesterov", {false}},
          {"optimizer.muon_scale", {std::string("original")}},
          {"optimizer.projection_rank", {int64_t(8)}},
          {"optimizer.projection_every", {int64_t(8)}},
          {"optimizer.projection_scale", {0.5}},
          {"optimizer.scaling", {std::string("tensor")}},
          {"optimizer.m_dtype", {std::string("f32")}},
          {"optimizer.v_dtype", {std::string("f32")}},
          {"optimizer.master_dtype", {std::string("f32")}},
          {"schedule.steps", {int64_t(2000), kAllowed}},
          {"schedule.warmup_steps", {int64_t(1)}},
          {"schedule.kind", {std::string("linear")}},
          {"schedule.final_fraction", {0.5}},
          {"memory.device", {int64_t(1) << 30, kAllowed}},
          {"memory.host", {int64_t(1) << 30, kAllowed}},
          {"memory.recompute", {std::string("block"), kAllowed}},
          {"memory.offload", {Words{"m"}, kAllowed}},
          {"memory.lm_head_chunks", {int64_t(2)}},
          {"memory.attention_chunks", {int64_t(2), kAllowed}},
          {"memory.release_gradients", {std::string("once"), kAllowed}},
          {"lora.rank", {int64_t(8)}},
          {"lora.alpha", {0.5}},
          {"lora.target_modules", {Words{"q_proj"}}},
          {"lora.rslora", {true}},
          {"lora.first_layer", {int64_t(1)}},
          {"lora.adapter", {std::string("other")}},
          {"replay.directory", {std::string("other")}},
          {"replay.rounding", {true}},
          {"distributed.devices", {int64_t(2)}},
          {"distributed.ranks_per_device", {int64_t(2), kAllowed}},
          {"distributed.zero", {int64_t(2), kAllowed}},
          {"distributed.ranks_per_device", {int64_t(2), kAllowed}},
          {"distributed.collectives", {std::string("copy"), kAllowed}},
          {"checkpoint.every", {int64_t(7), kAllowed}},
          {"checkpoint.keep", {int64_t(9), kAllowed}},
          {"run.directory", {std::string("moved"), kAllowed}},
          {"run.backend", {std::string("vulkan:1"), kAllowed}},
          {"run.eval_every", {int64_t(3), kAllowed}},
          {"run.eval_windows", {int64_t(3), kAllowed}},
          {"run.max_skipped", {int64_t(3), kAllowed}}};
}

TEST_CASE("resume: each key may change or is refused by name") {
  const auto all = changes();
  const Manifest before = manifest_of(base());
  for (const ConfigKey& key : config_keys()) {
    if (key.name == "precision.activation_gradient_dtype" || key.name == "lora.dropout") continue;  // have one value
    CAPTURE(key.name);
    REQUIRE(all.contains(key.name));
    const Change& change = all.at(key.name);
    RunConfig config = base();
    REQUIRE(key.read(config, change.value) == "");
    REQUIRE(key.write(config) != key.write(base()));
    if (change.allowed) CHECK_NOTHROW(check_resume(before, config, before.inputs));
    else
      check_fails(Exit::configuration, {key.name, key.write(config), key.write(base())},
                  [&] { check_resume(before, config, before.inputs); });
  }
}

TEST_CASE("resume: ranks and batch may change where a step's sequences stay as many") {
  RunConfig four = base();
  four.batch.micro_batch = 2;
  four.batch.gradient_accumulation = 4;
  four.distributed.devices = 4;
  const Manifest before = manifest_of(four);
  const auto resumed = [&](uint32_t micro_batch, uint32_t accumulation, uint32_t devices) {
    RunConfig config = four;
    config.batch.micro_batch = micro_batch;
    config.batch.gradient_accumulation = accumulation;
    config.distributed.devices = devices;
    check_resume(before, config, before.inputs);
  };
  resumed(2, 8, 2);
  resumed(4, 4, 2);
  resumed(32, 1, 1);
  check_fails(Exit::configuration,
              {"distributed.devices", "was 4 and is 2", "batch.gradient_accumulation = 8", "batch.micro_batch = 4"},
              [&] { resumed(2, 4, 2); });
  check_fails(Exit::configuration, {"distributed.devices", "devices of 1, 2, 4, 8, 16, 32"}, [&] { resumed(2, 4, 3); });
}

TEST_CASE("resume: a number of sequences stays, however it was written") {
  RunConfig eight = base();
  eight.batch.gradient_accumulation = 2;
  RunConfig config = base();
  config.batch = {.micro_batch = {}, .gradient_accumulation = {}, .sequences = 8};
  const Manifest before = manifest_of(eight);
  check_resume(before, config, before.inputs);
  config.batch.sequences = 16;
  check_fails(Exit::configuration, {"batch.sequences", "was 8 and is 16", "use batch.sequences = 8"},
              [&] { check_resume(before, config, before.inputs); });
}

TEST_CASE("resume: not with fewer steps than are done, nor with inputs that changed") {
  const Manifest before = manifest_of(base());
  RunConfig config = base();
  config.schedule.steps = 10;
  check_resume(before, config, before.inputs);
  config.schedule.steps = 9;
  check_fails(Exit::configuration, {"schedule.steps", "10 steps are done"},
              [&] { check_resume(before, config, before.inputs); });
  check_fails(Exit::input, {"a.bin", "has changed"}, [&] { check_resume(before, base(), {{"a.bin", 5, "01"}}); });
  check_fails(Exit::input, {"a.bin", "has changed"}, [&] { check_resume(before, base(), {{"a.bin", 6, "00"}}); });
  check_fails(Exit::input, {"data.train", "restore them"},  // a pattern that matches another file
              [&] {
                check_resume(before, base(), {{"a.bin", 5, "00"}, {"b.bin", 5, "00"}});
              });
}

}  // namespace
}  // namespace tandem
