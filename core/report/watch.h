// `tandem watch`: a run in a terminal, until it ends.
#pragma once

#include <string>
#include <vector>

#include "core/report/run_view.h"

namespace tandem::report {

struct Screen {
  size_t columns = 80, rows = 24;
  bool colours = false;
  bool blocks = true;  // the terminal's characters are UTF-8
};

// What deserves a look, a line each. now: Unix seconds; free: bytes of the run's disk.
std::vector<std::string> alarms_of(const RunView& run, double now, double free);

// Lines, none longer than the columns less one, no more than the rows less one.
std::vector<std::string> screen_of(const RunView& run, const Screen& screen, double now, double free);

// One line without escapes.
std::string plain_line(const RunView& run);

// The last values of a figure as characters of rising height, the newest last.
std::string sparkline(const std::vector<double>& values, size_t columns, bool blocks);

// Redraws each second on a terminal; else, or where asked to be plain, writes a line every 10 s. Exit::input.
Exit watch(const std::string& directory, bool plain);

}  // namespace tandem::report
