#include "core/plan/search.h"

#include <algorithm>
#include <limits>

namespace tandem {
namespace {

// The smallest n in 1 .. most for which holds(n), which stays true once it is; 0: none.
template <typename Holds>
uint32_t smallest(uint32_t most, Holds holds) {
  if (most == 0 || !holds(most)) return 0;
  uint32_t low = 0, high = most;  // holds(high), and not holds(low)
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    (holds(middle) ? high : low) = middle;
  }
  return high;
}

// All orders of the kinds, but m before v before master: those cost alike.
std::vector<std::vector<Offload>> orders_of(std::vector<Offload> kinds) {
  std::vector<std::vector<Offload>> orders;
  std::ranges::sort(kinds);
  do {
    const auto at = [&](Offload kind) { return std::ranges::find(kinds, kind) - kinds.begin(); };
    if (at(Offload::m) <= at(Offload::v) && at(Offload::v) <= at(Offload::master)) orders.push_back(kinds);
  } while (std::ranges::next_permutation(kinds).found);
  return orders;
}

std::vector<Choice> chunk_choices(const PlanRequest& request) {
  std::vector<Choice> choices;
  for (const uint32_t head : head_chunk_counts(request))
    for (const uint32_t attention : attention_chunk_counts(request))
      for (const bool remade : remade_choices(request)) {
        Choice choice;
        choice.first = choice.rest = recompute_sets(request.limits, request.coarse).front();
        choice.head_chunks = head;
        choice.attention_chunks = attention;
        choice.remade = remade;
        choices.push_back(choice);
      }
  return choices;
}

// Leaves the items out that another one beats in bytes and in seconds both.
template <typename T, typename TakesOf>
void keep_undominated(std::vector<T>& items, const TakesOf& takes_of, uint32_t accumulation) {
  struct Measured {
    T item;
    double device, seconds;
  };
  std::vector<Measured> measured;
  for (const T& item : items) {
    const Takes takes = takes_of(item);
    measured.push_back({item, takes.device, takes.seconds(accumulation)});
  }
  std::ranges::stable_sort(measured, [](const Measured& a, const Measured& b) {
    return a.device != b.device ? a.device < b.device : a.seconds < b.seconds;
  });
  items.clear();
  double least = std::numeric_limits<double>::infinity();
  for (const Measured& m : measured)
    if (m.seconds < least) {
      least = m.seconds;
      items.push_back(m.item);
    }
}

}  // namespace

Budget budget_of(const Target& target) {
  const double host =
      target.host_memory_bytes == 0 ? std::numeric_limits<double>::infinity() : double(target.host_memory_bytes);
  return {double(target.memory_bytes), host};
}

Choice family_of(const Choice& choice, uint32_t layers) {
  Choice family = choice;
  family.first_layers = choice.first_layers == 0 ? 0 : choice.first_layers == layers ? layers : 1;
  for (uint32_t& n : family.offloaded) n = n > layers ? layers + 1 : std::min(n, 1u);
  return family;
}

Ranking::Ranking(const PlanRequest& request, Estimate estimate)
    : layers_(request.model.layers),
      accumulation_(request.shape.accumulation),
      budget_(budget_of(request.target)),
      estimate_(std::move(estimate)),
      sets_(recompute_sets(request.limits, request.coarse)),
      orders_(orders_of(offload_kinds(request.limits, request.precision))),
      chunks_(chunk_choices(request)) {
  Choice choice = chunks_.front();
  const auto of_set = [&](EnumSet<Recompute> set) {
    choice.first = choice.rest = set;
    return estimate_(choice);
  };
  keep_undominated(sets_, of_set, accumulation_);
  keep_undominated(chunks_, estimate_, accumulation_);
}

Takes Ranking::takes_of(const Choice& choice) const {
  Takes takes = estimate_(choice);
  const auto found = corrections_.find(family_of(choice, layers_));
  return found == corrections_.end() ? takes : takes.add(found->second, 1);
}

void Ranking::correct(const Choice& choice, const Takes& takes) {
  Takes error = takes;
  corrections_[family_of(choice, layers_)] = error.add(estimate_(choice), -1);
}

bool Ranking::may_fit(const Choice& choice, const Takes& takes) const {
  constexpr double kError = 0.05;  // of an estimate that no compiled plan has corrected
  const double slack = corrections_.contains(family_of(choice, layers_)) ? 1 : 1 + kError;
  return takes.device <= slack * budget_.device && takes.host <= budget_.host;
}

void Ranking::push(const Choice& choice, std::vector<Ranked>& out) const {
  const Takes takes = takes_of(choice);
  if (may_fit(choice, takes)) out.push_back({choice, takes, takes.seconds(accumulation_)});
}

// Sends kinds to the host, in each order, until the device's memory holds the rest: whole kinds, and of the last one as
// few layers as do.
void Ranking::fill(Choice choice, std::vector<Ranked>& out) const {
  push(choice, out);
  for (const std::vector<Offload>& order : orders_) {
    Choice filled = choice;
    for (const Offload kind : order) {
      uint32_t& n = filled.offloaded[size_t(kind)];
      const uint32_t most = kind == Offload::residuals ? layers_ : layers_ + 1;
      const uint32_t least = smallest(most, [&](uint32_t layers) {
        n = layers;
        return takes_of(filled).device <= budget_.device;
      });
      n = least > 0 ? least : most;
      push(filled, out);
      if (least > 0) break;
    }
  }
}

// The first layers recompute choice.first, as few as do, the others rest.
void Ranking::mix(const Choice& choice, EnumSet<Recompute> rest, std::vector<Ranked>& out) const {
  Choice mixed = choice;
  mixed.rest = rest;
  const uint32_t least = smallest(layers_ - 1, [&](uint32_t layers) {
    mixed.first_layers = layers;
    return may_fit(mixed, takes_of(mixed));
  });
  mixed.first_layers = least;
  if (least > 0) push(mixed, out);
}

std::vector<Ranked> Ranking::fitting() const {
  const auto by_choice = [](const Ranked& a, const Ranked& b) { return a.choice < b.choice; };
  const auto same = [](const Ranked& a, const Ranked& b) { return a.choice == b.choice; };
  std::vector<Ranked> all;
  for (Choice choice : chunks_)
    for (const EnumSet<Recompute> set : sets_) {
      choice.first = choice.rest = set;
      fill(choice, all);
    }
  std::sort(all.begin(), all.end(), by_choice);
  all.erase(std::unique(all.begin(), all.end(), same), all.end());
  // some layers may do with less: the sets are in the order of their bytes, so that those behind are faster
  const std::vector<Ranked> uniform = all;
  for (const Ranked& ranked : uniform)
    for (size_t rest = sets_.size(); rest-- > 0 && !(sets_[rest] == ranked.choice.rest);)
      mix(ranked.choice, sets_[rest], all);
  std::sort(all.begin(), all.end(), [&](const Ranked& a, const Ranked& b) {
    return a.seconds != b.seconds ? a.seconds < b.seconds : by_choice(a, b);
  });
  return all;
}

Ranked Ranking::least() const {
  Ranked best;
  double best_over = 0;
  bool found = false;
  const auto consider = [&](const Choice& choice) {
    const Takes takes = takes_of(choice);
    const double over = std::max(0.0, takes.device - budget_.device) + std::max(0.0, takes.host - budget_.host);
    if (found && over >= best_over) return;
    found = true;
    best_over = over;
    best = {choice, takes, takes.seconds(accumulation_)};
  };
  for (Choice choice : chunks_)
    for (const EnumSet<Recompute> set : sets_) {
      choice.first = choice.rest = set;
      consider(choice);
      for (const std::vector<Offload>& order : orders_) {
        Choice filled = choice;
        for (const Offload kind : order) {
          filled.offloaded[size_t(kind)] = kind == Offload::residuals ? layers_ : layers_ + 1;
          consider(filled);
        }
      }
    }
  return best;
}

}  // namespace tandem
