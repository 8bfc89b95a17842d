#include "core/run/engine.h"

#include <utility>

#include "core/base/json.h"
#include "core/base/message.h"
#include "core/plan/batch.h"
#include "core/plan/decide.h"
#include "core/plan/fit.h"
#include "core/program/dump.h"
#include "core/rates/calibrate_links.h"
#include "core/run/resume.h"
#include "core/run/saved_state.h"
#include "core/run/settings.h"
#include "core/runtime/ranks.h"
#include "core/step/parameters.h"

namespace tandem {
namespace {

// Exit::does_not_fit, with what would fit, where the plan does not.
void require_fits(const StepPlan& plan, const PlanRequest& r) {
  if (!plan.fits()) compile_step_or_suggest(r, policy_asked(r.limits), r.target);
}

constexpr const char* kOneBuild = "all ranks run one build and configuration, on devices of one kind";

// The device of a rank of this host: run.backend's and those after it; a software device serves all.
DeviceInfo device_of(const RunConfig& config, const Registry& registry, const World* world) {
  DeviceInfo device = registry.choose(config.run.backend);
  if (!world || device.kind == DeviceInfo::Kind::software) return device;
  std::vector<DeviceInfo> all = registry.devices().devices;
  std::erase_if(all, [&](const DeviceInfo& d) { return d.backend != device.backend || d.index < device.index; });
  const uint32_t each = config.distributed.ranks_per_device, wanted = (world->seat().local_ranks + each - 1) / each;
  if (all.size() < wanted)
    fail(Exit::device, "distributed.devices",
         "{} ranks on this host, {} per device, want {} devices from {}:{} on, there are {}", world->seat().local_ranks,
         each, wanted, device.backend, device.index, all.size());
  return all[world->seat().local_rank / each];
}

// A rank's part of a device that several of them share.
Target of_shared_device(Target target, const DeviceInfo& device, const RunConfig& config, const Seat& seat) {
  target.memory_bytes /=
      device.kind == DeviceInfo::Kind::software ? seat.local_ranks : config.distributed.ranks_per_device;
  return target;
}

// One Program fits all ranks.
Target common_target(Target target, World& world) {
  struct Limits {
    uint64_t memory, reserve, host, arena;
  } mine{target.memory_bytes, target.reserve_bytes, target.host_memory_bytes, target.largest_arena};
  for (const Limits& other : gather_values(world, mine, "memory")) {
    target.memory_bytes = std::min(target.memory_bytes, other.memory);
    target.reserve_bytes = std::max(target.reserve_bytes, other.reserve);
    target.host_memory_bytes = std::min(target.host_memory_bytes, other.host);
    target.largest_arena = std::min(target.largest_arena, other.arena);
  }
  return target;
}

std::string broadcast(World& world, std::string text, std::string_view label) {
  uint64_t size = text.size();
  world.broadcast(std::as_writable_bytes(std::span(&size, 1)), 0, label);
  text.resize(size);
  world.broadcast(std::as_writable_bytes(std::span(text)), 0, label);
  return text;
}

// Kernels decide bits: the root's choices are everyone's.
std::unique_ptr<Session> load(const Engine& engine, Program program) {
  World* world = engine.world;
  KernelTable* kernels = engine.backend->kernels();
  if (!world) return std::make_unique<Session>(*engine.backend, std::move(program));
  require_same(*world, dump(program), "the instructions", kOneBuild);
  const uint32_t rank = world->seat().rank;
  program = for_rank(std::move(program), rank);
  if (kernels && rank > 0)
    kernels->use(
        {.given = parse_json(broadcast(*world, {}, "kernels"), "rank 0").get<KernelChoices>(), .timed = false});
  auto session = std::make_unique<Session>(*engine.backend, std::move(program));
  if (kernels && rank == 0) broadcast(*world, Json(kernels->chosen()).dump(), "kernels");
  return session;
}

// As they are here, where the device's table tells some: whether GPUs reach each other's memory, it does not.
std::optional<Links> links_between(const Engine& engine) {
  if (!engine.world || with_measured_rates(engine.backend->target()).rates.links.all_gather <= 0) return {};
  const Links links = links_of(*engine.backend, *engine.world);
  engine.backend->read_budget();
  return links;
}

// Ranks run one build and configuration on devices of one kind, and exchange as it says.
void join_ranks(const Engine& engine, const RunConfig& config) {
  World& world = *engine.world;
  require_same(world, config_text(config), "the keys", kOneBuild);
  require_same(world, engine.device.name, "the devices", kOneBuild);
  const std::string& collectives = config.distributed.collectives;
  engine.backend->join(world, collectives);
  if (collectives != "auto" && engine.backend->transport() != collectives)
    fail(Exit::configuration, "distributed.collectives", "is {}, and ranks on {} exchange through the {}; use auto",
         collectives, engine.device.backend, engine.backend->transport());
}

// What a step is planned for: the device as far as the rank may use it, alike for all ranks.
Target target_of_rank(const Engine& engine, const RunConfig& config) {
  World* world = engine.world;
  const std::optional<Links> links = links_between(engine);
  Target target = engine.backend->target();
  if (world) target = of_shared_device(std::move(target), engine.device, config, world->seat());
  target = with_measured_rates(within_budget(std::move(target), config.memory));
  if (links) target.rates.links = *links;
  if (world) target = common_target(std::move(target), *world);
  return target;
}

}  // namespace

Engine open_engine(const RunConfig& config, const Registry& registry, const RunInputs& inputs, World* world,
                   StartTimes& times) {
  Engine engine;
  engine.world = world;
  engine.spec = inputs.spec;
  StepShape& shape = engine.spec.shape;
  engine.device = device_of(config, registry, world);
  check_recipe(engine.device, name_of(engine.spec.precision.recipe));
  engine.backend = registry.open(engine.device);
  if (world) join_ranks(engine, config);
  times.took("device");
  if (inputs.start.checkpoint) warn_of_device(inputs.start.checkpoint->manifest(), engine.device);
  if (KernelTable* kernels = engine.backend->kernels()) kernels->use(inputs.kernels);
  else if (!inputs.kernels.timed)
    warn(fmt::format("--choices changes nothing: {} has no kernels to choose", engine.device.backend));
  const Target target = target_of_rank(engine, config);
  PlanRequest request = plan_request(config, engine.spec, target, world ? world->seat().local_ranks : 1);
  request.sequences = inputs.sequences;
  if (inputs.head_chunks) request.limits.lm_head_chunks = inputs.head_chunks;
  StepPlan plan = decide_with_batch(request);
  shape = request.shape;
  require_fits(plan, request);
  if (inputs.start.checkpoint && (!world || world->seat().rank == 0))
    warn_of_batch(inputs.start.checkpoint->manifest(), shape);
  shape.head_chunks = plan.chosen.policy.lm_head_chunks;
  if (has_rates(target)) {
    engine.plan.rates = request.target.rates;
    engine.plan.prediction = predict_step(plan, engine.plan.rates);
  }
  engine.plan.details = details_of(plan, request, has_rates(target), world ? world->seat().local_ranks : 1);
  engine.plan.policy = std::move(plan.chosen.policy);
  engine.plan.memory = std::move(plan.compiled->memory);
  engine.plan.program = std::move(plan.compiled->program);
  times.took("plan");
  return engine;
}

void load_step(Engine& engine, const RunInputs& inputs, StartTimes& times) {
  const StepShape& shape = engine.spec.shape;
  engine.session = load(engine, std::exchange(engine.plan.program, {}));
  times.took("memory and kernels");
  engine.kernels = record_kernels(*engine.backend, inputs.start.checkpoint ? "checkpoint" : "file");
  engine.runner =
      std::make_unique<StepRunner>(*engine.session, shape, rope_table(engine.spec.model, shape.sequence_length));
  times.took("states");
}

void fill(Engine& engine, const RunConfig::Model& model, const RunInputs& inputs) {
  if (inputs.start.weights) load_parameters(*engine.session, inputs.model, *inputs.start.weights);
  else initialise_parameters(*engine.session, inputs.model, model.seed);
  if (!engine.spec.lora.on()) return;
  const std::vector<ParameterSpec> specs = trainable_specs(engine.spec);
  if (inputs.start.adapter) load_adapter(*engine.session, *inputs.start.adapter, specs);
  else initialise_adapter(*engine.session, specs, model.seed, false);
}

void restore(Engine& engine, const RunConfig::Model& model, const RunInputs& inputs) {
  if (engine.spec.lora.on()) fill(engine, model, inputs);
  const auto optimizer = make_optimizer(engine.spec.optimizer, engine.spec.precision);
  restore_state(*engine.session, *optimizer, trainable_specs(engine.spec), *inputs.start.checkpoint);
}

WorldRecord world_record(const Engine& engine) {
  if (!engine.world) return {};
  const Seat& seat = engine.world->seat();
  return {seat.ranks, seat.hosts, engine.spec.sharding.zero, std::string(engine.backend->transport())};
}

uint64_t device_memory(const Engine& engine) {
  const Target& target = engine.backend->target();
  return engine.session->device_bytes() + target.staging_bytes + target.reserve_bytes;
}

}  // namespace tandem
