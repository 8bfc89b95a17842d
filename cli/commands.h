// The commands of `tandem`. Each throws Error; main turns that into a message and an exit code.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "core/base/error.h"
#include "core/runtime/registry.h"

namespace tandem::cli {

// A parsed command line picks one action to run.
using Action = std::function<Exit()>;

void add_train(CLI::App& app, const Registry& registry, Action& action);
void add_plan(CLI::App& app, const Registry& registry, Action& action);
void add_eval(CLI::App& app, const Registry& registry, Action& action);
void add_generate(CLI::App& app, const Registry& registry, Action& action);
void add_data(CLI::App& app, Action& action);
void add_report(CLI::App& app, Action& action);
void add_watch(CLI::App& app, Action& action);
void add_export(CLI::App& app, Action& action);
void add_devices(CLI::App& app, const Registry& registry, Action& action);
void add_verify(CLI::App& app, const Registry& registry, Action& action);

// What the parser left over must be --section.key=value: Exit::configuration for anything else.
std::vector<std::string> overrides_of(const CLI::App& command);

// `tandem --version`: version, commit, compiler, build options, backends
std::string version_text(const Registry& registry);

struct Version {
  std::string number, commit;
};
Version version();

// every backend of this build; the ones left out say why
Registry linked_backends();

}  // namespace tandem::cli
