#include "core/plan/search.h"

#include <algorithm>
#include <limits>

namespace tandem {
namespace {

// Choices are all ranked up to so many. Fewer: small models run what moves find. More: ranking takes longer.
constexpr size_t kRankedChoices = 8192;
// Choices from which moves go on. Fewer: one that only looks good hides the others. More: ranking takes longer.
constexpr size_t kFound = 16;

}  // namespace

MemoryBudget budget_of(const Target& target) {
  const double host =
      target.host_memory_bytes == 0 ? std::numeric_limits<double>::infinity() : double(target.host_memory_bytes);
  return {double(target.memory_bytes), host};
}

Ranking::Ranking(const PlanRequest& request, const Effects& effects)
    : knobs_(effects.knobs()),
      accumulation_(request.shape.accumulation),
      budget_(budget_of(request.target)),
      effects_(effects),
      slack_(request.coarse ? 0 : kError),
      corrections_(knobs_, request.model.layers) {
  enumerate();
}

void Ranking::enumerate() {
  size_t choices = 1;
  for (const Knob& knob : knobs_)
    if ((choices *= knob.ranked.size()) > kRankedChoices) return;
  every_ = {{}};
  for (const Knob& knob : knobs_) {
    std::vector<Choice> more;
    for (const Choice& choice : every_)
      for (const uint32_t value : knob.ranked) {
        more.push_back(choice);
        more.back().push_back(value);
      }
    every_ = std::move(more);
  }
}

double Ranking::error() const {
  return ranks_all() ? 3 * kError : 0;
}

void Ranking::know(const Choice& choice, const Usage& usage) {
  corrections_.add(choice, Usage(usage).add(effects_.sum(choice), -1));
}

void Ranking::correct(const Choice& choice, const Usage& usage) {
  know(choice, usage);
  if (usage.device() > budget_.device) slack_ -= kError / 2;
}

const Corrections::Correction& Ranking::correction(const Choice& choice) const {
  static const Corrections::Correction kNone;
  return corrections_.empty() ? kNone : corrections_.of(choice, ranks_all());
}

double Ranking::over(const Corrections::Correction& correction, const UsageBytes& corrected) const {
  const double slack = ranks_all() ? 10 * kError : correction.same ? 0 : slack_;
  return budget_.over(corrected.device() / (1 + slack), corrected.host);
}

bool Ranking::fits(const Choice& choice, UsageBytes estimate) const {
  const Corrections::Correction& c = correction(choice);
  return over(c, estimate.add(c.error, 1)) == 0;
}

Score Ranking::score(const Choice& choice, Usage usage) const {
  const Corrections::Correction& c = correction(choice);
  usage.add(c.error, 1);
  const double seconds = usage.seconds(accumulation_);
  return {usage.device(), over(c, usage), seconds, seconds + kTie * usage.copies(accumulation_)};
}

// Returns a start for each recompute set that no other beats in bytes and seconds both.
std::vector<Choice> Ranking::starts() const {
  std::vector<Ranked> all;
  for (const Choice& start : starts_of(knobs_)) all.push_back(rank(start));
  std::vector<Choice> list;
  for (const Ranked& one : all)
    if (std::ranges::none_of(all, [&](const Ranked& other) {
          return differ(one.choice, other.choice) == 1 && other.device <= one.device && other.seconds <= one.seconds &&
                 (other.device < one.device || other.seconds < one.seconds);
        }))
      list.push_back(one.choice);
  return list;
}

std::vector<uint32_t> Ranking::moves_of(size_t knob, uint32_t value) const {
  const Knob& k = knobs_[knob];
  std::vector<uint32_t> values;
  if (!k.counts()) {
    if (wide_ || k.tried.empty()) values = k.values;
    if (k.in_steps) {
      uint32_t less = 0, more = UINT32_MAX;
      for (const uint32_t v : k.values) {
        if (v < value) less = std::max(less, v);
        if (v > value) more = std::min(more, v);
      }
      std::erase_if(values, [&](uint32_t v) { return v != less && v != more; });
    }
  } else {
    const int64_t most = k.values.back();
    for (const int64_t v :
         {int64_t(value) - 4, int64_t(value) - 1, int64_t(value) + 1, int64_t(value) + 4, int64_t(0), most})
      if (v >= 0 && v <= most) values.push_back(uint32_t(v));
  }
  std::erase(values, value);
  return values;
}

// Sets the count to the least that fits, or to its most where none does. More of a count never takes more memory.
// estimate: of the choice
Score Ranking::set_to_least_that_fits(Choice& choice, size_t knob, const Usage& estimate) const {
  const Usage others = effects_.without(estimate, knob, choice);
  const auto fits_with = [&](uint32_t value) {
    choice[knob] = value;
    return fits(choice, effects_.with<UsageBytes>(others, knob, choice));
  };
  uint32_t low = 0, high = knobs_[knob].values.back();
  if (fits_with(high)) {
    if (fits_with(low)) high = low;
    while (high - low > 1) {
      const uint32_t middle = low + (high - low) / 2;
      (fits_with(middle) ? high : low) = middle;
    }
  }
  choice[knob] = high;
  return score(choice, effects_.with(others, knob, choice));
}

// Turns the knob that costs least per byte until it fits. What tells starts apart stays as it is.
Ranked Ranking::filled(Ranked from) const {
  const Choice start = from.choice;
  while (!from.fits()) {
    const Usage estimate = effects_.sum(from.choice);
    std::optional<Ranked> next;
    double least = std::numeric_limits<double>::infinity();
    const auto consider = [&](const Score& one, const Choice& choice) {
      const double saved = from.over - one.over;
      if (saved <= 0 || (one.cost - from.cost) / saved >= least) return;
      least = (one.cost - from.cost) / saved;
      next = {one, choice};
    };
    for (size_t k = 0; k < knobs_.size(); ++k) {
      Choice choice = from.choice;
      if (knobs_[k].counts()) {
        consider(set_to_least_that_fits(choice, k, estimate), choice);
        continue;
      }
      if (!knobs_[k].in_steps && start[k] != knobs_[k].values.front()) continue;
      for (const uint32_t value : moves_of(k, from.choice[k])) {
        choice[k] = value;
        consider(score(choice), choice);
      }
    }
    if (!next) break;
    *next = rank(next->choice);
    if (next->over >= from.over) break;
    from = std::move(*next);
  }
  return from;
}

// Considers the knob's value, alone and with another count set to the least that then fits.
void Ranking::move(const Ranked& from, size_t knob, uint32_t value, Ranked& best) const {
  const auto consider = [&](const Score& one, const Choice& choice) {
    if (one < best) best = {one, choice};
  };
  Choice choice = from.choice;
  choice[knob] = value;
  const Usage estimate = effects_.sum(choice);
  const Score alone = score(choice, estimate);
  consider(alone, choice);
  for (size_t other = 0; other < knobs_.size(); ++other) {
    const uint32_t before = choice[other];
    if (other == knob || !knobs_[other].counts() || before == (alone.fits() ? 0 : knobs_[other].values.back()))
      continue;
    const Score least = set_to_least_that_fits(choice, other, estimate);
    if (choice[other] != before) consider(least, choice);
    choice[other] = before;
  }
}

// Moves to the best of all that differ in one knob, or in another one too, until there is no better one. Nothing where
// it comes to a choice that another start has passed, and would end as that one did.
std::optional<Ranked> Ranking::improved(Ranked from, std::set<Choice>& passed) const {
  for (;;) {
    if (!passed.insert(from.choice).second) return {};
    Ranked best = from;
    for (size_t k = 0; k < knobs_.size(); ++k)
      for (const uint32_t value : moves_of(k, from.choice[k])) move(from, k, value, best);
    best = rank(best.choice);  // by the one sum that roundings cannot lead in circles
    if (!(best < from)) return from;
    from = std::move(best);
  }
}

Choice Ranking::with_less(const Choice& choice, double bytes) const {
  Ranking less = *this;
  less.budget_.device -= bytes;
  return less.filled(less.rank(choice)).choice;
}

void Ranking::widen() {
  wide_ = true;
  found_.clear();
}

// Returns the choices that moves lead to, from what was found before or else from the starts.
std::vector<Ranked> Ranking::moved() {
  if (found_.empty()) found_ = starts();
  std::vector<Ranked> list;
  for (const Choice& choice : found_) list.push_back(filled(rank(choice)));
  std::ranges::stable_sort(list, std::less<>{});
  const auto same = [](const Ranked& a, const Ranked& b) { return a.choice == b.choice; };
  list.erase(std::unique(list.begin(), list.end(), same), list.end());
  if (list.size() > kFound) list.erase(list.begin() + kFound, list.end());
  found_.clear();
  std::vector<Ranked> ends;
  std::set<Choice> passed;
  for (const Ranked& one : list)
    if (std::optional<Ranked> end = improved(one, passed)) {
      found_.push_back(end->choice);
      ends.push_back(std::move(*end));
    }
  return ends;
}

std::vector<Ranked> Ranking::best() {
  std::vector<Ranked> list;
  for (const Choice& choice : every_) list.push_back(rank(choice));
  if (!ranks_all()) list = moved();
  std::ranges::stable_sort(list, std::less<>{});
  if (list.front().fits() || wide_ || ranks_all()) return list;
  widen();
  return best();
}

}  // namespace tandem
