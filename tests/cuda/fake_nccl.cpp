#include "tests/cuda/fake_nccl.h"

#include <nccl.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

namespace {

using tandem::test::FakeNccl;

enum class Kind { all_gather, max, send, receive };
struct Call {
  Kind kind;
  const std::byte* from;
  std::byte* to;
  size_t bytes;
  int peer;
};

struct Group {
  std::map<int, std::vector<Call>> calls;  // by rank
  int done = 0;                            // ranks that have what they get
};

std::mutex mutex;
FakeNccl state;
int ranks = 0, arrived = 0;
std::map<int, Group> groups;
thread_local std::vector<Call> open;  // calls in the group that the thread has begun
thread_local ncclComm_t open_comm = nullptr;

}  // namespace

struct ncclComm {
  int rank = 0, next = 0;
  bool working = false, copied = false;  // in group `next`
};

namespace {

void raise(std::byte* to, const std::byte* from, size_t bytes) {
  for (size_t at = 0; at < bytes; at += sizeof(uint32_t)) {
    uint32_t a = 0, b = 0;
    std::memcpy(&a, to + at, sizeof a), std::memcpy(&b, from + at, sizeof b);
    a = std::max(a, b);
    std::memcpy(to + at, &a, sizeof a);
  }
}

void carry_out(Group& group, int rank, size_t i, std::vector<size_t>& received) {
  const Call& c = group.calls[rank][i];
  if (c.kind == Kind::all_gather)
    for (int p = 0; p < ranks; ++p)
      if (c.to + size_t(p) * c.bytes != group.calls[p][i].from)
        std::memcpy(c.to + size_t(p) * c.bytes, group.calls[p][i].from, c.bytes);
  if (c.kind == Kind::max) {
    if (c.to != c.from) std::memcpy(c.to, c.from, c.bytes);
    for (int p = 0; p < ranks; ++p) raise(c.to, group.calls[p][i].from, c.bytes);
  }
  if (c.kind != Kind::receive) return;
  size_t skip = received[size_t(c.peer)]++;
  for (const Call& sent : group.calls[c.peer])
    if (sent.kind == Kind::send && sent.peer == rank && skip-- == 0) std::memcpy(c.to, sent.from, c.bytes);
}

// The state of a group that all ranks take part in.
ncclResult_t progress(ncclComm& comm) {
  Group& group = groups[comm.next];
  if (int(group.calls.size()) < ranks) return ncclInProgress;
  if (state.fail_group == comm.next) return ncclSystemError;
  if (!comm.copied) {
    std::vector<size_t> received(size_t(ranks), 0);
    for (size_t i = 0; i < group.calls[comm.rank].size(); ++i) carry_out(group, comm.rank, i, received);
    comm.copied = true;
    ++group.done;
  }
  if (group.done < ranks) return ncclInProgress;
  comm.working = comm.copied = false;
  ++comm.next;
  return ncclSuccess;
}

}  // namespace

namespace {

ncclResult_t add(const Call& call, ncclComm_t comm) {
  open.push_back(call);
  open_comm = comm;
  return ncclSuccess;
}

}  // namespace

namespace tandem::test {

void reset_fake_nccl() {
  state = {};
  groups.clear();
  ranks = arrived = 0;
}
FakeNccl& fake_nccl() {
  return state;
}

}  // namespace tandem::test

extern "C" {

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  const std::lock_guard lock(mutex);
  const char* multicast = std::getenv("NCCL_NVLS_ENABLE");
  state.multicast = multicast == nullptr ? "" : multicast;
  std::strcpy(id->internal, "the same on all ranks");
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int count, ncclUniqueId id, int rank, ncclConfig_t* config) {
  const std::lock_guard lock(mutex);
  if (config->blocking != 0 || std::strcmp(id.internal, "the same on all ranks") != 0) return ncclInvalidArgument;
  ranks = count;
  *comm = new ncclComm{.rank = rank};
  ++arrived;
  return ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* result) {
  const std::lock_guard lock(mutex);
  *result = arrived < ranks ? ncclInProgress : comm->working ? progress(*comm) : ncclSuccess;
  return ncclSuccess;
}

ncclResult_t ncclGroupStart() {
  open.clear();
  return ncclSuccess;
}

ncclResult_t ncclAllGather(const void* from, void* to, size_t count, ncclDataType_t type, ncclComm_t comm,
                           cudaStream_t) {
  if (type != ncclUint8) return ncclInvalidArgument;
  return add({Kind::all_gather, static_cast<const std::byte*>(from), static_cast<std::byte*>(to), count, 0}, comm);
}

ncclResult_t ncclAllReduce(const void* from, void* to, size_t count, ncclDataType_t type, ncclRedOp_t op,
                           ncclComm_t comm, cudaStream_t) {
  if (type != ncclUint32 || op != ncclMax) return ncclInvalidArgument;
  return add({Kind::max, static_cast<const std::byte*>(from), static_cast<std::byte*>(to), 4 * count, 0}, comm);
}

ncclResult_t ncclSend(const void* from, size_t count, ncclDataType_t, int peer, ncclComm_t comm, cudaStream_t) {
  return add({Kind::send, static_cast<const std::byte*>(from), nullptr, count, peer}, comm);
}

ncclResult_t ncclRecv(void* to, size_t count, ncclDataType_t, int peer, ncclComm_t comm, cudaStream_t) {
  return add({Kind::receive, nullptr, static_cast<std::byte*>(to), count, peer}, comm);
}

ncclResult_t ncclGroupEnd() {
  const std::lock_guard lock(mutex);
  if (open_comm == nullptr) return ncclSuccess;
  groups[open_comm->next].calls[open_comm->rank] = std::move(open);
  open_comm->working = true;
  open_comm = nullptr;
  return ncclInProgress;
}

ncclResult_t ncclCommFinalize(ncclComm_t) {
  return ncclSuccess;
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  const std::lock_guard lock(mutex);
  ++state.destroyed;
  delete comm;
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  const std::lock_guard lock(mutex);
  ++state.aborted;
  delete comm;
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t) {
  return "a fault on purpose";
}
const char* ncclGetLastError(ncclComm_t) {
  return "of the fake";
}
}
