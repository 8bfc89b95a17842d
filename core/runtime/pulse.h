// Whether the other processes of a run live: one thread that sends a beat every 2 s, listens for those of the others,
// and reads who has failed. Rank 0 passes on what it learns.
#pragma once

#include <mutex>
#include <optional>
#include <thread>

#include "core/runtime/socket.h"
#include "core/runtime/wire.h"

namespace tandem {

class Pulse {
 public:
  // links: by the rank at the other end, empty where there is none
  Pulse(uint32_t rank, std::vector<Socket> links);
  ~Pulse();  // tells the others that this rank has ended well, unless something failed
  Pulse(const Pulse&) = delete;
  Pulse& operator=(const Pulse&) = delete;

  // Records a failure and tells the others; text: a sentence that names the rank. The first one counts.
  void fail(std::string_view text) noexcept;
  std::optional<std::string> failure() const;
  bool left(uint32_t rank) const;  // it has ended well

 private:
  struct Peer {
    uint32_t rank = 0;
    Socket socket;
    std::string received;  // the beginning of a note
    Clock::duration silent{0};
    bool alive = false, left = false;
  };

  void run() noexcept;
  void turn(Clock::duration waited);
  void listen(Peer& peer);
  void read_notes(Peer& peer);
  void lose(Peer& peer, std::string_view why);
  void record(std::string_view text, uint32_t from);
  void tell(Peer& peer, wire::NoteKind kind, std::string_view text) noexcept;

  const uint32_t rank_;
  mutable std::mutex mutex_;  // for all below
  std::vector<Peer> peers_;
  std::optional<std::string> failure_;
  Clock::time_point next_beat_ = Clock::now();
  bool ending_ = false;
  Socket wake_, woken_;  // a pair; a byte through it ends the thread's wait
  std::thread thread_;
};

}  // namespace tandem
