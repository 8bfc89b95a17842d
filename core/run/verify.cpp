#include "core/run/verify.h"

#include <charconv>

#include "core/plan/batch.h"
#include "core/plan/decide.h"
#include "core/run/run_data.h"
#include "core/run/schedule.h"
#include "core/step/parameters.h"
#include "core/step/step_runner.h"

namespace tandem {
namespace {

// A run on one of the two backends.
struct Side {
  Side(Backend& backend, const Program& program, const ModelSource& model, const StepSpec& spec,
       const RunConfig& config)
      : session(backend, program), runner(session, spec.shape, rope_table(model.config, spec.shape.sequence_length)) {
    if (config.model.from_scratch) initialise_parameters(session, model, config.model.seed);
    else load_parameters(session, model, open_weights(model));
    if (spec.lora.on())  // B too, or the gradient of A would be zero
      initialise_adapter(session, trainable_specs(spec), config.model.seed, true);
  }
  Session session;
  StepRunner runner;
};

}  // namespace

Verifier verify_run(const RunConfig& config, Backend& reference, Backend& candidate, uint64_t steps,
                    const VerifyOptions& options) {
  if (config.distributed.devices > 1)
    fail(Exit::configuration, "distributed.devices",
         "is {}, and verify compares the step of one rank; use --distributed.devices=1", config.distributed.devices);
  const ModelSource model = open_model(config.model.path);
  const Lora lora = lora_of(config.lora, configured_adapter(config.lora, model.config));
  const Target target = within_budget(meet(reference.target(), candidate.target()), config.memory);
  const StepSpec asked = step_spec(config, model.config, lora);
  replayed(asked, config.replay);  // A refusal names the key that is set.
  // A replay's whole step, in place of stored streams: that runs all of its ops.
  const StepSpec step = replayed(asked, {.directory = "", .rounding = config.replay.on() || config.replay.rounding});
  PlanRequest request = plan_request(config, step, target);
  request.sequences = free_sequences(config);
  const StepSpec spec = with_batch(std::move(request));
  const StepShape& shape = spec.shape;
  const RunData data = open_data(config, model, shape);
  const MemoryPolicy policy = policy_asked(limits_of(config.memory, spec));
  const Compiled compiled = compile_step(spec, policy, target);
  require_fits(compiled.memory);
  const Program& program = compiled.program;
  Side a(reference, program, model, spec, config), b(candidate, program, model, spec, config);
  Verifier verifier(a.session, b.session, options);
  const auto fill = [&](const StepBatch& batch, const abi::StepScalars& scalars) {
    a.runner.fill(batch, scalars);
    b.runner.fill(batch, scalars);
  };
  for (uint64_t s = 0; s < steps; ++s) {
    const StepBatch batch = data.train->step(s);
    fill(batch, StepRunner::scalars_of(batch, s, learning_rate(config, s), config.model.seed));
    for (const Turns& turns : program.schedule)
      for (uint32_t k = 0; k < turns.times; ++k) verifier.run(turns.turn);
  }
  fill(data.train->step(steps), {});
  verifier.run(Range::begin);
  verifier.run(Range::evaluate);
  return verifier;
}

InstructionId parse_instruction(const std::string& text) {
  const size_t colon = text.find(':');
  for (size_t r = 0; r < kRangeCount && colon != std::string::npos; ++r) {
    if (text.substr(0, colon) != name_of(Range(r))) continue;
    InstructionId id{Range(r), 0};
    const char* last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data() + colon + 1, last, id.index);
    if (error == std::errc() && end == last) return id;
  }
  fail(Exit::configuration, "--only", "'{}' is not RANGE:INDEX; RANGE is begin, micro_step, update or evaluate", text);
}

std::string name_of(const InstructionId& id) {
  return fmt::format("{}:{}", name_of(id.range), id.index);
}

}  // namespace tandem
