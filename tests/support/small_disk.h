// A file system of a few inodes and bytes, for one test: a tmpfs in a mount namespace of its own, which a process keeps
// open, in a user namespace too where mounting takes rights that the test does not have.
#pragma once

#include <string>

#include "tests/support/temporary.h"

namespace tandem::test {

class SmallDisk {
 public:
  // options: of tmpfs, as "size=4m,nr_inodes=9". Exit::storage where neither namespace can be had.
  explicit SmallDisk(const std::string& options);
  static std::string missing();  // why there can be none here; empty if there can
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  std::string operator/(const std::string& name) const;
  void resize(const std::string& options) const;

 private:
  TemporaryDirectory place_;
  int keeper_ = -1;                // a process
  int to_[2] = {}, from_[2] = {};  // pipes to and from it
};

}  // namespace tandem::test
