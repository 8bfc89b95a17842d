#include "core/report/report.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "core/base/file.h"
#include "core/base/message.h"
#include "core/report/events.h"
#include "core/report/page.h"
#include "core/run/signals.h"

namespace tandem::report {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr size_t kMostRuns = 8;
constexpr auto kLook = std::chrono::milliseconds(1000), kWrite = std::chrono::milliseconds(5000);
constexpr auto kResume = std::chrono::seconds(60);
constexpr auto kNap = std::chrono::milliseconds(50);  // between two looks for a signal

void check_page_file(const std::string& out) {
  std::error_code none;
  const fs::path directory = fs::path(out).parent_path();
  if (!directory.empty() && !fs::is_directory(directory, none))
    fail(Exit::configuration, "--out", "{} is to stand in {}, which is not a directory; make it, or name another file",
         out, directory.string());
  if (!fs::exists(out, none)) return;
  std::string start(kPageStart.size(), '\0');
  std::ifstream file(out, std::ios::binary);
  if (!fs::is_regular_file(out, none) || !file.read(start.data(), std::streamsize(start.size())) || start != kPageStart)
    fail(Exit::configuration, "--out", "{} is there and is not a report; name another file, or remove it", out);
}

void check_options(const ReportOptions& o) {
  if (o.out.empty() && o.tensorboard.empty())
    fail(Exit::configuration, "report",
         "nothing to write; name a page by --out FILE.html, or a directory by --tensorboard DIR");
  if (o.runs.size() > kMostRuns)
    fail(Exit::configuration, "report", "{} runs are too many for a page; name at most {}", o.runs.size(), kMostRuns);
  if (!o.trace.empty() && o.runs.size() > 1)
    fail(Exit::configuration, "--profile", "is one run's, and {} are named; name one", o.runs.size());
  std::set<std::string> known;
  std::error_code none;
  for (const std::string& run : o.runs)
    if (!known.insert(fs::weakly_canonical(run, none).string()).second)
      fail(Exit::configuration, "report", "{} is named twice; name each run once", run);
  if (!o.out.empty()) check_page_file(o.out);
}

// A run without a line yet is waited for where it is at work.
void require_lines(const RunView& run, bool follow) {
  if (run.history().ends.first || run.history().evaluations.last || (follow && run.alive)) return;
  if (run.log->gone())
    fail(Exit::input, run.log->path(), "is not there; name the run.directory of a run that has made a step");
  fail(Exit::input, run.log->path(), "has no line that can be read ({} could not be); is it a run's?",
       run.log->bad_lines());
}

// NAME, or NAME-2 where it is taken.
std::vector<std::string> event_directories(const std::string& directory, const std::vector<RunView>& runs) {
  std::vector<std::string> names;
  for (const RunView& run : runs) {
    std::string name = run.name;
    for (int n = 2; std::ranges::find(names, name) != names.end(); ++n) name = fmt::format("{}-{}", run.name, n);
    names.push_back(name);
  }
  for (std::string& name : names) name.insert(0, directory + "/");
  return names;
}

class Report {
 public:
  explicit Report(const ReportOptions& options) : options_(options) {
    for (const std::string& run : options.runs) runs_.push_back(open_run(run, options.trace));
    last_alive_.resize(runs_.size());
    if (options.tensorboard.empty()) return;
    const std::vector<std::string> directories = event_directories(options.tensorboard, runs_);
    for (size_t i = 0; i < runs_.size(); ++i)
      events_.push_back(std::make_unique<EventFile>(runs_[i].log->path(), directories[i]));
  }

  void look() {
    for (size_t i = 0; i < runs_.size(); ++i) {
      RunView& run = runs_[i];
      news_ |= refresh(run);
      if (run.alive) last_alive_[i] = Clock::now();
      if (!vanished(run)) require_lines(run, options_.follow);
    }
  }
  bool at_work() const {
    bool any = false;
    for (size_t i = 0; i < runs_.size(); ++i) any = any || runs_[i].alive || may_be_resumed(i);
    return any && std::ranges::none_of(runs_, vanished);
  }
  bool has_news() const { return news_; }
  void write(bool live) {
    for (const auto& file : events_) file->update();
    if (!options_.out.empty()) replace_file(options_.out, page_of(runs_, live));
    news_ = false;
  }
  void tell() const {
    for (const RunView& run : runs_)
      if (run.log->bad_lines() > 0)
        warn(fmt::format("{}: {} lines could not be read and are left out; the first is line {}", run.log->path(),
                         run.log->bad_lines(), run.log->first_bad_line()));
    if (!options_.out.empty()) write_message(fmt::format("the page is {}\n", options_.out));
    for (const RunView& run : runs_)
      if (vanished(run)) fail(Exit::input, run.directory, "vanished while it was followed; its last state was written");
  }

 private:
  // It was at work a moment ago and ended before its last step.
  bool may_be_resumed(size_t i) const {
    return runs_[i].state == State::stopped && last_alive_[i] && Clock::now() - *last_alive_[i] < kResume;
  }
  static bool vanished(const RunView& run) { return run.vanished || (run.log->gone() && run.history().ends.first); }

  const ReportOptions& options_;
  std::vector<RunView> runs_;
  std::vector<std::optional<Clock::time_point>> last_alive_;  // by run
  std::vector<std::unique_ptr<EventFile>> events_;
  bool news_ = true;
};

void follow(Report& report) {
  const Signals signals;
  auto looked = Clock::now(), written = Clock::time_point();
  while (report.at_work() && !signals.stop()) {
    if (report.has_news() && Clock::now() - written >= kWrite) {
      report.write(true);
      written = Clock::now();
    }
    while (Clock::now() - looked < kLook && !signals.stop()) std::this_thread::sleep_for(kNap);
    report.look();
    looked = Clock::now();
  }
}

}  // namespace

Exit make_report(const ReportOptions& options) {
  check_options(options);
  Report report(options);
  report.look();
  if (options.follow) follow(report);
  report.write(false);
  report.tell();
  return Exit::ok;
}

}  // namespace tandem::report
