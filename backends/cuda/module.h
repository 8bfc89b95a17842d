// Parts of the program that are opened when they are asked for.
#pragma once

#include <string>

namespace tandem {

struct OpenedModule {
  void* entry = nullptr;
  std::string missing;  // why there is no entry
};

// Opens the module at path, which stays open. build and entry name what it exports: a function that tells the id of its
// build, and what it is asked for. Calls nothing else of a module of another build: objects laid out otherwise would be
// read as this program's.
OpenedModule open_module(const std::string& path, const char* build, const char* entry);

}  // namespace tandem
