#include "core/plan/search.h"

#include <algorithm>
#include <limits>

namespace tandem {
namespace {

// starts of steps to faster policies that differ in more than what they recompute
constexpr size_t kStarts = 16, kCoarseStarts = 4;
constexpr double kSmallSlack = 1.1;    // in models so small that every policy is ranked
constexpr double kNearSlack = 1.005;   // where a policy was compiled that differs in what it recomputes
constexpr double kLeastSlack = 1.001;  // once it is that low, it falls by as much each time

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

std::vector<Choice> chunk_choices(const PlanRequest& request) {
  std::vector<std::pair<uint32_t, bool>> ways{{0, false}};  // what becomes of fp8 copies
  if (may_transpose(request)) ways.push_back({0, true});
  if (may_remake(request)) ways.push_back({request.model.layers, false});
  std::vector<Choice> choices;
  for (const uint32_t head : head_chunk_counts(request))
    for (const uint32_t attention : attention_chunk_counts(request))
      for (const auto& [remade, transposed] : ways) {
        Choice choice;
        choice.recompute(recompute_sets(request.limits, request.coarse).front());
        choice.head_chunks = head;
        choice.attention_chunks = attention;
        choice.remade = remade;
        choice.transposed = transposed;
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
    measured.push_back({item, takes.device(), takes.seconds(accumulation)});
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

MemoryBudget budget_of(const Target& target) {
  const double host =
      target.host_memory_bytes == 0 ? std::numeric_limits<double>::infinity() : double(target.host_memory_bytes);
  return {double(target.memory_bytes), host};
}

Choice family_of(const Choice& choice, uint32_t layers) {
  const auto some = [layers](uint32_t n) { return n == layers ? layers : std::min(n, 1u); };
  Choice family = choice;
  family.first_layers = some(choice.first_layers);
  family.remade = some(choice.remade);
  for (uint32_t& n : family.offloaded) n = n > layers ? layers + 1 : std::min(n, 1u);
  return family;
}

Choice near_family_of(const Choice& choice, uint32_t layers) {
  Choice family = family_of(choice, layers);
  family.first = family.rest = {};
  family.first_layers = 0;
  family.head_chunks = family.attention_chunks = 1;
  return family;
}

Ranking::Ranking(const PlanRequest& request, Estimate estimate, double slack)
    : layers_(request.model.layers),
      accumulation_(request.shape.accumulation),
      slack_(slack),
      starts_(request.coarse ? kCoarseStarts : kStarts),
      remakes_(may_remake(request)),
      coarse_(request.coarse),
      budget_(budget_of(request.target)),
      estimate_(std::move(estimate)),
      kinds_(offload_kinds(request)),
      zero_copy_kinds_(zero_copy_kinds(request)),
      all_sets_(recompute_sets(request.limits, request.coarse)),
      all_chunks_(chunk_choices(request)),
      sets_(all_sets_),
      chunks_(all_chunks_) {
  Choice choice = chunks_.front();
  const auto of_set = [&](EnumSet<Recompute> set) {
    choice.recompute(set);
    return estimate_(choice);
  };
  keep_undominated(sets_, of_set, accumulation_);
  keep_undominated(chunks_, estimate_, accumulation_);
  enumerate();
}

Takes Ranking::corrected(const Choice& choice, Takes estimate) const {
  if (corrections_.empty()) return estimate;
  const auto exact = corrections_.find(family_of(choice, layers_));
  if (exact != corrections_.end()) return estimate.add(exact->second, 1);
  const auto near = near_corrections_.find(near_family_of(choice, layers_));
  return near == near_corrections_.end() ? estimate : estimate.add(near->second, 1);
}

Takes Ranking::takes_of(const Choice& choice) const {
  return corrected(choice, estimate_(choice));
}

bool Ranking::knows(const Choice& choice) const {
  return near_corrections_.contains(near_family_of(choice, layers_));
}

void Ranking::correct(const Choice& choice, const Takes& takes) {
  Takes error = takes;
  error.add(estimate_(choice), -1);
  corrections_[family_of(choice, layers_)] = near_corrections_[near_family_of(choice, layers_)] = error;
  // where estimates are too small, the search is to come to an end
  if (takes.device() > budget_.device) slack_ = slack_ > kLeastSlack ? 1 + (slack_ - 1) / 4 : slack_ - kLeastSlack + 1;
}

// by what factor an estimate may be too large
double Ranking::slack_of(const Choice& choice) const {
  if (ranks_all()) return kSmallSlack;
  if (corrections_.contains(family_of(choice, layers_))) return 1;
  return knows(choice) ? std::min(kNearSlack, slack_) : slack_;
}

bool Ranking::may_fit(const Choice& choice, const Takes& takes) const {
  return takes.host <= budget_.host && takes.device() + room_ <= slack_of(choice) * budget_.device;
}

void Ranking::push(const Choice& choice, const Takes& takes, std::vector<Ranked>& out) const {
  if (may_fit(choice, takes)) out.push_back({choice, takes, takes.seconds(accumulation_)});
}

// ---- every policy, where they are few ----

void Ranking::enumerate() {
  constexpr size_t kMost = 4096;
  std::vector<Choice> choices;
  for (const Choice& chunks : all_chunks_)
    if (chunks.remade == 0) choices.push_back(chunks);
  // each of the choices with each of n values, where set(choice, i) says that there is such a one
  const auto expand = [&](size_t n, const auto& set) {
    std::vector<Choice> more;
    for (const Choice& choice : choices)
      for (size_t i = 0; i < n && more.size() <= kMost; ++i) {
        Choice one = choice;
        if (set(one, i)) more.push_back(one);
      }
    choices = std::move(more);
  };
  if (remakes_)
    expand(layers_ + 1, [&](Choice& c, size_t i) {
      c.remade = uint32_t(i);
      return i < layers_ || !c.transposed;
    });
  for (const Offload kind : kinds_)
    expand(most_of(kind) + 1, [&](Choice& c, size_t i) { return c.offloaded[size_t(kind)] = uint32_t(i), true; });
  expand(size_t(1) << zero_copy_kinds_.size(), [&](Choice& c, size_t i) {
    for (size_t k = 0; k < zero_copy_kinds_.size(); ++k) {
      if ((i >> k & 1) == 0) continue;
      if (c.offloaded[size_t(zero_copy_kinds_[k])] == 0) return false;
      c.zero_copy.insert(zero_copy_kinds_[k]);
    }
    return true;
  });
  expand(kMostDistance + 1, [](Choice& c, size_t i) {
    c.distance = uint32_t(i);
    return i == 1 || c.copies_in_layers();
  });
  expand(kMostDistance + 1, [](Choice& c, size_t i) {
    c.update_distance = uint32_t(i);
    return i == 1 || c.copies_in_update();
  });
  expand(all_sets_.size(), [&](Choice& c, size_t i) { return c.recompute(all_sets_[i]), true; });
  const size_t mixes = all_sets_.size() * (layers_ - 1);
  expand(1 + mixes, [&](Choice& c, size_t i) {
    if (i == 0) return true;
    c.first = all_sets_[(i - 1) / (layers_ - 1)];
    c.first_layers = uint32_t(1 + (i - 1) % (layers_ - 1));
    return !(c.first == c.rest);
  });
  if (choices.size() > kMost) return;
  for (const Choice& choice : choices) every_.push_back({choice, estimate_(choice), 0});
}

// ---- a good part of them, where they are many ----

// Copies leave the device behind their parameters, which are larger and read less often.
bool Ranking::is_sensible(uint32_t whole) const {
  const auto has = [&](Offload kind) {
    const auto at = std::ranges::find(kinds_, kind);
    return at != kinds_.end() && (whole >> (at - kinds_.begin()) & 1) != 0;
  };
  return !has(Offload::copies) || has(Offload::parameters);
}

// Sends whole kinds to the host, and of one more as few layers as the device's memory then holds the rest with.
void Ranking::fill(const Choice& choice, std::vector<Ranked>& out) const {
  const uint32_t kinds = uint32_t(kinds_.size());
  std::vector<bool> fits(size_t(1) << kinds);  // by kinds, or fewer of them do
  for (uint32_t whole = 0; whole < fits.size(); ++whole) {
    for (uint32_t k = 0; k < kinds; ++k) fits[whole] = fits[whole] || (whole >> k & 1 && fits[whole & ~(1u << k)]);
    if (fits[whole] || !is_sensible(whole)) continue;
    Choice filled = choice;
    for (uint32_t k = 0; k < kinds; ++k)
      if (whole >> k & 1) filled.offloaded[size_t(kinds_[k])] = most_of(kinds_[k]);
    const Takes takes = takes_of(filled);
    push(filled, takes, out);
    fits[whole] = takes.device() <= budget_.device;
    for (uint32_t k = 0; k < kinds && !fits[whole]; ++k) {
      if (whole >> k & 1) continue;
      uint32_t& n = filled.offloaded[size_t(kinds_[k])];
      n = smallest(most_of(kinds_[k]) - 1, [&](uint32_t layers) {
        n = layers;
        return takes_of(filled).device() <= budget_.device;
      });
      if (n > 0) push(filled, takes_of(filled), out);
      n = 0;
    }
  }
}

void Ranking::fill_all(uint32_t distance, std::vector<Ranked>& out) const {
  for (Choice choice : chunks_)
    for (const EnumSet<Recompute> set : sets_) {
      choice.recompute(set);
      choice.distance = distance;
      fill(choice, out);
    }
}

// The first layers recompute choice.first, as few as do, the others rest.
void Ranking::mix(const Choice& choice, EnumSet<Recompute> rest, double& fastest, std::vector<Ranked>& out) const {
  Choice mixed = choice;
  mixed.recompute(rest);
  if (takes_of(mixed).seconds(accumulation_) >= fastest) return;  // as any mix is
  mixed.first = choice.first;
  mixed.first_layers = smallest(layers_ - 1, [&](uint32_t layers) {
    mixed.first_layers = layers;
    return may_fit(mixed, takes_of(mixed));
  });
  if (mixed.first_layers == 0) return;
  push(mixed, takes_of(mixed), out);
  fastest = std::min(fastest, out.back().seconds);
}

// layers, and one more where something is outside of them
uint32_t Ranking::most_of(Offload kind) const {
  return is_in_layers_alone(kind) ? layers_ : layers_ + 1;
}

std::vector<Ranking::Count> Ranking::counts_of(Choice& choice) const {
  std::vector<Count> counts;
  if (!(choice.first == choice.rest)) counts.push_back({&choice.first_layers, layers_ - 1});
  if (remakes_) counts.push_back({&choice.remade, layers_});
  if (!coarse_ && !ahead_) counts.push_back({&choice.distance, 1});  // further ahead: Search::vary
  for (const Offload kind : kinds_) counts.push_back({&choice.offloaded[size_t(kind)], most_of(kind)});
  return counts;
}

void Ranking::consider(Choice choice, Ranked& best) const {
  if (choice.first_layers == 0) choice.first = choice.rest;  // one policy, one choice
  if (choice.first == choice.rest) choice.first_layers = 0;
  if (!choice.copies_in_layers()) choice.distance = 1;
  const Takes takes = takes_of(choice);
  const double seconds = takes.seconds(accumulation_);
  if (seconds < best.seconds && may_fit(choice, takes)) best = {choice, takes, seconds};
}

// One count is changed, and another one to the least that then fits.
void Ranking::exchange(const Choice& from, Ranked& best) const {
  Choice choice = from;
  const std::vector<Count> counts = counts_of(choice);
  for (size_t x = 0; x < counts.size(); ++x)
    for (const int64_t by : {-4, -1, 1, 4}) {
      const int64_t changed = int64_t(*counts[x].value) + by;
      if (changed < 0 || changed > int64_t(counts[x].most)) continue;
      const Choice before = choice;
      *counts[x].value = uint32_t(changed);
      consider(choice, best);
      for (size_t y = 0; y < counts.size(); ++y) {
        if (y == x) continue;
        const uint32_t was = *counts[y].value;
        const auto fits = [&](uint32_t n) {
          *counts[y].value = n;
          return may_fit(choice, takes_of(choice));
        };
        *counts[y].value = fits(0) ? 0 : smallest(counts[y].most, fits);
        consider(choice, best);
        *counts[y].value = was;
      }
      choice = before;
    }
}

// Steps to the best of what differs a little, as long as there is a faster one.
Ranked Ranking::improved(Ranked from) const {
  constexpr int kMostSteps = 16;
  for (int step = 0; step < kMostSteps; ++step) {
    Ranked best = from;
    for (const EnumSet<Recompute> set : all_sets_) {
      Choice choice = from.choice;
      choice.rest = set;
      if (choice.first_layers == 0) choice.first = set;
      consider(choice, best);
      choice = from.choice;
      if (choice.first_layers == 0) continue;
      choice.first = set;
      consider(choice, best);
    }
    for (const Choice& chunks : chunks_) {
      Choice choice = from.choice;
      choice.head_chunks = chunks.head_chunks;
      choice.attention_chunks = chunks.attention_chunks;
      choice.transposed = chunks.transposed;
      consider(choice, best);
    }
    exchange(from.choice, best);
    if (best.choice == from.choice) break;
    from = best;
  }
  return from;
}

std::vector<Ranked> Ranking::uniform_fitting() const {
  std::vector<Ranked> found;
  fill_all(1, found);
  if (found.empty()) fill_all(0, found);
  return found;
}

std::vector<Ranked> Ranking::fitting() const {
  const auto by_choice = [](const Ranked& a, const Ranked& b) { return a.choice < b.choice; };
  const auto by_seconds = [&](const Ranked& a, const Ranked& b) {
    return a.seconds != b.seconds ? a.seconds < b.seconds : by_choice(a, b);
  };
  std::vector<Ranked> found;
  for (const Ranked& one : every_) push(one.choice, corrected(one.choice, one.takes), found);
  if (every_.empty()) {
    found = uniform_fitting();
    std::sort(found.begin(), found.end(), by_choice);
    const auto same = [](const Ranked& a, const Ranked& b) { return a.choice == b.choice; };
    found.erase(std::unique(found.begin(), found.end(), same), found.end());
    // some layers may do with less: the sets are in the order of their bytes, so that those behind are faster
    const std::vector<Ranked> uniform = found;
    double fastest = std::numeric_limits<double>::infinity();
    for (const Ranked& ranked : uniform) fastest = std::min(fastest, ranked.seconds);
    for (const Ranked& ranked : uniform)
      for (size_t rest = sets_.size(); rest-- > 0 && !(sets_[rest] == ranked.choice.rest);)
        mix(ranked.choice, sets_[rest], fastest, found);
    std::sort(found.begin(), found.end(), by_seconds);
    std::set<Choice> families;
    const std::vector<Ranked> starts = found;
    for (auto start = starts.begin(); start != starts.end() && families.size() < starts_; ++start)
      if (families.insert(near_family_of(start->choice, layers_)).second) found.push_back(improved(*start));
  }
  std::sort(found.begin(), found.end(), by_seconds);
  return found;
}

std::optional<Ranked> Ranking::least(const std::set<Choice>& but) const {
  std::optional<Ranked> best;
  double best_over = 0;
  const auto consider = [&](const Choice& choice) {
    if (but.contains(choice)) return;
    const Takes takes = takes_of(choice);
    const double over = std::max(0.0, takes.device() - budget_.device) + std::max(0.0, takes.host - budget_.host);
    if (best && over >= best_over) return;
    best_over = over;
    best = Ranked{choice, takes, takes.seconds(accumulation_)};
  };
  for (const Ranked& one : every_) consider(one.choice);
  if (ranks_all()) return best;
  for (Choice choice : chunks_)
    for (const EnumSet<Recompute> set : sets_) {
      choice.recompute(set);
      for (uint32_t whole = 0; whole < 1u << kinds_.size(); ++whole) {
        if (!is_sensible(whole)) continue;
        for (uint32_t k = 0; k < kinds_.size(); ++k)
          choice.offloaded[size_t(kinds_[k])] = whole >> k & 1 ? most_of(kinds_[k]) : 0;
        choice.distance = choice.copies_in_layers() ? 0 : 1;
        consider(choice);
      }
    }
  return best;
}

}  // namespace tandem
