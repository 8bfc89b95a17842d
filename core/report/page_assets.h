// page.css and page.js as the build embeds them.
#pragma once

#include <string_view>

namespace tandem::report {

extern const std::string_view kPageCss, kPageJs;

}  // namespace tandem::report
