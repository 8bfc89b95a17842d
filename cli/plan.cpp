#include <fmt/ranges.h>

#include <algorithm>

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/plan_base.h"
#include "core/base/json.h"
#include "core/model/model_source.h"
#include "core/plan/batch.h"
#include "core/plan/byte_table.h"
#include "core/plan/decide.h"
#include "core/plan/policy_text.h"
#include "core/rates/device_table.h"
#include "core/run/plan_details.h"
#include "core/run/plan_record.h"
#include "core/run/settings.h"

namespace tandem::cli {
namespace {

constexpr const char* kHelp =
    R"(Plan a training step: what fits, how fast it will be, where the bytes go. No GPU is needed.

Reads the configuration and the model's config.json alone. Keys are set as in train: --section.key=value
  tandem plan configs/qwen2.5-7b.toml --device rtx-5060-ti-16gb --host-memory 64GB
Seconds are predicted from the device's rates, not measured. Exit code 4: it does not fit.)";

struct Options {
  std::string config, device, memory, host_memory;
  bool explain = false, json = false;
};

struct Device {
  DeviceInfo info;
  Target target;
  bool here = false;  // not a table's
};

double gib(double bytes) {
  return bytes / (1 << 30);
}

bool is_backend(const std::string& name, const Registry& registry) {
  const std::string word = name.substr(0, name.find(':'));
  const std::vector<std::string> names = registry.names();
  return word == "auto" || std::ranges::find(names, word) != names.end();
}

Device find_device(const std::string& name, const Registry& registry) {
  if (!is_backend(name, registry)) {
    DeviceTable table = load_device_table(name);
    return {table.info, table.target, false};
  }
  const DeviceInfo info = registry.choose(name);
  return {info, with_measured_rates(registry.open(info)->target()), true};
}

bool says_host_memory(const RunConfig::Memory& memory, const Options& o) {
  return memory.host || !o.host_memory.empty();
}

// flags win over the configuration, upwards too, and both over what a table assumes of the host
Target with_budgets(const Device& device, const RunConfig::Memory& memory, const Options& o) {
  Target target = within_budget(device.target, memory);
  if (!o.memory.empty()) target.memory_bytes = parse_size(o.memory, "--memory");
  if (!o.host_memory.empty()) target.host_memory_bytes = parse_size(o.host_memory, "--host-memory");
  return target;
}

class Report {
 public:
  Report(const PlanRequest& request, const StepPlan& plan, const BatchAdvice& advice, const Device& device,
         std::string_view host_source, bool timed)
      : request_(request),
        words_(offload_words(request)),
        plan_(plan),
        save_(save_copy(plan, request, request.sharding.ranks)),
        advice_(advice),
        device_(device),
        host_source_(host_source),
        timed_(timed) {}

  std::string json() const {
    Json arenas = Json::array();
    for (const Arena& arena : plan_.compiled->memory.arenas)
      arenas.push_back(
          {{"name", arena.name}, {"kind", arena.kind == ArenaKind::host ? "host" : "device"}, {"bytes", arena.bytes}});
    const Json policy = policy_json(plan_.chosen.policy, words_);
    const auto seconds = [&](double value) { return timed_ ? Json(value) : Json(); };
    const Json j{{"fits", plan_.fits()},
                 {"device_bytes", plan_.chosen.device_bytes},
                 {"host_bytes", host_bytes()},
                 {"arenas", arenas},
                 {"recompute", policy.at("recompute")},
                 {"offload", policy.at("offload")},
                 {"lm_head_chunks", plan_.chosen.policy.lm_head_chunks},
                 {"attention_chunks", plan_.chosen.policy.attention_chunks},
                 {"micro_batch", request_.shape.micro_batch},
                 {"gradient_accumulation", request_.shape.accumulation},
                 {"step_seconds", seconds(plan_.chosen.seconds())},
                 {"tokens_per_second", seconds(tokens() / plan_.chosen.seconds())},
                 {"floor_seconds", seconds(plan_.floor.floor())},
                 {"flops", plan_.chosen.cost.flops()},
                 {"largest_micro_batch", advice_.largest_micro_batch},
                 {"trainable_parameters", trainable_parameters(request_)},
                 {"base", base_json(request_, plan_)},
                 {"replay", replay_json(request_)},
                 {"exposed_copy_seconds", seconds(plan_.chosen.cost.exposed_copy)},
                 {"ranks", ranks()},
                 {"zero", request_.sharding.zero},
                 {"collectives", collectives()},
                 {"exchange_seconds", ranks() > 1 && request_.target.rates.links.all_gather <= 0
                                          ? Json()
                                          : seconds(plan_.chosen.cost.exposed_exchange)},
                 {"save_copy_bytes", save_.bytes},
                 {"save_waits_for", save_.waits_for()}};
    return j.dump() + "\n";
  }

  std::string text(bool explain) {
    verdict();
    bytes();
    policies();
    if (timed_) times();
    else put("\nNo rates are known of {}: no times.\n", device_.info.name);
    hints();
    if (explain || !plan_.fits()) explain_peak(explain ? 40 : 5);
    return std::move(text_);
  }

 private:
  template <typename... Args>
  void put(fmt::format_string<Args...> format, Args&&... args) {
    text_ += fmt::format(format, std::forward<Args>(args)...);
  }

  uint32_t ranks() const { return request_.sharding.ranks; }
  double tokens() const { return double(request_.shape.rows()) * request_.shape.accumulation * ranks(); }
  uint64_t host_bytes() const { return plan_.chosen.host_bytes * ranks(); }  // the machine's

  // What `train` would take: a device's own transport where several are, else the host.
  std::string_view collectives() const {
    return ranks() == 1 ? "none" : device_.info.backend == "vulkan" ? "host" : "nccl";
  }

  void verdict() {
    const StepShape& s = request_.shape;
    const auto budget = [](uint64_t bytes) {
      return bytes == 0 ? "no limit" : fmt::format("{:.2f} GiB", gib(double(bytes)));
    };
    put("{} on {}{}: {} sequences of {} tokens x {} micro-steps{}, {} tokens per step\n",
        name_of(request_.precision.recipe), ranks() > 1 ? fmt::format("{} x ", ranks()) : "", device_.info.name,
        s.micro_batch, s.sequence_length, s.accumulation,
        ranks() > 1 ? fmt::format(" x {} ranks, zero = {}", ranks(), request_.sharding.zero) : "", uint64_t(tokens()));
    put("{}: {:.2f} GiB on {} device of {}, {:.2f} GiB on the host of {}{}\n\n", plan_.fits() ? "fits" : "DOES NOT FIT",
        gib(double(plan_.chosen.device_bytes)), ranks() > 1 ? "each" : "the", budget(request_.target.memory_bytes),
        gib(double(host_bytes())), budget(request_.target.host_memory_bytes * ranks()), host_source_);
  }

  void bytes() {
    put("{:<34}{:>12}{:>12}\n", "GiB", "device", "host");
    ByteRow total{"all", 0, 0};
    const auto line = [&](const ByteRow& row) {
      put("  {:<32}{:>12.3f}{:>12.3f}\n", row.name, gib(double(row.device)), gib(double(row.host)));
    };
    for (const ByteRow& row : byte_table(*plan_.compiled, request_.target, words_)) {
      line(row);
      total.device += row.device;
      total.host += row.host;
    }
    line(total);
    put("Saves: {}\n", describe(save_));
  }

  std::string totals(const PlannedPolicy& p) const {
    const std::string bytes = fmt::format("{:.2f} GiB", gib(double(p.device_bytes)));
    return timed_ ? fmt::format("{:.3f} s, {}", p.seconds(), bytes) : bytes;
  }

  // A runner-up's lines: what it does otherwise
  void policies() {
    const std::vector<PolicyLine> chosen = describe(request_, plan_.chosen.policy);
    put("\nPolicy: {}\n", totals(plan_.chosen));
    for (const PolicyLine& line : chosen) put("  {:<16}{}\n", line.name, line.text);
    for (const PlannedPolicy& p : plan_.runners_up) {
      put("Runner-up: {}\n", totals(p));
      for (const PolicyLine& line : describe(request_, p.policy))
        if (std::ranges::none_of(chosen,
                                 [&](const PolicyLine& l) { return l.name == line.name && l.text == line.text; }))
          put("  {:<16}{}\n", line.name, line.text);
    }
  }

  void times() {
    const ProgramCost& cost = plan_.chosen.cost;
    put("\n{:<20}{:>10}{:>10}{:>14}{:>12}{:>10}\n", "Seconds a step", "predicted", "floor", "instructions", "TFLOP",
        "GB");
    for (size_t c = 0; c < kCostKindCount; ++c) {
      const KindCost& k = cost.kinds[c];
      if (k.instructions == 0) continue;
      put("  {:<18}{:>10.4f}{:>10.4f}{:>14}{:>12.1f}{:>10.1f}\n", name_of(CostKind(c)), k.seconds,
          plan_.floor.kinds[c].floor, k.instructions, double(k.flops) / 1e12, double(k.bytes) / 1e9);
    }
    const double floor = plan_.floor.floor();
    put("  {:<18}{:>10.4f}{:>10.4f}  {:.2f} of the floor; exposed copies {:.4f} s{}\n", "all", cost.seconds, floor,
        cost.seconds / floor, cost.exposed_copy,
        ranks() > 1 ? fmt::format(", exposed exchange {:.4f} s", cost.exposed_exchange) : "");
    put("{:.0f} tokens/s predicted\n", tokens() / cost.seconds);
  }

  void hints() {
    if (advice_.largest_micro_batch > 0)
      put("\nLargest batch.micro_batch found to fit: {}\n", advice_.largest_micro_batch);
    else
      put("\nNo batch.micro_batch fits: it takes more memory, a smaller model or a shorter data.sequence_length{}\n",
          request_.limits.recompute || request_.limits.offload ? ", or memory.recompute and offload = \"auto\"" : "");
    if (!timed_ || request_.sequences > 0 || advice_.micro_batch == 0 ||
        advice_.micro_batch == request_.shape.micro_batch)
      return;
    put("Hint: batch.micro_batch = {} with gradient_accumulation = {} would take {:.3f} s\n", advice_.micro_batch,
        advice_.accumulation, advice_.seconds);
  }

  void explain_peak(size_t most) {
    const Peak peak = peak_of(*plan_.compiled);
    put("\nThe peak of what shares memory: {:.3f} GiB at {} {} ({})\n", gib(double(peak.bytes)), name_of(peak.range),
        peak.position, peak.label);
    for (size_t i = 0; i < std::min(most, peak.alive.size()); ++i) {
      const LiveValue& v = peak.alive[i];
      put("  {:>9.4f}  {:<14}{:<8}{}  {}\n", gib(double(v.bytes)), name_of(v.kind),
          v.layer == kNoLayer ? "-" : fmt::format("{}", v.layer), v.desc, v.name);
    }
    if (peak.alive.size() > most) put("  and {} smaller ones\n", peak.alive.size() - most);
  }

  const PlanRequest& request_;
  std::vector<std::string> words_;  // words of memory.offload
  const StepPlan& plan_;
  SaveCopy save_;
  const BatchAdvice& advice_;
  const Device& device_;
  std::string_view host_source_;  // where the host's budget comes from
  bool timed_;
  std::string text_;
};

Exit run(const Options& o, const std::vector<std::string>& overrides, const Registry& registry) {
  const RunConfig config = load_config(o.config, overrides);
  const ModelSource model = open_model(config.model.path);
  const Lora lora = lora_of(config.lora, configured_adapter(config.lora, model.config));
  const StepSpec spec = replayed(step_spec(config, model.config, lora), config.replay);
  warn_of_length("data.sequence_length", spec.shape.sequence_length, model.config);
  const Device device = find_device(o.device.empty() ? config.run.backend : o.device, registry);
  check_recipe(device.info, name_of(spec.precision.recipe));

  const Target target = with_budgets(device, config.memory, o);
  PlanRequest request = plan_request(config, spec, target, spec.sharding.ranks);
  request.sequences = free_sequences(config);
  const StepPlan plan = decide_with_batch(request);
  const BatchAdvice advice = advise_batch(request, plan);
  const std::string_view host = says_host_memory(config.memory, o) ? ""
                                : target.host_memory_bytes == 0    ? ""
                                : device.here                      ? ", what this machine has"
                                                                   : ", assumed: --host-memory says otherwise";
  Report report(request, plan, advice, device, host, has_rates(target));
  print(o.json ? report.json() : report.text(o.explain));
  return plan.fits() ? Exit::ok : Exit::does_not_fit;
}

}  // namespace

void add_plan(CLI::App& app, const Registry& registry, Action& action) {
  CLI::App* command = app.add_subcommand("plan", kHelp);
  auto o = std::make_shared<Options>();
  command->add_option("config", o->config, "the TOML file")->required();
  command->add_option("--memory", o->memory, "of the device, for all that the process takes there: 16GiB");
  command->add_option(
      "--host-memory", o->host_memory,
      "of the host, for what is moved there: 64GB; else what this machine has, or the device's table assumes");
  command->add_option("--device", o->device, "a table of configs/devices by its name, a .toml file, or BACKEND[:N]");
  command->add_flag("--explain", o->explain, "which values are alive when the device holds most");
  command->add_flag("--json", o->json, "one JSON object on standard output");
  command->allow_extras();
  command->callback([&registry, &action, command, o] {
    action = [&registry, command, o] { return run(*o, overrides_of(*command), registry); };
  });
}

}  // namespace tandem::cli
