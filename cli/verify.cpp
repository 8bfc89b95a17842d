#include <nlohmann/json.hpp>

#include "cli/checks.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "core/run/verify.h"

namespace tandem::cli {
namespace {

constexpr const char* kHelp = R"(Run a training step on two backends, instruction by instruction, and compare.

locked: the candidate gets the reference's operands before each instruction, which finds the op that is wrong, by the
budgets of docs/numerics.md. free: both run on their own, which shows how far rounding drifts.
Keys of the file are set as for train: --section.key=value. Exit code 1: a difference was found.)";

struct Options {
  std::string config, reference, candidate, mode = "locked", perturb, only;
  uint64_t steps = 1;
  bool json = false;
};

OpId op_named(const std::string& name) {
  for (size_t i = 0; i < kOpCount; ++i)
    if (name_of(OpId(i)) == name) return OpId(i);
  fail(Exit::configuration, "--perturb", "'{}' is not an op; core/ops/table.inc lists them, for example gemm", name);
}

VerifyOptions verify_options(const Options& o) {
  VerifyOptions options;
  if (o.mode != "locked" && o.mode != "free")
    fail(Exit::configuration, "--mode", "'{}' is unknown; use locked or free", o.mode);
  options.locked = o.mode == "locked";
  if (!o.perturb.empty()) options.perturb = op_named(o.perturb);
  if (!o.only.empty()) options.only = parse_instruction(o.only);
  return options;
}

std::string json_text(const Verifier& v) {
  nlohmann::ordered_json ops = nlohmann::json::array();
  for (const auto& [op, d] : v.ops())
    ops.push_back({{"op", name_of(op)}, {"instructions", d.instructions}, {"nmse", d.nmse}, {"max_ulp", d.max_ulp}});
  const InstructionDifference& worst = *v.worst();
  const nlohmann::ordered_json j{{"passed", v.passed()},
                                 {"worst",
                                  {{"instruction", name_of(worst.id)},
                                   {"op", name_of(worst.op)},
                                   {"nmse", worst.nmse},
                                   {"max_ulp", worst.max_ulp}}},
                                 {"ops", ops}};
  return j.dump() + "\n";
}

std::string verdict(const Options& o, const Verifier& v) {
  if (v.passed()) return fmt::format("{}: {} agrees with {}\n", o.mode, o.candidate, o.reference);
  const InstructionDifference& first = *v.first_over();
  return fmt::format("first over its budget: {} {} ({}): {}\n{}", name_of(first.id), name_of(first.op), first.label,
                     first.wrong, first.operands) +
         fmt::format("alone: tandem verify {} --reference {} --candidate {} --steps {} --only {}\n", o.config,
                     o.reference, o.candidate, o.steps, name_of(first.id));
}

std::string table_text(const Options& o, const Verifier& v) {
  std::string text = fmt::format("{:<32} {:>12} {:>12} {:>12}\n", "op", "instructions", "NMSE", "max ulp");
  for (const auto& [op, d] : v.ops())
    text += fmt::format("{:<32} {:>12} {:>12.3g} {:>12.4g}\n", name_of(op), d.instructions, d.nmse, d.max_ulp);
  const InstructionDifference& worst = *v.worst();
  text +=
      fmt::format("worst: {} {} ({}), NMSE {:.3g}\n", name_of(worst.id), name_of(worst.op), worst.label, worst.nmse);
  return text + verdict(o, v);
}

Exit run(const Options& o, const std::vector<std::string>& overrides, const Registry& registry) {
  const VerifyOptions options = verify_options(o);
  const RunConfig config = load_config(o.config, overrides);
  const auto open = [&](const std::string& name) {
    const DeviceInfo device = registry.choose(name);
    check_recipe(device, name_of(precision_of(config).recipe));
    return registry.open(device);
  };
  const DevicePointer<Backend> reference = open(o.reference), candidate = open(o.candidate);
  const Verifier v = verify_run(config, *reference, *candidate, o.steps, options);
  if (!v.worst()) fail(Exit::configuration, "--only", "{} is not a dispatch of this program", o.only);
  if (options.perturb && !options.only && !v.ops().contains(*options.perturb))
    fail(Exit::configuration, "--perturb", "this program has no {}; verify without it lists its ops", o.perturb);
  print(o.json ? json_text(v) : table_text(o, v));
  return v.passed() ? Exit::ok : Exit::internal;
}

}  // namespace

void add_verify(CLI::App& app, const Registry& registry, Action& action) {
  CLI::App* command = app.add_subcommand("verify", kHelp);
  auto o = std::make_shared<Options>();
  command->add_option("config", o->config, "the TOML file")->required();
  command->add_option("--reference", o->reference, "BACKEND or BACKEND:N")->required();
  command->add_option("--candidate", o->candidate, "BACKEND or BACKEND:N")->required();
  command->add_option("--mode", o->mode, "locked or free");
  command->add_option("--steps", o->steps, "training steps")->transform(whole_number(1, 1 << 20));
  command->add_option("--perturb", o->perturb, "disturb what this op writes in the candidate");
  command->add_option("--only", o->only, "compare this instruction alone: RANGE:INDEX");
  command->add_flag("--json", o->json, "one JSON object on standard output");
  command->allow_extras();
  command->callback([&registry, &action, command, o] {
    action = [&registry, command, o] { return run(*o, overrides_of(*command), registry); };
  });
}

}  // namespace tandem::cli
