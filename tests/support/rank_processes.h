// Runs tests/faults/rank_process.cpp, one process per rank, and sees when and how each ends.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "core/runtime/socket.h"
#include "tests/support/temporary.h"

namespace tandem::test {

using Variables = std::map<std::string, std::string>;

// How a rank ended: exit is its code, 128 and the number of the signal that killed it, or kStopped.
constexpr int kStopped = 1000;
struct Ended {
  int exit = -1;
  std::string out, err;
  Clock::time_point when;

  bool says(std::string_view text) const { return err.find(text) != err.npos; }
};

// What the processes are told beside their variables.
struct RankCall {
  uint32_t devices = 2;
  std::string what = "end";  // what rank `rank` does after the rounds
  uint32_t rank = 0;
  std::string identity = "this run";
  std::chrono::milliseconds patience{60000};

  std::vector<std::string> arguments(const TemporaryDirectory& directory) const;
};

const char* rank_program();

// A running rank. It is killed at the end where it still runs.
class RankProcess {
 public:
  RankProcess(const TemporaryDirectory& directory, const RankCall& call, const Variables& variables);
  RankProcess(const TemporaryDirectory& directory, std::vector<std::string> command, const Variables& variables);
  RankProcess(RankProcess&& other) noexcept;
  ~RankProcess();

  bool poll();  // true once it has ended or stopped
  Ended ended() const;

 private:
  void start(std::vector<std::string> command, const Variables& variables);

  std::string files_;
  pid_t process_ = -1;
  bool running_ = true;
  Ended ended_;
};

// Waits for all of them, up to a minute and a half.
std::vector<Ended> wait_for_all(std::vector<RankProcess>& processes);

// A port of the loopback that nobody listens at.
uint16_t free_port();

// The variables of rank r of a run that meets at an address, by the names of tests/run/launch.cpp's rows.
Variables by_hand(uint32_t rank, uint32_t ranks, uint16_t port);

}  // namespace tandem::test
