// Initialisation, devices, the primary context, names of errors.
#include "FakeDriver.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace peer::runtime::cuda::fake {

namespace {
thread_local Context currentContext = nullptr;

Context theContext() { return reinterpret_cast<Context>(&driver()); }

void printCounts() {
  const Counts &counts = driver().counts;
  std::fprintf(stderr,
               "fake cuda: %llu launches, %llu graph launches of %llu kernels, %llu captures, %llu modules, "
               "%llu copies in, %llu copies out, %llu bytes in, %llu bytes out\n",
               static_cast<unsigned long long>(counts.launches), static_cast<unsigned long long>(counts.graphLaunches),
               static_cast<unsigned long long>(counts.graphKernels), static_cast<unsigned long long>(counts.captures),
               static_cast<unsigned long long>(counts.modules), static_cast<unsigned long long>(counts.copiesIn),
               static_cast<unsigned long long>(counts.copiesOut), static_cast<unsigned long long>(counts.bytesIn),
               static_cast<unsigned long long>(counts.bytesOut));
}

std::string text(const char *name, const char *otherwise = "") {
  const char *value = std::getenv(name);
  return value ? value : otherwise;
}

Settings readSettings() {
  Settings settings;
  settings.devices = std::stoi(text("FAKE_CUDA_DEVICES", "1"));
  settings.version = std::stoi(text("FAKE_CUDA_VERSION", "13000"));
  settings.arch = std::stoi(text("FAKE_CUDA_ARCH", "90"));
  settings.memory = std::stoull(text("FAKE_CUDA_MEMORY", "1073741824"));
  settings.refuse = text("FAKE_CUDA_REFUSE");
  settings.fail = text("FAKE_CUDA_FAIL");
  return settings;
}

struct ErrorText {
  Code code;
  const char *name, *text;
};
constexpr std::array kErrors{
    ErrorText{kSuccess, "CUDA_SUCCESS", "no error"},
    ErrorText{kInvalidValue, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    ErrorText{kOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    ErrorText{kNotInitialized, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    ErrorText{kNoDevice, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    ErrorText{kInvalidDevice, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    ErrorText{kInvalidImage, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    ErrorText{kInvalidContext, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    ErrorText{kNoBinaryForGpu, "CUDA_ERROR_NO_BINARY_FOR_GPU",
              "no kernel image is available for execution on the device"},
    ErrorText{kInvalidPtx, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    ErrorText{kUnsupportedPtxVersion, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
              "the provided PTX was compiled with an unsupported toolchain."},
    ErrorText{kInvalidHandle, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    ErrorText{kNotFound, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    ErrorText{kNotReady, "CUDA_ERROR_NOT_READY", "device not ready"},
    ErrorText{kIllegalAddress, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    ErrorText{kLaunchOutOfResources, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    ErrorText{kMisalignedAddress, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
    ErrorText{kLaunchFailed, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    ErrorText{kNotSupported, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    ErrorText{kCaptureUnsupported, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
              "operation not permitted when stream is capturing"},
    ErrorText{kCaptureInvalidated, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
              "operation failed due to a previous error during capture"},
    ErrorText{kCaptureUnmatched, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED",
              "capture was not ended in the same stream as it began"},
    ErrorText{kCapturedEvent, "CUDA_ERROR_CAPTURED_EVENT",
              "operation not permitted on an event last recorded in a capturing stream"},
};

Code errorText(Code code, const char **text, const char *ErrorText::*part) {
  auto found = std::find_if(kErrors.begin(), kErrors.end(), [&](const ErrorText &each) { return each.code == code; });
  *text = found == kErrors.end() ? nullptr : (*found).*part;
  return found == kErrors.end() ? kInvalidValue : kSuccess;
}

Code checkDevice(DeviceOrdinal device) {
  if (!driver().initialised)
    return kNotInitialized;
  return device >= 0 && device < driver().settings.devices ? kSuccess : kInvalidDevice;
}
} // namespace

Driver &driver() {
  // Never destroyed: who uses it may be destroyed later.
  static Driver *instance = new Driver;
  return *instance;
}

Code Driver::explain(Code code, const std::string &why) const {
  if (!std::getenv("FAKE_CUDA_QUIET"))
    std::fprintf(stderr, "fake cuda: %s\n", why.c_str());
  return code;
}

Code inContext(const std::function<Code(Driver &)> &body) {
  Driver &self = driver();
  std::lock_guard lock(self.mutex);
  if (!self.initialised)
    return kNotInitialized;
  if (self.retained == 0 || currentContext != theContext())
    return kInvalidContext;
  return self.sticky != kSuccess ? self.sticky : body(self);
}

Code cuInit(unsigned flags) {
  Driver &self = driver();
  std::lock_guard lock(self.mutex);
  if (flags != 0)
    return kInvalidValue;
  self.settings = readSettings();
  if (self.settings.devices == 0)
    return kNoDevice;
  if (!self.initialised && std::getenv("FAKE_CUDA_COUNTS"))
    std::atexit(printCounts);
  self.initialised = true;
  return kSuccess;
}

Code cuDriverGetVersion(int *version) {
  *version = driver().settings.version;
  return kSuccess;
}

Code cuGetErrorName(Code code, const char **text) { return errorText(code, text, &ErrorText::name); }
Code cuGetErrorString(Code code, const char **text) { return errorText(code, text, &ErrorText::text); }

Code cuDeviceGetCount(int *count) {
  *count = driver().settings.devices;
  return driver().initialised ? kSuccess : kNotInitialized;
}

Code cuDeviceGet(DeviceOrdinal *device, int ordinal) {
  *device = ordinal;
  return checkDevice(ordinal);
}

Code cuDeviceGetName(char *name, int bytes, DeviceOrdinal device) {
  std::snprintf(name, static_cast<size_t>(bytes), "Simulated GPU %d", device);
  return checkDevice(device);
}

Code cuDeviceGetAttribute(int *value, int attribute, DeviceOrdinal device) {
  int arch = driver().settings.arch;
  switch (attribute) {
  case kCapabilityMajor:
    *value = arch / 10;
    break;
  case kCapabilityMinor:
    *value = arch % 10;
    break;
  case kSmCount:
    *value = 2;
    break;
  case kMaxSharedOptin:
    *value = (arch >= 90 ? 227 : arch >= 80 ? 163 : 96) * 1024;
    break;
  default:
    return kInvalidValue;
  }
  return checkDevice(device);
}

Code cuDevicePrimaryCtxRetain(Context *context, DeviceOrdinal device) {
  Driver &self = driver();
  std::lock_guard lock(self.mutex);
  if (Code code = checkDevice(device))
    return code;
  if (self.retained++ == 0)
    self.simulator = std::make_unique<sim::Simulator>();
  *context = theContext();
  return kSuccess;
}

Code cuDevicePrimaryCtxRelease_v2(DeviceOrdinal device) {
  Driver &self = driver();
  std::lock_guard lock(self.mutex);
  if (Code code = checkDevice(device))
    return code;
  if (self.retained == 0)
    return kInvalidContext;
  if (--self.retained > 0)
    return kSuccess;
  // With its last user everything goes that belongs to the context.
  self.streams.clear();
  self.modules.clear();
  self.events.clear();
  self.graphs.clear();
  self.graphExecs.clear();
  self.allocations.clear();
  self.pinned.clear();
  self.pinnedBytes.clear();
  self.simulator.reset();
  self.sticky = kSuccess;
  return kSuccess;
}

Code cuCtxSetCurrent(Context context) {
  if (context && (context != theContext() || driver().retained == 0))
    return kInvalidContext;
  currentContext = context;
  return kSuccess;
}

} // namespace peer::runtime::cuda::fake

void fakeCudaCounts(peer::runtime::cuda::fake::Counts *counts) { *counts = peer::runtime::cuda::fake::driver().counts; }
