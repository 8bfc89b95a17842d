// A small run over two files and two epochs, with faults, stopped and resumed.
#pragma once

#include <string>
#include <vector>

#include "tests/cli/command.h"

namespace tandem::test {

constexpr int kStopped = 75;

// 12 steps of 2 windows of 16 tokens; 15 windows in two files
struct RunPlace : Workplace {
  explicit RunPlace(const std::string& recipe = "fp32");
  // fault: see tests/faults/fault.cpp
  Outcome train(std::vector<std::string> more, const std::string& fault = "") const;
  Outcome resume(const std::string& flag = "--run.directory=run") const { return train({"--resume", flag}); }
  // what must not depend on interruptions: every byte of model/, and the lines without times
  std::string result(const std::string& run) const;
};

}  // namespace tandem::test
