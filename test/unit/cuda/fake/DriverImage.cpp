// PTX texts and cubins: which of them this driver and this GPU take.
#include "FakeImage.h"

#include <cstring>
#include <regex>

namespace peer::runtime::cuda::fake {

namespace {
// An ELF file's header, as far as a cubin's architecture goes. Machine code cannot be simulated: behind the header of a test's cubin its
// PTX follows.
constexpr size_t kElfHeader = 64, kElfMachine = 18, kElfFlags = 48;
constexpr uint16_t kCudaMachine = 190;

/// The version of the PTX language that came with a CUDA version (major * 1000 + minor * 10).
double ptxOf(int cuda) {
  int minor = cuda % 1000 / 10;
  switch (cuda / 1000) {
  case 11:
    return 7.0 + 0.1 * minor;
  case 12:
    return minor < 6 ? 8.0 + 0.1 * minor : minor == 6 ? 8.5 : 7.9 + 0.1 * minor;
  default:
    return 9.0 + 0.1 * minor;
  }
}

Code checkPtx(const Settings &settings, const std::string &ptx, const JitLog &log) {
  std::smatch match;
  if (!std::regex_search(ptx, match, std::regex(R"(\.version\s+(\d+\.\d+))")))
    return log.fail(kInvalidPtx, "ptxas application ptx input, line 1; fatal : Missing .version directive");
  if (std::stod(match[1]) > ptxOf(settings.version) + 0.01)
    return log.fail(kUnsupportedPtxVersion,
                    "ptxas application ptx input, line 1; fatal : Unsupported .version " + match[1].str());
  if (!std::regex_search(ptx, match, std::regex(R"(\.target\s+sm_(\d+)(\w?))")))
    return log.fail(kInvalidPtx, "ptxas application ptx input, line 2; fatal : Missing .target directive");
  int arch = std::stoi(match[1]);
  if (match[2].length() ? arch != settings.arch : arch > settings.arch)
    return log.fail(kInvalidPtx, "ptxas fatal : SM version specified by .target is higher than that of the device");
  return kSuccess;
}
} // namespace

Code readImage(const Settings &settings, const char *image, const JitLog &log, std::string &ptx) {
  if (std::memcmp(image, "\177ELF", 4) != 0) {
    ptx = image;
    return checkPtx(settings, ptx, log);
  }
  uint16_t machine = 0;
  uint32_t flags = 0;
  std::memcpy(&machine, image + kElfMachine, sizeof machine);
  std::memcpy(&flags, image + kElfFlags, sizeof flags);
  if (machine != kCudaMachine)
    return kInvalidImage;
  int arch = static_cast<int>(flags & 0xff);
  // Machine code runs on its own generation, from its own minor version on.
  if (arch / 10 != settings.arch / 10 || arch > settings.arch)
    return kNoBinaryForGpu;
  ptx = image + kElfHeader;
  // Real machine code is for real GPUs.
  return ptx.find(".version") == std::string::npos ? kNoBinaryForGpu : kSuccess;
}

} // namespace peer::runtime::cuda::fake
