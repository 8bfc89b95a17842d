// Whether a run's process is at work.
#pragma once

#include <optional>
#include <string>

namespace tandem::report {

// True if a process of this host holds the run directory's lock, or, where the lock is another host's or there is none,
// if its last line is younger than 60 s or 10 median steps. last_time: of the last line, Unix seconds.
bool is_alive(const std::string& directory, std::optional<double> last_time, double median_seconds);

}  // namespace tandem::report
