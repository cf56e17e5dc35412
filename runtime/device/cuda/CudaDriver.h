// The CUDA driver, opened at run time: a machine without one gets an error message rather than a program that does not start.
//
// PEER_CUDA_LIBRARY may give the path of another library than libcuda.so.1.
#pragma once

#include "CudaApi.h"
#include "core/Status.h"

#include <string>
#include <string_view>

namespace peer::runtime::cuda {

/// The driver's functions after cuInit. It stays loaded until the process ends, as its own threads do.
Result<DriverApi> openDriver();

/// While it lives, this thread may allocate, load and wait although somebody records a stream: that is no part of the recording.
class BesideRecordings {
public:
  explicit BesideRecordings(const DriverApi &driver) : driver(driver) { (void)driver.threadExchangeCaptureMode(&mode); }
  ~BesideRecordings() { (void)driver.threadExchangeCaptureMode(&mode); }
  BesideRecordings(const BesideRecordings &) = delete;
  BesideRecordings &operator=(const BesideRecordings &) = delete;

private:
  const DriverApi &driver;
  int mode = kCaptureRelaxed;
};

/// "CUDA_ERROR_OUT_OF_MEMORY (out of memory)".
std::string errorText(const DriverApi &driver, Code code);

/// Whether the error belongs to a kernel that ran: it stays with every later call of the process.
bool isKernelFailure(Code code);

/// "12.4" for 12040, as the driver counts.
std::string versionText(int version);

/// An architecture as compilers write it: sm_90, sm_90a (that GPU alone), sm_100f (its family).
struct Arch {
  /// 10 * major + minor of the compute capability.
  int number = 0;
  /// 0, 'a' or 'f'.
  char suffix = 0;

  static Result<Arch> parse(std::string_view text);
  /// Whether code for it runs on a GPU of this compute capability.
  bool runsOn(int capability) const;
};

/// What the driver's compiler needs for a PTX text, by its .version: the CUDA version that brought it, 0 where the text has none.
struct PtxVersion {
  std::string text;
  int cuda = 0;
};
PtxVersion ptxVersion(std::string_view ptx);

} // namespace peer::runtime::cuda
