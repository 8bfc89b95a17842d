#include "tests/support/rank_processes.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <thread>

namespace tandem::test {
namespace {

// Launchers around the test are not to be seen by the ranks.
constexpr const char* kPrefixes[] = {"TANDEM_RANK", "TANDEM_WORLD", "TANDEM_LOCAL", "TANDEM_RENDEZVOUS", "RANK=",
                                     "WORLD_SIZE=", "LOCAL_",       "MASTER_",      "TORCHELASTIC",      "OMPI_",
                                     "PMI",         "MPI_",         "SLURM_",       "TANDEM_SECRET"};

std::vector<std::string> environment_with(const Variables& variables) {
  std::vector<std::string> all;
  for (char** at = environ; *at != nullptr; ++at) {
    const std::string_view entry = *at;
    const bool launch = std::any_of(std::begin(kPrefixes), std::end(kPrefixes),
                                    [&](const char* prefix) { return entry.starts_with(prefix); });
    if (!launch) all.emplace_back(entry);
  }
  for (const auto& [name, value] : variables) all.push_back(name + "=" + value);
  return all;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

[[noreturn]] void become(char* const* command, char* const* environment, const char* out, const char* err) {
  const int files[] = {::open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600),
                       ::open(err, O_WRONLY | O_CREAT | O_TRUNC, 0600)};
  if (::dup2(files[0], STDOUT_FILENO) < 0 || ::dup2(files[1], STDERR_FILENO) < 0) ::_exit(126);
  ::execve(command[0], command, environment);
  ::_exit(127);
}

}  // namespace

const char* rank_program() {
  const char* program = std::getenv("TANDEM_RANK_PROCESS");
  TANDEM_CHECK(program != nullptr, "TANDEM_RANK_PROCESS does not name the program of a rank");
  return program;
}

std::vector<std::string> RankCall::arguments(const TemporaryDirectory& directory) const {
  return {rank_program(), std::to_string(devices), directory / "run", identity, std::to_string(patience.count()),
          what,           std::to_string(rank)};
}

RankProcess::RankProcess(const TemporaryDirectory& directory, const RankCall& call, const Variables& variables)
    : RankProcess(directory, call.arguments(directory), variables) {}

RankProcess::RankProcess(const TemporaryDirectory& directory, std::vector<std::string> command,
                         const Variables& variables) {
  static std::atomic<int> count = 0;
  files_ = directory / fmt::format("rank{}", count++);
  start(std::move(command), variables);
}

RankProcess::RankProcess(RankProcess&& other) noexcept
    : files_(std::move(other.files_)),
      process_(std::exchange(other.process_, -1)),
      running_(other.running_),
      ended_(std::move(other.ended_)) {}

RankProcess::~RankProcess() {
  if (process_ < 0 || (!running_ && ended_.exit != kStopped)) return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
}

void RankProcess::start(std::vector<std::string> command, const Variables& variables) {
  std::vector<std::string> environment = environment_with(variables);
  const std::vector<char*> arguments = pointers_to(command), values = pointers_to(environment);
  const std::string out = files_ + ".out", err = files_ + ".err";
  process_ = ::fork();
  TANDEM_CHECK(process_ >= 0, "no process for {}", command[0]);
  if (process_ == 0) become(arguments.data(), values.data(), out.c_str(), err.c_str());
}

bool RankProcess::poll() {
  if (!running_) return true;
  int status = 0;
  const pid_t changed = ::waitpid(process_, &status, WNOHANG | WUNTRACED);
  TANDEM_CHECK(changed >= 0, "process {} was lost", process_);
  if (changed == 0) return false;
  running_ = false;
  ended_.when = Clock::now();
  ended_.exit = WIFSTOPPED(status) ? kStopped : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return true;
}

Ended RankProcess::ended() const {
  Ended ended = ended_;
  if (file_exists(files_ + ".out")) ended.out = read_text(files_ + ".out");
  if (file_exists(files_ + ".err")) ended.err = read_text(files_ + ".err");
  return ended;
}

std::vector<Ended> wait_for_all(std::vector<RankProcess>& processes) {
  const Clock::time_point until = Clock::now() + std::chrono::seconds(90);
  for (bool all = false; !all && Clock::now() < until; std::this_thread::sleep_for(std::chrono::milliseconds(5))) {
    all = true;
    for (RankProcess& process : processes) all = process.poll() && all;
  }
  std::vector<Ended> ended;
  for (const RankProcess& process : processes) ended.push_back(process.ended());
  return ended;
}

uint16_t free_port() {
  std::string why;
  const Listening made = listen_at(resolve("127.0.0.1", 0, why).at(0));
  return port_of(made.socket);
}

Variables by_hand(uint32_t rank, uint32_t ranks, uint16_t port) {
  return {{"TANDEM_RANK", std::to_string(rank)},
          {"TANDEM_WORLD_SIZE", std::to_string(ranks)},
          {"TANDEM_RENDEZVOUS", fmt::format("127.0.0.1:{}", port)}};
}

}  // namespace tandem::test
