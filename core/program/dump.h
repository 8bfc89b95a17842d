// A Program as text, made to be read and diffed.
#pragma once

#include <string>

#include "core/program/program.h"

namespace tandem {

std::string dump(const Program& program);

}  // namespace tandem
