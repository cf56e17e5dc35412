#include "device/Hooks.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif
#include <sys/syscall.h>
#include <unistd.h>

namespace {
/// Linux saves the registers of tiles, 8 KB for a thread, only for processes that ask for it. Threads have what their process has.
bool askForTiles() {
#ifdef __x86_64__
  constexpr unsigned kTiles = 1u << 24, kTilesOfBf16 = 1u << 22; // leaf 7, edx
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || !(edx & kTiles) || !(edx & kTilesOfBf16))
    return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}
} // namespace

int64_t peer_rt_tiles() {
  static const bool allowed = askForTiles();
  return allowed;
}
