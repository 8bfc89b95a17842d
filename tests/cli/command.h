// Runs the `tandem` command as a user does: arguments in, exit code and both outputs out.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "core/base/json.h"
#include "tests/data/scratch.h"

namespace tandem::test {

struct Outcome {
  int exit = -1;
  std::string out, err;

  Json json() const { return parse_json(out, "standard output"); }
  bool says(std::string_view text) const { return err.find(text) != std::string::npos; }
};

// Where a command's output goes: a file of the workplace, or else an open descriptor.
struct Streams {
  int out = -1, err = -1;
};

// A directory that commands run in.
class Workplace : public ScratchDirectory {
 public:
  Outcome tandem(const std::vector<std::string>& arguments, Streams streams = {}) const;
  Outcome run(const std::string& program, const std::vector<std::string>& arguments, Streams streams = {}) const;
  std::string read(const std::string& name) const { return read_text(path(name)); }

  // model: a config.json without weights, whose vocabulary fits the bytes tokenizer; changes: keys replaced
  void write_model(const std::string& directory, const Json& changes = Json::object()) const;
  void copy_golden(const std::string& name, const std::string& directory) const;
  // tokens.bin of `count` tokens below vocabulary
  void write_tokens(const std::string& name, uint32_t count, int32_t vocabulary) const;
};

// a run of 3 steps from scratch in 16-token windows; text replaces the value of keys like "batch.micro_batch"
std::string small_config(const std::vector<std::pair<std::string, std::string>>& changes = {});

// the exit code, nothing on standard output, and what standard error names
// True where the system gives no pseudo-terminals, as in a chroot without /dev/pts: cases that need one are skipped.
bool no_terminals();

void check_refused(const Outcome& o, int exit, std::initializer_list<std::string_view> named);

std::vector<std::string> keys_of(const Json& object);

}  // namespace tandem::test
