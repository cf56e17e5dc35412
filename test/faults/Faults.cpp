// Loaded before a program's libraries (LD_PRELOAD), makes the n-th call of one kind that the runtime makes fail.
//
//   PEER_FAULT=KIND:N:ERRNO[:on]   the N-th call (from 1) fails with this error number; with `on`, every later one, too
//   PEER_FAULT_COUNTS=FILE         at the end, lines `KIND CALLS N N ...`: the number of calls, and those whose callers are new
//
// Calls count where peer-run, libpeer_runtime or, on their behalf, libstdc++ make them; `write` on regular files alone.

#include "Plan.h"

#include <cerrno>
#include <cstdarg>
#include <dirent.h>
#include <fcntl.h>
#include <new>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace peer::faults;

extern "C" {
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
}

namespace {
template <typename F>
F *find(const char *name) {
  return reinterpret_cast<F *>(next(name));
}

bool regular(int descriptor) {
  struct stat info{};
  return fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode);
}

void *allocateOrThrow(size_t bytes, size_t alignment, void *caller) {
  void *memory = fails(Allocate, caller) ? nullptr
                 : alignment             ? __libc_memalign(alignment, bytes)
                                         : __libc_malloc(bytes ? bytes : 1);
  if (memory)
    return memory;
  // A handler ends the program or throws.
  if (std::new_handler handler = std::get_new_handler())
    handler();
  throw std::bad_alloc();
}

int (*programMain)(int, char **, char **) = nullptr;
int startCounting(int argc, char **argv, char **environment) {
  beginCounting();
  return programMain(argc, argv, environment);
}
} // namespace

#define CALLER __builtin_return_address(0)

extern "C" {

/// Nobody is there yet before main() to say a sentence.
int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(), void (*fini)(),
                      void (*loader)(), void *stack) {
  using Start = int(int (*)(int, char **, char **), int, char **, void (*)(), void (*)(), void (*)(), void *);
  programMain = main;
  return find<Start>("__libc_start_main")(startCounting, argc, argv, init, fini, loader, stack);
}

ssize_t write(int descriptor, const void *data, size_t bytes) {
  static auto *original = find<ssize_t(int, const void *, size_t)>("write");
  if (regular(descriptor) && fails(Write, CALLER))
    return -1;
  return original(descriptor, data, bytes);
}

ssize_t pread(int descriptor, void *data, size_t bytes, off_t offset) {
  static auto *original = find<ssize_t(int, void *, size_t, off_t)>("pread");
  return fails(Read, CALLER) ? -1 : original(descriptor, data, bytes, offset);
}

int fsync(int descriptor) {
  static auto *original = find<int(int)>("fsync");
  return fails(Sync, CALLER) ? -1 : original(descriptor);
}

int rename(const char *from, const char *to) {
  static auto *original = find<int(const char *, const char *)>("rename");
  return fails(Rename, CALLER) ? -1 : original(from, to);
}

void *mmap(void *address, size_t bytes, int protection, int flags, int descriptor, off_t offset) {
  static auto *original = find<void *(void *, size_t, int, int, int, off_t)>("mmap");
  return fails(Map, CALLER) ? MAP_FAILED : original(address, bytes, protection, flags, descriptor, offset);
}

int open(const char *path, int flags, ...) {
  static auto *original = find<int(const char *, int, ...)>("open");
  va_list list;
  va_start(list, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;
  va_end(list);
  return fails(Open, CALLER) ? -1 : original(path, flags, mode);
}

int mkostemp(char *path, int flags) {
  static auto *original = find<int(char *, int)>("mkostemp");
  return fails(Open, CALLER) ? -1 : original(path, flags);
}

int mkdir(const char *path, mode_t mode) {
  static auto *original = find<int(const char *, mode_t)>("mkdir");
  return fails(Make, CALLER) ? -1 : original(path, mode);
}

DIR *opendir(const char *path) {
  static auto *original = find<DIR *(const char *)>("opendir");
  return fails(List, CALLER) ? nullptr : original(path);
}

DIR *fdopendir(int descriptor) {
  static auto *original = find<DIR *(int)>("fdopendir");
  return fails(List, CALLER) ? nullptr : original(descriptor);
}

int ftruncate(int descriptor, off_t bytes) {
  static auto *original = find<int(int, off_t)>("ftruncate");
  return fails(Cut, CALLER) ? -1 : original(descriptor, bytes);
}

int close(int descriptor) {
  static auto *original = find<int(int)>("close");
  bool fail = fails(Close, CALLER);
  int kept = errno, result = original(descriptor);
  if (fail)
    errno = kept;
  return fail ? -1 : result;
}

int unlink(const char *path) {
  static auto *original = find<int(const char *)>("unlink");
  return fails(Remove, CALLER) ? -1 : original(path);
}

int remove(const char *path) {
  static auto *original = find<int(const char *)>("remove");
  return fails(Remove, CALLER) ? -1 : original(path);
}

void *malloc(size_t bytes) { return fails(Allocate, CALLER) ? nullptr : __libc_malloc(bytes); }
void *calloc(size_t count, size_t bytes) { return fails(Allocate, CALLER) ? nullptr : __libc_calloc(count, bytes); }
void *realloc(void *old, size_t bytes) { return fails(Allocate, CALLER) ? nullptr : __libc_realloc(old, bytes); }
void *aligned_alloc(size_t alignment, size_t bytes) {
  return fails(Allocate, CALLER) ? nullptr : __libc_memalign(alignment, bytes);
}
int posix_memalign(void **result, size_t alignment, size_t bytes) {
  if (fails(Allocate, CALLER))
    return ENOMEM;
  *result = __libc_memalign(alignment, bytes);
  return *result ? 0 : ENOMEM;
}
}

void *operator new(size_t bytes) { return allocateOrThrow(bytes, 0, CALLER); }
void *operator new[](size_t bytes) { return allocateOrThrow(bytes, 0, CALLER); }
void *operator new(size_t bytes, std::align_val_t alignment) {
  return allocateOrThrow(bytes, static_cast<size_t>(alignment), CALLER);
}
void *operator new[](size_t bytes, std::align_val_t alignment) {
  return allocateOrThrow(bytes, static_cast<size_t>(alignment), CALLER);
}
void *operator new(size_t bytes, const std::nothrow_t &) noexcept {
  return fails(Allocate, CALLER) ? nullptr : __libc_malloc(bytes ? bytes : 1);
}
void *operator new[](size_t bytes, const std::nothrow_t &) noexcept {
  return fails(Allocate, CALLER) ? nullptr : __libc_malloc(bytes ? bytes : 1);
}
