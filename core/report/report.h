// `tandem report`: runs as one HTML page, as event files for TensorBoard, or both, once or until they end.
#pragma once

#include <string>
#include <vector>

#include "core/base/error.h"

namespace tandem::report {

struct ReportOptions {
  std::vector<std::string> runs;  // directories
  std::string out;                // the page's file; empty: none
  std::string tensorboard;        // a directory for event files; empty: none
  std::string trace;              // a file of train --profile; empty: each run's profile.json
  bool follow = false;            // go on until all runs have ended, or SIGINT
};

// Exit::configuration, Exit::input and Exit::storage, naming the option, run or file.
Exit make_report(const ReportOptions& options);

}  // namespace tandem::report
