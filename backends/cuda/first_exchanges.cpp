#include "backends/cuda/first_exchanges.h"

#include <algorithm>
#include <cstring>

#include "core/base/size.h"

namespace tandem::cuda {
namespace {

constexpr uint64_t kSizes[] = {256, 64 << 10, 16 << 20};  // bytes of what R parts make together, about
constexpr uint64_t kPart = 256;

// The byte that a rank fills its parts with.
uint8_t mark_of(uint32_t rank) {
  return uint8_t(rank % 250 + 1);
}

class FirstExchanges {
 public:
  FirstExchanges(Device& device, const Seat& seat) : device_(device), seat_(seat) {
    device_.make_current();
    void* made = nullptr;
    device_.check_device(cudaMalloc(&made, 2 * all_of(kSizes[std::size(kSizes) - 1])), "cudaMalloc");
    memory_ = OwnedDeviceMemory(made);
  }

  void run(CollectiveKind kind, uint64_t size) {
    const uint64_t all = all_of(size), part = all / seat_.ranks;
    const bool strided = kind == CollectiveKind::all_to_all, words = kind == CollectiveKind::all_reduce_max;
    std::byte* const from = static_cast<std::byte*>(memory_.get());
    std::byte* const to = from + all;
    const Collective collective{.kind = kind,
                                .from = {{{.offset = 0, .bytes = part}, strided ? part : 0}},
                                .to = {{.offset = all, .bytes = words ? part : all}}};
    const cudaStream_t stream = device_.stream(Queue::exchange);
    device_.check_device(cudaMemsetAsync(from, mark_of(seat_.rank), all, stream), "cudaMemsetAsync");
    device_.check_device(cudaMemsetAsync(to, 0, all, stream), "cudaMemsetAsync");
    device_.communicator()->run(calls_of(collective, seat_.ranks, [&](const BufferRef& b) { return from + b.offset; }),
                                stream);
    device_.wait_all(fmt::format("the first {}", name_of(kind)));
    std::vector<uint8_t> got(words ? part : all), expected(got.size(), mark_of(std::min(seat_.ranks - 1, 249u)));
    for (uint32_t r = 0; !words && r < seat_.ranks; ++r) std::fill_n(expected.begin() + r * part, part, mark_of(r));
    device_.check_device(cudaMemcpy(got.data(), to, got.size(), cudaMemcpyDeviceToHost), "cudaMemcpy");
    if (got != expected)
      fail(
          Exit::device, "cuda",
          "{} of {} bytes between the GPUs by {} gave wrong bytes; TANDEM_PEER=0 with NCCL_P2P_DISABLE=1 takes the way "
          "through the host",
          name_of(kind), all, device_.communicator()->name());
  }

 private:
  // size, rounded up to parts that are aligned
  uint64_t all_of(uint64_t size) const { return round_up(size, kPart * seat_.ranks); }

  Device& device_;
  const Seat& seat_;
  OwnedDeviceMemory memory_;
};

}  // namespace

std::optional<std::pair<uint32_t, uint32_t>> ranks_of_one_device(Device& device, World& world) {
  constexpr size_t kName = 64;
  const uint32_t ranks = world.seat().ranks;
  const std::string name = fmt::format("{} of host {}", device.bus_id(), world.seat().host);
  std::vector<char> mine(kName), all(kName * ranks);
  std::copy_n(name.begin(), std::min(name.size(), kName - 1), mine.begin());
  world.all_gather(std::as_bytes(std::span(mine)), std::as_writable_bytes(std::span(all)), "names of devices");
  const auto name_of_rank = [&](uint32_t r) { return std::string_view(&all[r * kName]); };
  for (uint32_t a = 0; a < ranks; ++a)
    for (uint32_t b = a + 1; b < ranks; ++b)
      if (name_of_rank(a) == name_of_rank(b)) return {{a, b}};
  return {};
}

void run_first_exchanges(Device& device, const Seat& seat) {
  FirstExchanges first(device, seat);
  for (const CollectiveKind kind :
       {CollectiveKind::all_gather, CollectiveKind::all_to_all, CollectiveKind::all_reduce_max})
    for (const uint64_t size : kSizes) first.run(kind, size);
}

}  // namespace tandem::cuda
