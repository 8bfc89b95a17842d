// Stacked bars as <figure>s: a step's seconds above their floors, and the bytes of device and host within their
// budgets.
#pragma once

#include <string>

#include "core/report/shares.h"

namespace tandem::report {

// id: of the figure; title: whose bars they are, empty for the only run; largest: seconds, or bytes, of the whole
// width.
std::string bars_of(const StepTime& time, const std::string& id, const std::string& title, double largest);
std::string bars_of(const Bytes& bytes, const std::string& id, const std::string& title, uint64_t device_width,
                    uint64_t host_width);

}  // namespace tandem::report
