// The report page: one HTML file that holds all it shows.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/report/run_view.h"

namespace tandem::report {

// A file that begins otherwise was not written here.
constexpr std::string_view kPageStart = "<!doctype html><!-- tandem report";

// live: the page asks to be read again every 5 seconds.
std::string page_of(std::span<const RunView> runs, bool live);

// The numbers of the page, as its <script type="application/json"> has them.
std::string page_json(std::span<const RunView> runs);

}  // namespace tandem::report
