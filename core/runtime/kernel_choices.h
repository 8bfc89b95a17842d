// The kernel that a library's caller takes where the library proposes several. The choice decides bits, so it is part
// of a run's numerics: it is recorded, kept in checkpoints, and can be given.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace tandem {

// The kernel, as its library writes it down, by what it computes: op, sizes and dtypes.
using KernelChoices = std::map<std::string, std::string>;

enum class ChoiceSource { given, cache, timed, first };
constexpr size_t kChoiceSources = 4;

struct ChoiceRules {
  KernelChoices given;  // Taken where the library still accepts them.
  bool timed =
      true;  // All others are cached or timed; else each is the library's first proposal, and no cache is touched.
};

// What a library offers for one computation.
class KernelProposals {
 public:
  virtual ~KernelProposals() = default;
  virtual std::vector<std::string> all() = 0;                            // The one it deems best first.
  virtual bool accepts(const std::string& kernel) = 0;                   // The library's own check, which runs nothing.
  virtual std::optional<double> seconds(const std::string& kernel) = 0;  // One run's; nullopt: it does not run.
};

// The choices of one device and library. They are made once per name, and timed ones are kept in a cache file.
class KernelTable {
 public:
  explicit KernelTable(std::string cache_file);

  void use(ChoiceRules rules) { rules_ = std::move(rules); }

  // Returns the kernel for name, nullopt if the library has none that runs. The answer to a name stays the same.
  std::optional<std::string> choose(const std::string& name, KernelProposals& proposals);
  void save();  // Writes what was timed here to the cache, and nothing that was given.

  const KernelChoices& chosen() const { return chosen_; }
  std::array<size_t, kChoiceSources> counts() const { return counts_; }  // Counts of chosen(), by source.

 private:
  std::string take(const std::string& name, std::string kernel, ChoiceSource source);

  std::string cache_file_;
  KernelChoices cached_, timed_, chosen_;
  std::set<std::string> without_;  // Names for which no kernel was found: the answer stays.
  ChoiceRules rules_;
  std::array<size_t, kChoiceSources> counts_{};
  bool saved_ = true;
};

}  // namespace tandem
