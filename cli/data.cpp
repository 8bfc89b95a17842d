#include "cli/commands.h"
#include "cli/data_info.h"
#include "cli/data_show.h"
#include "cli/data_tokenize.h"

namespace tandem::cli {

void add_data(CLI::App& app, Action& action) {
  CLI::App* data = app.add_subcommand("data", "Make and inspect token files");
  data->require_subcommand(1);
  add_data_tokenize(*data, action);
  add_data_info(*data, action);
  add_data_show(*data, action);
}

}  // namespace tandem::cli
