// Streams, captures and graphs.
#include "FakeDriver.h"

namespace peer::runtime::cuda::fake {

namespace {
/// What the calling thread may do while some stream is captured.
thread_local int threadMode = kCaptureGlobal;
} // namespace

Code Driver::refuseInCapture() {
  if (threadMode == kCaptureRelaxed)
    return kSuccess;
  for (auto &[handle, stream] : streams)
    if (stream->captured && stream->captureMode != kCaptureRelaxed) {
      stream->invalidated = true;
      return kCaptureUnsupported;
    }
  return kSuccess;
}

Code Driver::enqueue(Stream handle, Operation operation) {
  FakeStream *stream = streams.find(handle);
  // The legacy stream, too: it would wait for no other here.
  if (!stream)
    return kInvalidHandle;
  if (stream->invalidated)
    return kCaptureInvalidated;
  if (stream->captured) {
    stream->captured->push_back(std::move(operation));
    return kSuccess;
  }
  counts.launches += operation.kernel;
  counts.copiesIn += operation.bytesIn > 0;
  counts.copiesOut += operation.bytesOut > 0;
  counts.bytesIn += operation.bytesIn;
  counts.bytesOut += operation.bytesOut;
  stream->waiting.push_back(std::move(operation));
  return kSuccess;
}

bool Driver::advance(FakeStream &stream) {
  bool any = false;
  while (!stream.waiting.empty() && (!stream.waiting.front().ready || stream.waiting.front().ready())) {
    Operation operation = std::move(stream.waiting.front());
    stream.waiting.erase(stream.waiting.begin());
    if (sticky == kSuccess)
      sticky = operation.run();
    any = true;
  }
  return any;
}

Code Driver::drain(FakeStream &stream) {
  for (bool moves = true; moves && !stream.waiting.empty();) {
    moves = advance(stream);
    for (auto &[handle, other] : streams)
      if (!stream.waiting.empty() && other.get() != &stream)
        moves |= advance(*other);
  }
  return sticky;
}

Code Driver::drainAll() {
  for (auto &[handle, stream] : streams)
    (void)drain(*stream);
  return sticky;
}

namespace {
/// Waiting for a stream that is being captured breaks the capture.
Code refuseWait(FakeStream &stream) {
  if (!stream.captured)
    return kSuccess;
  stream.invalidated = true;
  return kCaptureUnsupported;
}
} // namespace

Code cuStreamCreate(Stream *stream, unsigned flags) {
  return inContext([=](Driver &self) -> Code {
    if (flags > kStreamNonBlocking)
      return kInvalidValue;
    *stream = self.streams.make(std::make_unique<FakeStream>());
    ++self.counts.alive;
    return kSuccess;
  });
}

Code cuStreamDestroy_v2(Stream stream) {
  return inContext([=](Driver &self) -> Code {
    FakeStream *found = self.streams.find(stream);
    if (!found)
      return kInvalidHandle;
    Code code = self.drain(*found);
    self.streams.erase(stream);
    --self.counts.alive;
    return code;
  });
}

Code cuStreamSynchronize(Stream stream) {
  return inContext([=](Driver &self) -> Code {
    FakeStream *found = self.streams.find(stream);
    if (!found)
      return kInvalidHandle;
    if (Code code = refuseWait(*found))
      return code;
    ++self.counts.synchronizations;
    return self.drain(*found);
  });
}

Code cuStreamIsCapturing(Stream stream, int *status) {
  return inContext([=](Driver &self) -> Code {
    FakeStream *found = self.streams.find(stream);
    if (!found)
      return kInvalidHandle;
    *status = !found->captured ? kNotCaptured : found->invalidated ? kCaptureBroken : kCaptureActive;
    return kSuccess;
  });
}

Code cuThreadExchangeStreamCaptureMode(int *mode) {
  if (*mode < kCaptureGlobal || *mode > kCaptureRelaxed)
    return kInvalidValue;
  std::swap(threadMode, *mode);
  return kSuccess;
}

Code cuStreamBeginCapture_v2(Stream stream, int mode) {
  return inContext([=](Driver &self) -> Code {
    FakeStream *found = self.streams.find(stream);
    if (!found)
      return kInvalidHandle;
    if (found->captured || mode < kCaptureGlobal || mode > kCaptureRelaxed)
      return kInvalidValue;
    found->captured = std::make_unique<Operations>();
    found->captureMode = mode;
    found->invalidated = false;
    ++self.counts.captures;
    return kSuccess;
  });
}

Code cuStreamEndCapture(Stream stream, Graph *graph) {
  return inContext([=](Driver &self) -> Code {
    FakeStream *found = self.streams.find(stream);
    if (!found)
      return kInvalidHandle;
    *graph = nullptr;
    if (!found->captured)
      return kCaptureUnmatched;
    std::unique_ptr<Operations> captured = std::move(found->captured);
    if (std::exchange(found->invalidated, false))
      return kCaptureInvalidated;
    *graph = self.graphs.make(std::move(captured));
    ++self.counts.alive;
    return kSuccess;
  });
}

Code cuGraphInstantiateWithFlags(GraphExec *exec, Graph graph, unsigned long long flags) {
  return inContext([=](Driver &self) -> Code {
    const Operations *found = self.graphs.find(graph);
    if (!found || flags != 0)
      return kInvalidValue;
    *exec = self.graphExecs.make(std::make_unique<std::shared_ptr<Operations>>(std::make_shared<Operations>(*found)));
    ++self.counts.alive;
    return kSuccess;
  });
}

Code cuGraphLaunch(GraphExec exec, Stream stream) {
  return inContext([=](Driver &self) -> Code {
    std::shared_ptr<Operations> *found = self.graphExecs.find(exec);
    FakeStream *on = self.streams.find(stream);
    if (!found || !on)
      return kInvalidHandle;
    if (on->captured)
      return kCaptureUnsupported;
    ++self.counts.graphLaunches;
    for (const Operation &operation : **found) {
      self.counts.graphKernels += operation.kernel;
      self.counts.bytesIn += operation.bytesIn;
      self.counts.bytesOut += operation.bytesOut;
      on->waiting.push_back(operation);
    }
    return kSuccess;
  });
}

Code cuGraphDestroy(Graph graph) {
  return inContext([=](Driver &self) -> Code {
    if (!self.graphs.erase(graph))
      return kInvalidValue;
    --self.counts.alive;
    return kSuccess;
  });
}

Code cuGraphExecDestroy(GraphExec exec) {
  return inContext([=](Driver &self) -> Code {
    if (!self.graphExecs.erase(exec))
      return kInvalidValue;
    --self.counts.alive;
    return kSuccess;
  });
}

} // namespace peer::runtime::cuda::fake

int fakeCudaEnqueue(peer::runtime::cuda::Stream stream, int (*run)(const void *data), const void *data,
                    uint64_t bytes) {
  using namespace peer::runtime::cuda;
  auto *from = static_cast<const uint8_t *>(data);
  std::vector<uint8_t> copy(from, from + bytes);
  return fake::inContext(
      [&](fake::Driver &self) -> Code { return self.enqueue(stream, {[run, copy] { return run(copy.data()); }}); });
}
