// std::visit with a lambda per alternative: a new alternative does not compile until each visitor names it.
#pragma once

namespace tandem {

template <typename... F>
struct overloaded : F... {
  using F::operator()...;
};
template <typename... F>
overloaded(F...) -> overloaded<F...>;  // clang 14 deduces none for aggregates

}  // namespace tandem
