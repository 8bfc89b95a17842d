// Ranks that are threads of one process: they meet under one mutex, and each reads what it needs from the others'
// memory.
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <optional>

#include "core/runtime/world.h"

namespace tandem {
namespace {

// Where the threads meet. A round has two meetings: at the first all show what they bring, at the second all have read
// it.
class Meeting {
 public:
  explicit Meeting(uint32_t ranks) : offers_(ranks), left_(ranks) {}

  // Returns when all ranks have come, with equal messages; what each shows stays until it comes to all_have_read.
  std::span<const Offer> meet(uint32_t rank, const Offer& offer) {
    std::unique_lock lock(mutex_);
    throw_failure(rank);
    offers_[rank] = offer;
    if (++shown_ == offers_.size()) {
      shown_ = 0;
      if (!compare()) throw_failure(rank);
      ++rounds_;
      changed_.notify_all();
      return offers_;
    }
    const uint64_t before = rounds_;
    changed_.wait(lock, [&] { return rounds_ != before || failure_ || gone(); });
    if (rounds_ == before) {
      if (!failure_) record(fmt::format("rank {} ended before the others", *gone()));
      throw_failure(rank);
    }
    return offers_;
  }

  // Every rank comes here from meet, whatever happens meanwhile: nobody returns while another reads its memory.
  void all_have_read() {
    std::unique_lock lock(mutex_);
    if (++read_ == offers_.size()) {
      read_ = 0;
      ++finished_;
      changed_.notify_all();
      return;
    }
    const uint64_t before = finished_;
    changed_.wait(lock, [&] { return finished_ != before; });
  }

  void fail(uint32_t rank, std::string_view text) {
    const std::lock_guard lock(mutex_);
    record(fmt::format("rank {} failed: {}", rank, text));
  }

  void check(uint32_t rank) {
    const std::lock_guard lock(mutex_);
    throw_failure(rank);
  }

  // thrown: its thread is on its way out by an exception
  void leave(uint32_t rank, bool thrown) {
    const std::lock_guard lock(mutex_);
    left_[rank] = true;
    if (thrown) record(fmt::format("rank {} failed", rank));
    changed_.notify_all();
  }

 private:
  std::optional<size_t> gone() const {
    for (size_t r = 0; r < left_.size(); ++r)
      if (left_[r]) return r;
    return {};
  }

  void record(std::string text) {
    if (!failure_) failure_ = std::move(text);
    changed_.notify_all();
  }

  void throw_failure(uint32_t rank) const {
    if (failure_) tandem::fail(Exit::device, fmt::format("rank {}", rank), "{}", *failure_);
  }

  bool compare() {
    for (uint32_t r = 1; r < offers_.size(); ++r)
      if (offers_[r].message != offers_[0].message) {
        record(differ(0, offers_[0].message, r, offers_[r].message));
        return false;
      }
    return true;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Offer> offers_;
  std::vector<bool> left_;
  size_t shown_ = 0, read_ = 0;         // ranks, in the round that goes on
  uint64_t rounds_ = 0, finished_ = 0;  // rounds in which all have shown, and have read
  std::optional<std::string> failure_;
};

void copy(Bytes from, MutableBytes to) {
  if (!from.empty() && from.data() != to.data()) std::memcpy(to.data(), from.data(), from.size());
}

class LocalWorld : public World {
 public:
  LocalWorld(const Seat& seat, std::shared_ptr<Meeting> meeting) : World(seat), meeting_(std::move(meeting)) {}
  ~LocalWorld() override { meeting_->leave(seat().rank, std::uncaught_exceptions() > exceptions_); }

  void fail(Exit, std::string_view text) noexcept override { meeting_->fail(seat().rank, text); }
  void check() override { meeting_->check(seat().rank); }

  bool visit(const Offer& mine, const Read& read) override {
    const std::span<const Offer> all = meeting_->meet(seat().rank, mine);
    std::exception_ptr thrown;
    try {
      read(all);
    } catch (...) {
      thrown = std::current_exception();
    }
    meeting_->all_have_read();
    if (thrown) std::rethrow_exception(thrown);
    return true;
  }

 protected:
  void meet(const Message& message, Bytes from, MutableBytes to) override {
    const Offer mine{message, {&from, 1}};
    visit(mine, [&](std::span<const Offer> all) { take(message, all, to); });
  }

 private:
  // to: as long as the message has it on this rank
  void take(const Message& message, std::span<const Offer> all, MutableBytes to) const {
    const auto brought = [&](size_t rank) { return all[rank].parts[0]; };
    const size_t bytes = message.bytes, part = bytes / all.size();
    switch (message.kind) {
      case MessageKind::barrier:
      case MessageKind::exchange:
        break;
      case MessageKind::agree: {
        uint32_t bits = 0, word = 0;
        for (size_t r = 0; r < all.size(); ++r, bits |= word) std::memcpy(&word, brought(r).data(), sizeof word);
        std::memcpy(to.data(), &bits, sizeof bits);
        break;
      }
      case MessageKind::broadcast:
        copy(brought(message.root), to);
        break;
      case MessageKind::gather:
        if (seat().rank != message.root) break;
        [[fallthrough]];
      case MessageKind::all_gather:
        for (size_t r = 0; r < all.size(); ++r) copy(brought(r), to.subspan(r * bytes, bytes));
        break;
      case MessageKind::all_to_all:
        for (size_t r = 0; r < all.size(); ++r)
          copy(brought(r).subspan(seat().rank * part, part), to.subspan(r * part, part));
        break;
    }
  }

  std::shared_ptr<Meeting> meeting_;
  int exceptions_ = std::uncaught_exceptions();
};

}  // namespace

std::vector<std::unique_ptr<World>> local_worlds(uint32_t ranks) {
  TANDEM_CHECK(ranks > 0, "a run has ranks");
  const auto meeting = std::make_shared<Meeting>(ranks);
  std::vector<std::unique_ptr<World>> worlds;
  for (uint32_t r = 0; r < ranks; ++r)
    worlds.push_back(
        std::make_unique<LocalWorld>(Seat{.rank = r, .ranks = ranks, .local_rank = r, .local_ranks = ranks}, meeting));
  return worlds;
}

}  // namespace tandem
