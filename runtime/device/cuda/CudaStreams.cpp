// Calls on streams of the caller's. The device's own one and theirs are ordered by events, so that the host waits for none.
#include "CudaDevice.h"

namespace peer::runtime::cuda {

Result<bool> CudaDevice::enterStream(void *handle) {
  PEER_TRY(enterContext());
  auto wanted = static_cast<Stream>(handle);
  int status = kNotCaptured;
  PEER_TRY(check(driver.streamIsCapturing(wanted, &status), "the stream that was given cannot be used"));
  if (status == kCaptureBroken)
    return Status::error("CUDA: the recording of the stream that was given has failed");
  recordedByCaller = status == kCaptureActive;
  Status ordered;
  if (recordedByCaller) {
    // What is recorded cannot wait for what is not; it runs later anyway.
    if (ownBusy)
      ordered = synchronize();
  } else {
    if (ownBusy) {
      ordered = check(driver.eventRecord(ownDone, own), "an event cannot be recorded");
      if (ordered.ok())
        ordered = check(driver.streamWaitEvent(wanted, ownDone, 0), "a stream cannot wait");
    }
    // Calls share scratch memory.
    if (ordered.ok() && givenPending && lastGiven != wanted)
      ordered = check(driver.streamWaitEvent(wanted, given, 0), "a stream cannot wait");
  }
  if (!ordered.ok()) {
    recordedByCaller = false;
    return ordered;
  }
  stream = wanted;
  return recordedByCaller;
}

Status CudaDevice::leaveStream() {
  Status status;
  if (!recordedByCaller) {
    status = check(driver.eventRecord(given, stream), "an event cannot be recorded");
    lastGiven = stream;
    givenPending = true;
  }
  stream = own;
  recordedByCaller = false;
  return status;
}

} // namespace peer::runtime::cuda
