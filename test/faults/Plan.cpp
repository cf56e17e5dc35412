#include "Plan.h"

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>

namespace peer::faults {

namespace {
constexpr const char *kNames[] = {"write", "read", "fsync",     "rename", "mmap",   "open",
                                  "mkdir", "list", "ftruncate", "close",  "unlink", "allocate"};

struct Range {
  uintptr_t begin, end;
};
Range ranges[16];
int rangeCount = 0;
bool ready = false, recording = false, stays = false;
int failing = -1, error = 0;
long chosen = 0;
std::atomic<long> counts[Kinds];
thread_local bool inside = false;

// Callers that were seen, by a hash of their addresses, and the calls that were the first of theirs.
constexpr size_t kPlaces = 1 << 16;
uint64_t seen[kPlaces];
struct New {
  int kind;
  long number;
} firsts[kPlaces];
size_t firstCount = 0;

int noteModule(dl_phdr_info *info, size_t, void *) {
  const char *name = info->dlpi_name;
  bool program = name[0] == 0;
  if (!program && !std::strstr(name, "libpeer_runtime") && !std::strstr(name, "libstdc++"))
    return 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto &header = info->dlpi_phdr[i];
    if (header.p_type == PT_LOAD && (header.p_flags & PF_X) && rangeCount < 16)
      ranges[rangeCount++] = {info->dlpi_addr + header.p_vaddr, info->dlpi_addr + header.p_vaddr + header.p_memsz};
  }
  return 0;
}

bool ours(void *caller) {
  auto at = reinterpret_cast<uintptr_t>(caller);
  for (int i = 0; i < rangeCount; ++i)
    if (at >= ranges[i].begin && at < ranges[i].end)
      return true;
  return false;
}

/// Whether the callers of this call have not been seen before.
bool newPlace(int kind) {
  void *frames[24];
  int depth = backtrace(frames, 24);
  uint64_t hash = 14695981039346656037u + static_cast<uint64_t>(kind);
  int counted = 0;
  for (int i = 0; i < depth && counted < 5; ++i)
    if (ours(frames[i])) {
      hash = (hash ^ reinterpret_cast<uintptr_t>(frames[i])) * 1099511628211u;
      ++counted;
    }
  for (size_t slot = hash % kPlaces;; slot = (slot + 1) % kPlaces) {
    if (seen[slot] == hash)
      return false;
    if (seen[slot] == 0) {
      seen[slot] = hash;
      return true;
    }
  }
}

__attribute__((constructor)) void start() {
  dl_iterate_phdr(noteModule, nullptr);
  recording = std::getenv("PEER_FAULT_COUNTS") != nullptr;
  if (recording) {
    // The first call loads a library.
    void *frame[1];
    backtrace(frame, 1);
  }
  if (const char *text = std::getenv("PEER_FAULT")) {
    char kind[32], how[8] = "";
    if (std::sscanf(text, "%31[a-z]:%ld:%d:%7s", kind, &chosen, &error, how) < 3)
      std::abort();
    for (int i = 0; i < Kinds; ++i)
      if (std::strcmp(kind, kNames[i]) == 0)
        failing = i;
    stays = std::strcmp(how, "on") == 0;
  }
}

__attribute__((destructor)) void stop() {
  ready = false;
  const char *path = std::getenv("PEER_FAULT_COUNTS");
  FILE *file = path ? std::fopen(path, "w") : nullptr;
  if (!file)
    return;
  for (int kind = 0; kind < Kinds; ++kind) {
    std::fprintf(file, "%s %ld", kNames[kind], counts[kind].load());
    for (size_t i = 0; i < firstCount; ++i)
      if (firsts[i].kind == kind)
        std::fprintf(file, " %ld", firsts[i].number);
    std::fprintf(file, "\n");
  }
  std::fclose(file);
}
} // namespace

bool fails(Kind kind, void *caller) {
  if (!ready || inside || !ours(caller))
    return false;
  long number = ++counts[kind];
  if (recording && firstCount < kPlaces / 2) {
    inside = true;
    if (newPlace(kind))
      firsts[firstCount++] = {kind, number};
    inside = false;
  }
  if (kind != failing || (stays ? number < chosen : number != chosen))
    return false;
  errno = error;
  return true;
}

void beginCounting() { ready = true; }

void *next(const char *name) {
  bool before = inside;
  inside = true;
  void *function = dlsym(RTLD_NEXT, name);
  inside = before;
  return function;
}

} // namespace peer::faults
