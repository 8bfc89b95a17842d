#include "backends/cuda/copy_communicator.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace tandem::cuda {
namespace {

// What a rank shows: the event that its peers wait for, and its calls.
enum : size_t { kEvent, kCalls };

template <typename T>
std::span<const T> shown(const Offer& offer, size_t part) {
  const Bytes bytes = offer.parts[part];
  return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
}

uint64_t bytes_of(std::span<const ExchangeCall> calls) {
  uint64_t bytes = 0;
  for (const ExchangeCall& call : calls) bytes += call.bytes;
  return bytes;
}

// The i-th call by which a peer sends to the rank.
const ExchangeCall& sent_to(std::span<const ExchangeCall> calls, uint32_t rank, size_t i) {
  for (const ExchangeCall& call : calls)
    if (call.kind == CallKind::send && call.peer == rank && i-- == 0) return call;
  fail(Exit::internal, "cuda", "rank {} receives what no peer sends", rank);
}

}  // namespace

bool ranks_are_threads(World& world) {
  const Bytes nothing;
  return world.visit({{MessageKind::exchange, "threads", 0}, {&nothing, 1}}, [](std::span<const Offer>) {});
}

bool reach_peers(Device& device, World& world) {
  const char* allowed = std::getenv("TANDEM_PEER");
  bool all = allowed == nullptr || std::strcmp(allowed, "0") != 0;
  device.make_current();
  for (const uint32_t peer : gather_values(world, device.index(), "indices of devices")) {
    if (!all || peer == device.index()) continue;
    int able = 0;
    check(cudaDeviceCanAccessPeer(&able, int(device.index()), int(peer)), "cudaDeviceCanAccessPeer");
    const cudaError_t result = able ? cudaDeviceEnablePeerAccess(int(peer), 0) : cudaErrorPeerAccessUnsupported;
    (void)cudaGetLastError();
    all = result == cudaSuccess || result == cudaErrorPeerAccessAlreadyEnabled;
  }
  return std::ranges::all_of(gather_values(world, uint8_t(all), "reach of devices"), [](uint8_t r) { return r != 0; });
}

void CopyCommunicator::run(std::span<const ExchangeCall> calls, cudaStream_t stream) {
  for (const ExchangeCall& call : calls)
    if (call.kind == CallKind::all_reduce_max) take_largest(call, stream);
  device_.record(ready_, stream);
  meet("copies", calls, ready_, stream, [&](std::span<const Offer> all) {
    for (uint32_t i = 0; i < all.size(); ++i) {  // Each begins with another peer.
      const uint32_t rank = (world_.seat().rank + i) % uint32_t(all.size());
      take(calls, shown<ExchangeCall>(all[rank], kCalls), rank, stream);
    }
  });
  // What was copied from may be overwritten once all have it.
  device_.record(copied_, stream);
  meet("copied", calls, copied_, stream, [](std::span<const Offer>) {});
}

void CopyCommunicator::meet(std::string_view label, std::span<const ExchangeCall> calls, const OwnedEvent& event,
                            cudaStream_t stream, const World::Read& read) {
  const cudaEvent_t mine = event.get();
  const Bytes parts[] = {std::as_bytes(std::span(&mine, 1)), std::as_bytes(calls)};
  world_.visit({{MessageKind::exchange, label, bytes_of(calls)}, parts}, [&](std::span<const Offer> all) {
    for (uint32_t r = 0; r < all.size(); ++r)
      if (r != world_.seat().rank)
        device_.check_device(cudaStreamWaitEvent(stream, shown<cudaEvent_t>(all[r], kEvent)[0], 0),
                             "cudaStreamWaitEvent");
    read(all);
  });
}

void CopyCommunicator::take(std::span<const ExchangeCall> mine, std::span<const ExchangeCall> theirs, uint32_t rank,
                            cudaStream_t stream) {
  size_t received = 0;
  for (size_t i = 0; i < mine.size(); ++i) {
    const ExchangeCall& call = mine[i];
    const bool gathers = call.kind == CallKind::all_gather;
    if (!gathers && (call.kind != CallKind::receive || call.peer != rank)) continue;
    std::byte* const to = gathers ? call.to + rank * call.bytes : call.to;
    const ExchangeCall& theirs_i = gathers ? theirs[i] : sent_to(theirs, world_.seat().rank, received++);
    if (to != theirs_i.from)
      device_.check_device(cudaMemcpyAsync(to, theirs_i.from, call.bytes, cudaMemcpyDefault, stream),
                           "cudaMemcpyAsync between GPUs");
  }
}

// A few words, once per step: on the host.
void CopyCommunicator::take_largest(const ExchangeCall& call, cudaStream_t stream) {
  std::vector<uint32_t> mine(call.bytes / sizeof(uint32_t)), largest(mine.size());
  device_.check_device(cudaMemcpyAsync(mine.data(), call.from, call.bytes, cudaMemcpyDeviceToHost, stream),
                       "cudaMemcpyAsync");
  device_.record(ready_, stream);
  device_.wait(ready_.get(), "all_reduce_max");
  const Bytes part = std::as_bytes(std::span(mine));
  world_.visit({{MessageKind::exchange, "all_reduce_max", call.bytes}, {&part, 1}}, [&](std::span<const Offer> all) {
    for (const Offer& offer : all)
      std::ranges::transform(largest, shown<uint32_t>(offer, 0), largest.begin(),
                             [](uint32_t a, uint32_t b) { return std::max(a, b); });
  });
  device_.check_device(cudaMemcpyAsync(call.to, largest.data(), call.bytes, cudaMemcpyHostToDevice, stream),
                       "cudaMemcpyAsync");
  device_.record(ready_, stream);
  device_.wait(ready_.get(), "all_reduce_max");
}

}  // namespace tandem::cuda
