// std::visit with a lambda per alternative: a new alternative does not compile until each visitor names it.
#pragma once

namespace tandem {

template <typename... F>
struct overloaded : F... {
  using F::operator()...;
};

}  // namespace tandem
