// NCCL's functions on the host, between threads of one process: what Tandem calls of them, on memory of the host, with
// streams that are not looked at. Like the library with blocking = 0 it answers that a call goes on, and is polled.
#pragma once

#include <string>

namespace tandem::test {

struct FakeNccl {
  std::string multicast;           // NCCL_NVLS_ENABLE as it was when an id was made
  int aborted = 0, destroyed = 0;  // communicators
  int fail_group = -1;             // the group, from 0, whose work ends with an error on all ranks
};

void reset_fake_nccl();
FakeNccl& fake_nccl();  // while no rank runs

}  // namespace tandem::test
