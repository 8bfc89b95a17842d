// tandem: trains language models in 8 bits on the GPUs that people own.
#include <unistd.h>

#include <new>
#include <sstream>

#include "cli/checks.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "core/base/message.h"
#include "core/runtime/watchdog.h"

namespace {

using namespace tandem;

constexpr const char* kAbout = R"(Tandem trains language models in 8 bits on the GPUs that people own.

A run, from text to a model that transformers loads:
  tandem data tokenize --tokenizer bytes book.txt --out book.bin
  tandem plan config.toml
  tandem train config.toml
  tandem report runs/NAME --out report.html
  tandem eval --model runs/NAME/model --data held-out.bin --sequence-length 1024
  tandem generate --model runs/NAME/model --prompt "Once upon a time"

Exit codes: 0 done; 1 internal error, or verify found a difference; 2 configuration or arguments; 3 bad input file; 4 does not fit in memory;
5 diverged; 6 device; 7 storage; 75 stopped by a signal after saving; 130 stopped at once by a second SIGINT.)";

// CLI11 would only say that a command is missing.
void check_command(const CLI::App& app, const std::string& word) {
  const auto named = [&](const CLI::App* command) { return command->get_name() == word; };
  if (!word.starts_with('-') && app.get_subcommands(named).empty())
    fail(Exit::configuration, "tandem", "unknown command '{}'; 'tandem --help' lists them", word);
}

int run(int argc, char** argv) {
  CLI::App app(kAbout, "tandem");
  app.require_subcommand(1);
  const Registry registry = cli::linked_backends();
  app.set_version_flag(
      "--version", [&] { return cli::version_text(registry); }, "Version, commit, build options, backends");
  cli::Action action;
  cli::add_train(app, registry, action);
  cli::add_plan(app, registry, action);
  cli::add_eval(app, registry, action);
  cli::add_generate(app, registry, action);
  cli::add_data(app, action);
  cli::add_report(app, action);
  cli::add_watch(app, action);
  cli::add_export(app, action);
  cli::add_devices(app, registry, action);
  cli::add_verify(app, registry, action);
  if (argc > 1) check_command(app, argv[1]);
  cli::refuse_missing_values({argv, size_t(argc)});
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    std::ostringstream help, error;
    const bool asked = app.exit(e, help, error) == 0;
    write_message(error.str());
    cli::print(help.str());
    return int(asked ? Exit::ok : Exit::configuration);
  }
  cli::refuse_empty(app);
  return int(action());
}

}  // namespace

int main(int argc, char** argv) {
  cli::guard_standard_streams();
  cli::guard_mapped_files();
  try {
    return run(argc, argv);
  } catch (const tandem::DeviceHangs& e) {
    write_error(fmt::format("tandem: {}\n", e.what()));
    ::_exit(int(e.exit()));
  } catch (const tandem::Error& e) {
    write_error(fmt::format("tandem: {}\n", e.what()));
    return int(e.exit());
  } catch (const std::bad_alloc&) {
    write_error("tandem: [memory] out of host memory; use a smaller batch or model\n");
    return int(tandem::Exit::does_not_fit);
  } catch (const std::exception& e) {
    write_error(fmt::format("tandem: [internal] {}; this is a defect of Tandem, please report it\n", e.what()));
    return int(tandem::Exit::internal);
  }
}
