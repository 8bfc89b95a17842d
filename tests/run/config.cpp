#include "core/run/config.h"

#include <doctest/doctest.h>

#include "core/base/error.h"
#include "core/run/settings.h"
#include "tests/data/scratch.h"

namespace tandem {
namespace {

using Flags = std::vector<std::string>;

const char* const kSmallest = "[model]\npath = \"m\"\n[data]\ntrain = [\"a.bin\"]\n[run]\ndirectory = \"runs/x\"\n";

RunConfig with(const Flags& flags) {
  return parse_config(kSmallest, "c.toml", flags);
}

// the message, or "" where nothing was wrong; the code must be Exit::configuration
std::string refusal(const std::string& text, const Flags& flags = {}) {
  try {
    parse_config(text, "c.toml", flags);
  } catch (const Error& e) {
    CHECK(e.exit() == Exit::configuration);
    return e.what();
  }
  return "";
}

std::string flag_refusal(const Flags& flags) {
  return refusal(kSmallest, flags);
}

void check_says(const std::string& message, const std::string& part) {
  INFO("message: ", message, " should contain: ", part);
  CHECK(message.find(part) != std::string::npos);
}

TEST_CASE("config: the defaults are those of the formats") {
  const RunConfig c = with({});
  CHECK(config_text(c) == R"([model]
path = "m"
from_scratch = false
seed = 1

[data]
train = ["a.bin"]
eval = []
sequence_length = 1024
shuffle = true
seed = 1
separate_documents = false
packing = "stream"
weights = []
format = "auto"
document_end = "auto"

[batch]
micro_batch = 4
gradient_accumulation = 1
sequences = 0

[precision]
recipe = "fp8"
gradient_dtype = "bf16"
activation_gradient_dtype = "e4m3"
fast_accumulation = false

[optimizer]
kind = "adamw"
learning_rate = 0.0001
beta1 = 0.9
beta2 = 0.95
epsilon = 1e-08
weight_decay = 0.1
grad_clip = 1.0
clip_by = "step"
z_loss = 0.0
momentum = 0.95
nesterov = true
muon_scale = "match_rms_adamw"
projection_rank = 256
projection_every = 200
projection_scale = 1.0
scaling = "channel"
m_dtype = "bf16"
v_dtype = "bf16"
master_dtype = "none"

[schedule]
steps = 1000
warmup_steps = 50
kind = "cosine"
final_fraction = 0.1

[memory]
device = "auto"
host = "auto"
recompute = "auto"
offload = "auto"
lm_head_chunks = "auto"
attention_chunks = "auto"
release_gradients = "auto"

[lora]
rank = 0
alpha = 32.0
target_modules = "all-linear"
rslora = false
first_layer = 0
dropout = 0.0
adapter = ""

[replay]
directory = ""
rounding = false

[distributed]
devices = 1
zero = 1
collectives = "auto"
ranks_per_device = 1

[checkpoint]
every = 100
keep = 3

[run]
directory = "runs/x"
backend = "auto"
eval_every = 100
eval_windows = 0
max_skipped = 8
)");
}

TEST_CASE("config: what config_text writes reads back the same") {
  const RunConfig c = with({"--model.path=a \"b\\\" \n\x01 é", "--data.eval=[\"x\", \"y\"]", "--data.document_end=7",
                            "--optimizer.learning_rate=4e-3", "--optimizer.grad_clip=3", "--memory.lm_head_chunks=3",
                            "--precision.recipe=bf16", "--optimizer.master_dtype=f32"});
  const std::string text = config_text(c);
  CHECK(config_text(parse_config(text, "again.toml", {})) == text);
  CHECK(c.model.path == "a \"b\\\" \n\x01 é");
  CHECK(c.data.eval == Flags{"x", "y"});
  CHECK(c.data.document_end == 7u);
  CHECK(c.memory.lm_head_chunks == 3u);
  CHECK(c.optimizer.grad_clip == 3.0);
  CHECK(c.optimizer.master_dtype == DType::f32);
}

TEST_CASE("config: weights are numbers, one per entry of data.train, none too small to come") {
  const RunConfig c =
      with({"--data.train=[\"a\", \"b\"]", "--data.weights=[3, 0.5]", "--data.packing=whole", "--data.format=u32"});
  CHECK(c.data.weights == std::vector<double>{3, 0.5});
  CHECK(c.data.packing == Packing::whole);
  CHECK(c.data.format == RawFormat::u32);
  const std::string text = config_text(c);
  CHECK(text.find("weights = [3.0, 0.5]") != std::string::npos);
  CHECK(config_text(parse_config(text, "again.toml", {})) == text);
  check_says(flag_refusal({"--data.weights=[1, 2]"}),
             "data.weights has 2 numbers, expected one per entry of data.train, 1");
  check_says(flag_refusal({"--data.train=[\"a\", \"b\"]", "--data.weights=[1, 1e5]"}),
             "data.weights gives a less than one of 4096 sequences");
}

TEST_CASE("config: characters outside ASCII in strings and comments") {
  const std::string text =
      "# \u03a3 \"\n[model]\npath = 'caf\u00e9' # \u00e9\n[data]\ntrain = "
      "[\"\"\"\n\u00e9\\\"\"\"\"\"]\n[run]\ndirectory = \"\\\"\u00e9\"\n";
  const RunConfig c = parse_config(text, "c.toml", Flags{"--run.backend=\u00e9"});
  CHECK(c.model.path == "caf\u00e9");
  CHECK(c.data.train == Flags{"\u00e9\"\""});
  CHECK(c.run.directory == "\"\u00e9");
  CHECK(c.run.backend == "\u00e9");
}

TEST_CASE("config: overrides win, the last one most; words may be bare") {
  const RunConfig c = with({"--schedule.steps=5", "--schedule.steps=6", "--run.directory=2024",
                            "--run.backend=vulkan:1", "--data.train=b.bin", "--data.shuffle=false"});
  CHECK(c.schedule.steps == 6);
  CHECK(c.run.directory == "2024");
  CHECK(c.run.backend == "vulkan:1");
  CHECK(c.data.train == Flags{"b.bin"});
  CHECK(!c.data.shuffle);
  CHECK(parse_config("", "c.toml", Flags{"--model.path=m", "--data.train=a.bin", "--run.directory=r"}).model.path ==
        "m");
}

TEST_CASE("config: an unknown key is named with its line and the nearest known one") {
  const std::string text = std::string(kSmallest) + "[optimizer]\nlearning_rat = 1e-3\n";
  check_says(refusal(text),
             "[c.toml:8] unknown key optimizer.learning_rat; the nearest known one is optimizer.learning_rate");
  check_says(flag_refusal({"--optimiser.beta1=0.5"}), "[--optimiser.beta1] unknown key");
  check_says(flag_refusal({"--optimiser.beta1=0.5"}), "nearest known one is optimizer.beta1");
  check_says(flag_refusal({"--step=5"}), "schedule.steps");
  check_says(flag_refusal({"--schedule.warmup=5"}), "nearest known one is schedule.warmup_steps");
  check_says(flag_refusal({"--warmup=5"}), "nearest known one is schedule.warmup_steps");
  check_says(refusal("stepz = 5\n"), "[c.toml:1] unknown key stepz; the nearest known one is schedule.steps");
  check_says(refusal("[optimiser]\n"), "unknown key optimiser");
  check_says(refusal("[model.path]\nx = 1\n"), "model.path is something else, expected a string");
  check_says(refusal("model = 1\n"), "model is a section");
}

TEST_CASE("config: malformed and missing files") {
  check_says(refusal("[model]\npath = \n"), "[c.toml:2] is not TOML");
  check_says(refusal("[\n[data]\n"), "[c.toml:1] is not TOML");
  check_says(refusal("# caf\u00e9\n[model]\npath = caf\u00e9\n"), "[c.toml:3] is not TOML: a character outside ASCII");
  check_says(refusal("[model]\npath = \"a\"\npath = \"b\"\n"), "[c.toml:3]");
  check_says(refusal("[data]\ntrain = [\"a\"]\n[run]\ndirectory = \"r\"\n"), "[c.toml] model.path is missing");
  for (const char* path : {"/nonexistent/c.toml", "/"}) {
    try {
      load_config(path, {});
      FAIL("read ", path);
    } catch (const Error& e) {
      CHECK(e.exit() == Exit::configuration);
      check_says(e.what(), path);
    }
  }
  check_says(flag_refusal({"schedule.steps=5"}), "expected --section.key=value");
  check_says(flag_refusal({"--schedule.steps"}), "expected --section.key=value");
}

TEST_CASE("config: wrong types and values out of range") {
  for (const char* flag : {"--schedule.steps=1.5",
                           "--schedule.steps=0",
                           "--schedule.steps=-1",
                           "--schedule.steps=ten",
                           "--data.shuffle=1",
                           "--batch.micro_batch=0",
                           "--batch.micro_batch=4294967300",
                           "--optimizer.beta1=1",
                           "--optimizer.beta2=-0.1",
                           "--optimizer.z_loss=-1e-4",
                           "--optimizer.learning_rate=nan",
                           "--optimizer.learning_rate=inf",
                           "--optimizer.epsilon=0",
                           "--schedule.final_fraction=1.1",
                           "--schedule.kind=sine",
                           "--precision.recipe=fp16",
                           "--optimizer.m_dtype=e5m3",
                           "--optimizer.v_dtype=e4m3",
                           "--model.seed=-1",
                           "--data.train=[]",
                           "--data.train=[1]",
                           "--model.path=",
                           "--memory.lm_head_chunks=0",
                           "--memory.device=16XB",
                           "--memory.device=1.5",
                           "--run.directory=run\xff",
                           "--run.directory=\"\"",
                           "--run.directory=\"a\\u0000b\"",
                           "--data.train=[\"a\\u0000b\"]",
                           "--data.document_end=-5",
                           "--data.packing=most",
                           "--data.format=u8",
                           "--data.weights=3",
                           "--data.weights=[0]",
                           "--data.weights=[-1]",
                           "--data.weights=[nan]",
                           "--data.weights=[1, 2]",
                           "--data.weights=[\"1\"]",
                           "--distributed.zero=4",
                           "--memory.recompute=[\"nrom\"]",
                           "--data.eval=1979-05-27"}) {
    INFO("flag ", std::string(flag));
    const bool is_text = std::string(flag) == "--data.eval=1979-05-27";  // a date, taken as a file's name
    CHECK(flag_refusal({flag}).empty() == is_text);
  }
  check_says(refusal(std::string(kSmallest) + "[schedule]\nsteps = \"5\"\n"),
             "[c.toml:8] schedule.steps is \"5\", expected an integer");
  check_says(flag_refusal({"--precision.activation_gradient_dtype=e5m2"}), "e5m2 is reserved");
}

TEST_CASE("config: what a kind of optimizer does not read or go with is refused, and so are unknown kinds") {
  const RunConfig c = with({"--optimizer.kind=muon", "--optimizer.momentum=0.9", "--optimizer.muon_scale=original"});
  CHECK(c.optimizer.kind == OptimizerKind::muon);
  CHECK(c.optimizer.muon_scale == MuonScale::original);
  CHECK(config_text(parse_config(config_text(c), "again.toml", {})) == config_text(c));
  check_says(flag_refusal({"--optimizer.momentum=0.9"}), "optimizer.momentum is 0.9, which optimizer.kind = \"adamw\"");
  check_says(flag_refusal({"--optimizer.nesterov=false"}), "optimizer.nesterov is false, which optimizer.kind");
  check_says(flag_refusal({"--optimizer.muon_scale=original"}), "optimizer.muon_scale is \"original\", which");
  check_says(flag_refusal({"--optimizer.kind=lion"}), "expected one of adamw, muon, apollo, galore, sgd, adalomo");
  CHECK(with({"--optimizer.kind=sgd", "--precision.recipe=fp32"}).optimizer.kind == OptimizerKind::sgd);
  check_says(flag_refusal({"--optimizer.kind=sgd", "--optimizer.beta1=0.5"}),
             "optimizer.beta1 is 0.5, which optimizer.kind = \"sgd\" does not read");
  check_says(flag_refusal({"--optimizer.kind=sgd", "--optimizer.m_dtype=f32"}), "set optimizer.kind to \"adamw\"");
  check_says(flag_refusal({"--optimizer.kind=sgd", "--optimizer.momentum=0.9"}), "set optimizer.kind to \"muon\"");
  check_says(flag_refusal({"--optimizer.kind=muon", "--optimizer.momentum=1"}), "a number from 0 to below 1");
  check_says(flag_refusal({"--optimizer.kind=muon", "--lora.rank=4"}),
             "optimizer.kind is \"muon\", and adapters train");
  check_says(flag_refusal({"--optimizer.kind=muon", "--distributed.devices=2"}), "distributed.devices is 2");
  CHECK(flag_refusal({"--optimizer.kind=muon", "--optimizer.m_dtype=e4m3", "--optimizer.v_dtype=e5m3"}).empty());
}

TEST_CASE(
    "config: keys of a projection are read by apollo and galore alone, which go with neither ranks nor adapters") {
  const RunConfig c =
      with({"--optimizer.kind=apollo", "--optimizer.projection_rank=1", "--optimizer.projection_every=3",
            "--optimizer.projection_scale=128", "--optimizer.scaling=tensor"});
  CHECK(c.optimizer.kind == OptimizerKind::apollo);
  CHECK(c.optimizer.projection_rank == 1);
  CHECK(c.optimizer.projection_every == 3);
  CHECK(c.optimizer.projection_scale == 128);
  CHECK(c.optimizer.scaling == ApolloScaling::tensor);
  CHECK(config_text(parse_config(config_text(c), "again.toml", {})) == config_text(c));
  CHECK(with({"--optimizer.kind=galore", "--optimizer.projection_rank=8"}).optimizer.kind == OptimizerKind::galore);
  for (const char* flag : {"--optimizer.projection_rank=8", "--optimizer.projection_every=8",
                           "--optimizer.projection_scale=0.25", "--optimizer.scaling=tensor"})
    for (const char* kind : {"adamw", "muon"})
      check_says(flag_refusal({fmt::format("--optimizer.kind={}", kind), flag}),
                 fmt::format("which optimizer.kind = \"{}\" does not read", kind));
  check_says(flag_refusal({"--optimizer.kind=galore", "--optimizer.scaling=tensor"}),
             "optimizer.scaling is \"tensor\", which optimizer.kind = \"galore\" does not read; leave it out, or set "
             "optimizer.kind to \"apollo\"");
  check_says(flag_refusal({"--optimizer.kind=apollo", "--optimizer.momentum=0.9"}), "set optimizer.kind to \"muon\"");
  check_says(flag_refusal({"--optimizer.kind=apollo", "--optimizer.projection_rank=0"}), "an integer from 1 to 65536");
  check_says(flag_refusal({"--optimizer.kind=apollo", "--optimizer.projection_every=0"}), "an integer from 1 to");
  check_says(flag_refusal({"--optimizer.kind=apollo", "--optimizer.projection_scale=0"}), "a number from");
  check_says(flag_refusal({"--optimizer.kind=apollo", "--optimizer.scaling=row"}), "one of channel, tensor");
  check_says(flag_refusal({"--optimizer.kind=apollo", "--lora.rank=4"}), "and adapters train");
  check_says(flag_refusal({"--optimizer.kind=galore", "--distributed.devices=2"}), "distributed.devices is 2");
  check_says(flag_refusal({"--optimizer.kind=apollo", "--optimizer.m_dtype=e4m3", "--optimizer.v_dtype=e5m3"}),
             "optimizer.m_dtype is \"e4m3\" and optimizer.kind is \"apollo\"");
}

TEST_CASE("config: adalomo reads the keys that sgd does, is clipped and released in each way, on one device") {
  const RunConfig c = with({"--optimizer.kind=adalomo", "--optimizer.clip_by=previous",
                            "--memory.release_gradients=once", "--optimizer.master_dtype=f32"});
  CHECK(c.optimizer.kind == OptimizerKind::adalomo);
  CHECK(config_text(parse_config(config_text(c), "again.toml", {})) == config_text(c));
  CHECK(flag_refusal({"--optimizer.kind=adalomo", "--optimizer.clip_by=tensor"}).empty());
  CHECK(flag_refusal({"--optimizer.kind=adalomo", "--memory.release_gradients=twice"}).empty());
  CHECK(flag_refusal({"--optimizer.kind=adalomo", "--precision.recipe=fp32"}).empty());
  for (const char* flag :
       {"--optimizer.beta1=0.5", "--optimizer.beta2=0.5", "--optimizer.epsilon=0.5", "--optimizer.m_dtype=f32",
        "--optimizer.v_dtype=f32", "--optimizer.momentum=0.9", "--optimizer.projection_rank=8"})
    check_says(flag_refusal({"--optimizer.kind=adalomo", flag}), "which optimizer.kind = \"adalomo\" does not read");
  check_says(flag_refusal({"--optimizer.kind=adalomo", "--lora.rank=4"}),
             "optimizer.kind is \"adalomo\", and adapters train (lora.rank, lora.adapter)");
  check_says(flag_refusal({"--optimizer.kind=adalomo", "--distributed.devices=2"}),
             "optimizer.kind is \"adalomo\" and distributed.devices is 2");
  check_says(flag_refusal({"--optimizer.kind=adalomo", "--memory.release_gradients=once"}),
             "memory.release_gradients is \"once\", and optimizer.clip_by is \"step\"");
}

TEST_CASE("config: what gradients clipped by tensor, and released, do not go with is refused, naming both keys") {
  const std::string tensor = "--optimizer.clip_by=tensor", once = "--memory.release_gradients=once",
                    twice = "--memory.release_gradients=twice";
  const RunConfig c = with({"--optimizer.clip_by=previous", once});
  CHECK(c.optimizer.clip_by == ClipBy::previous);
  CHECK(c.memory.release_gradients == Release::once);
  CHECK(config_text(parse_config(config_text(c), "again.toml", {})) == config_text(c));
  CHECK(!with({"--memory.release_gradients=auto"}).memory.release_gradients);
  CHECK(with({"--memory.release_gradients=none", "--batch.gradient_accumulation=2"}).memory.release_gradients ==
        Release::none);
  check_says(flag_refusal({"--optimizer.clip_by=layer"}), "expected one of step, tensor, previous");
  check_says(flag_refusal({"--memory.release_gradients=thrice"}), "expected one of auto, none, once, twice");
  check_says(flag_refusal({tensor, "--optimizer.kind=muon"}),
             "optimizer.clip_by is \"tensor\", and optimizer.kind is \"muon\"");
  check_says(flag_refusal({tensor, "--distributed.devices=2"}),
             "optimizer.clip_by is \"tensor\", and distributed.devices is 2");
  check_says(flag_refusal({once}),
             "memory.release_gradients is \"once\", and optimizer.clip_by is \"step\", which needs all gradients");
  check_says(flag_refusal({twice, tensor}),
             "memory.release_gradients is \"twice\", and optimizer.clip_by is \"tensor\"");
  for (const auto& further : std::vector<std::vector<std::string>>{{once, tensor}, {twice}}) {
    auto flags = further;
    flags.push_back("--batch.gradient_accumulation=2");
    check_says(flag_refusal(flags), "and batch.gradient_accumulation is 2: a gradient that is used where it is made");
    flags.back() = "--batch.sequences=8";
    check_says(flag_refusal(flags), "and batch.gradient_accumulation is \"auto\"");
    flags.back() = "--lora.rank=4";
    check_says(flag_refusal(flags), "and lora.rank is 4");
  }
  check_says(flag_refusal({twice, "--distributed.devices=2"}), "and distributed.devices is 2");
  check_says(flag_refusal({twice, "--optimizer.kind=muon"}), "and optimizer.kind is \"muon\"");
}

TEST_CASE("config: fp32 makes gradients and moments f32 and refuses an explicit bf16") {
  const RunConfig c = with({"--precision.recipe=fp32"});
  CHECK(c.precision.gradient_dtype == DType::f32);
  CHECK(c.optimizer.m_dtype == DType::f32);
  CHECK(c.optimizer.v_dtype == DType::f32);
  CHECK(config_text(parse_config(config_text(c), "again.toml", {})) == config_text(c));
  for (const char* key : {"--precision.gradient_dtype", "--optimizer.m_dtype", "--optimizer.v_dtype"}) {
    check_says(flag_refusal({"--precision.recipe=fp32", fmt::format("{}=bf16", key)}), key);
    CHECK(flag_refusal({"--precision.recipe=fp32", fmt::format("{}=f32", key)}).empty());
  }
}

TEST_CASE("config: 8-bit moments come together, and not under fp32") {
  const std::string m = "--optimizer.m_dtype=e4m3", v = "--optimizer.v_dtype=e5m3";
  const RunConfig c = with({m, v});
  CHECK(c.optimizer.m_dtype == DType::e4m3);
  CHECK(c.optimizer.v_dtype == DType::e5m3);
  CHECK(config_text(parse_config(config_text(c), "again.toml", {})) == config_text(c));
  check_says(flag_refusal({m}), "optimizer.v_dtype is bf16, expected both in 8 bits or neither");
  check_says(flag_refusal({v, "--optimizer.m_dtype=f32"}), "optimizer.m_dtype is f32, expected both in 8 bits");
  check_says(flag_refusal({m, v, "--precision.recipe=fp32"}), "expected f32 under the recipe fp32");
}

ModelConfig small_model() {
  ModelConfig model;
  model.hidden = model.ffn = 64, model.layers = 1, model.vocabulary = 100;
  model.q_heads = 2, model.kv_heads = 1, model.head_dim = 32;
  return model;
}

TEST_CASE("config: sequences leave micro_batch and gradient_accumulation to the planner, or must agree with them") {
  const auto batch = [](const Flags& flags) { return with(flags).batch; };
  CHECK(batch({}).micro_batch == 4u);
  CHECK(batch({}).gradient_accumulation == 1u);
  CHECK_FALSE(batch({"--batch.sequences=12"}).micro_batch);
  CHECK_FALSE(batch({"--batch.sequences=12"}).gradient_accumulation);
  CHECK(batch({"--batch.sequences=12", "--batch.micro_batch=6"}).micro_batch == 6u);
  CHECK(free_sequences(with({"--batch.sequences=12", "--distributed.devices=3"})) == 4);
  CHECK(free_sequences(with({"--batch.sequences=12", "--batch.micro_batch=6"})) == 0);
  CHECK(sequences_per_step(with({"--batch.micro_batch=6", "--distributed.devices=2"})) == 12);
  const RunConfig again = parse_config(config_text(with({"--batch.sequences=12"})), "again", {});
  CHECK_FALSE(again.batch.micro_batch);
  CHECK(again.batch.sequences == 12);

  const auto refused = [](const Flags& flags, const char* message) {
    CHECK_THROWS_WITH_AS(with(flags), doctest::Contains(message), Error);
  };
  refused({"--batch.micro_batch=auto"}, "batch.micro_batch is \"auto\", expected a number, or batch.sequences");
  refused({"--batch.gradient_accumulation=auto"}, "batch.gradient_accumulation is \"auto\"");
  refused({"--batch.sequences=13", "--batch.micro_batch=6"},
          "is 13, expected a multiple of 6, for batch.micro_batch = 6; use 12");
  refused({"--batch.sequences=13", "--distributed.devices=4"},
          "expected a multiple of 4, for distributed.devices = 4; use 12");
  refused({"--batch.sequences=1", "--distributed.devices=4"}, "use 4");
  refused({"--batch.sequences=12", "--batch.micro_batch=6", "--batch.gradient_accumulation=1"},
          "is 12, expected 6, the product of batch.micro_batch = 6, batch.gradient_accumulation = 1");
}

TEST_CASE("config: fp8 wants micro_batch * sequence_length divisible by 16") {
  const ModelConfig model = small_model();
  const Flags odd = {"--batch.micro_batch=3", "--data.sequence_length=24"};
  check_says(thrown(Exit::configuration, [&] { step_spec(with(odd), model); }),
             "[batch.micro_batch * data.sequence_length] is 72, expected a multiple of 16");
  CHECK(step_spec(with({odd[0], odd[1], "--precision.recipe=bf16"}), model).shape.rows() == 72);
  CHECK(step_spec(with({"--batch.micro_batch=2", odd[1]}), model).shape.rows() == 48);
}

TEST_CASE("config: memory's words become limits; a word that names nothing is refused") {
  const auto limits = [](const Flags& flags) {
    const RunConfig c = with(flags);
    return limits_of(c.memory, step_spec(c, small_model()));
  };
  CHECK(!limits({}).recompute);
  CHECK(!limits({}).offload);
  CHECK(limits({"--memory.recompute=none"}).recompute == EnumSet<Recompute>{});
  CHECK(limits({"--memory.recompute=[]"}).recompute == EnumSet<Recompute>{});
  CHECK(limits({"--memory.recompute=block"}).recompute == EnumSet<Recompute>{Recompute::block});
  CHECK(limits({"--memory.recompute=[\"swiglu\", \"norm\"]"}).recompute ==
        EnumSet<Recompute>{Recompute::norm, Recompute::swiglu});
  CHECK(limits({"--memory.offload=none"}).offload == EnumSet<Offload>{});
  CHECK(limits({"--memory.offload=[\"v\", \"residuals\"]"}).offload ==
        EnumSet<Offload>{offload_of_state(1), Offload::residuals});
  for (const char* words : {"n", "[\"m\", \"auto\"]", "[\"none\", \"m\"]"}) {
    INFO("memory.offload ", std::string(words));
    check_says(thrown(Exit::configuration, [&] { limits({fmt::format("--memory.offload={}", words)}); }),
               "[memory.offload] '");
  }
}

TEST_CASE("config: fast accumulation is of the recipe fp8") {
  CHECK(with({"--precision.fast_accumulation=true"}).precision.fast_accumulation);
  check_says(flag_refusal({"--precision.fast_accumulation=true", "--precision.recipe=bf16"}), "fast_accumulation");
}

TEST_CASE("config: each way of exchanging is taken, and keys at their defaults are") {
  CHECK(flag_refusal({"--distributed.devices=2", "--distributed.collectives=copy"}).empty());
  CHECK(flag_refusal({"--distributed.devices=2", "--distributed.zero=3", "--distributed.collectives=nccl"}).empty());
  CHECK(flag_refusal({"--distributed.devices=1", "--memory.device=auto", "--checkpoint.every=7", "--checkpoint.keep=1"})
            .empty());
}

TEST_CASE("config: as many attention chunks as can be planned quickly") {
  CHECK(with({"--memory.attention_chunks=256"}).memory.attention_chunks == 256u);
  check_says(flag_refusal({"--memory.attention_chunks=257"}), "from 1 to 256");
}

TEST_CASE("config: memory.device lowers what the device has, memory.host replaces what the machine reports") {
  Target target;
  target.memory_bytes = target.host_memory_bytes = uint64_t(8) << 30;
  const auto within = [&](const char* device, const char* host) {
    return within_budget(target,
                         with({std::string("--memory.device=") + device, std::string("--memory.host=") + host}).memory);
  };
  CHECK(within("4GiB", "auto").memory_bytes == uint64_t(4) << 30);
  CHECK(within("16GiB", "auto").memory_bytes == target.memory_bytes);
  CHECK(within("auto", "auto").host_memory_bytes == target.host_memory_bytes);
  CHECK(within("auto", "4GiB").host_memory_bytes == uint64_t(4) << 30);
  CHECK(within("auto", "100GiB").host_memory_bytes == uint64_t(100) << 30);
}

}  // namespace
}  // namespace tandem
