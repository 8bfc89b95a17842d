// A run directory: held by one process at a time; config.toml, plan.json, metrics.jsonl, checkpoints/, model/.
#pragma once

#include <string>

#include "core/run/config.h"

namespace tandem {

// Exit::configuration unless a new run can start in this directory: it is not there, or empty.
void require_empty(const std::string& directory);

class RunDirectory {
 public:
  // Makes the directory if need be and locks it: Exit::configuration when another process has it.
  explicit RunDirectory(std::string path);
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  // Exit::storage when the path no longer leads to the directory that was locked: it was moved away, removed or
  // replaced. Called before each write, so that nothing is made anew there.
  void require_in_place() const;

  static std::string checkpoints_of(const std::string& directory) { return directory + "/checkpoints"; }
  static std::string model_of(const std::string& directory) { return directory + "/model"; }
  static std::string adapter_of(const std::string& directory) { return directory + "/adapter"; }
  std::string config() const { return path_ + "/config.toml"; }
  std::string plan() const { return path_ + "/plan.json"; }
  std::string metrics() const { return path_ + "/metrics.jsonl"; }
  std::string profile() const { return path_ + "/profile.json"; }
  std::string checkpoints() const { return checkpoints_of(path_); }
  std::string model() const { return model_of(path_); }

 private:
  std::string path_;
  int lock_ = -1;
};

}  // namespace tandem
