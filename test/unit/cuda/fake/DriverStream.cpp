// Streams, events, captures and graphs.
#include "FakeDriver.h"

#include <chrono>

namespace peer::runtime::cuda::fake {

Code Driver::refuseInCapture() {
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

Code Driver::drain(FakeStream &stream) {
  Operations operations = std::move(stream.waiting);
  stream.waiting.clear();
  for (const Operation &operation : operations)
    if (sticky == kSuccess)
      sticky = operation.run();
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

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
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

Code cuEventCreate(Event *event, unsigned flags) {
  return inContext([=](Driver &self) -> Code {
    auto made = std::make_shared<FakeEvent>();
    made->timing = !(flags & kEventDisableTiming);
    *event = self.events.make(std::make_unique<std::shared_ptr<FakeEvent>>(std::move(made)));
    ++self.counts.alive;
    return kSuccess;
  });
}

Code cuEventDestroy_v2(Event event) {
  return inContext([=](Driver &self) -> Code {
    if (!self.events.erase(event))
      return kInvalidHandle;
    --self.counts.alive;
    return kSuccess;
  });
}

Code cuEventRecord(Event event, Stream stream) {
  return inContext([=](Driver &self) -> Code {
    std::shared_ptr<FakeEvent> *found = self.events.find(event);
    FakeStream *on = self.streams.find(stream);
    if (!found || !on)
      return kInvalidHandle;
    std::shared_ptr<FakeEvent> recorded = *found;
    recorded->recorded = true;
    recorded->captured = on->captured != nullptr;
    recorded->done = false;
    return self.enqueue(stream, {[recorded]() -> Code {
                          recorded->done = true;
                          recorded->seconds = now();
                          return kSuccess;
                        }});
  });
}

Code cuEventSynchronize(Event event) {
  return inContext([=](Driver &self) -> Code {
    std::shared_ptr<FakeEvent> *found = self.events.find(event);
    if (!found)
      return kInvalidHandle;
    if ((*found)->captured)
      return kCapturedEvent;
    return !(*found)->recorded || (*found)->done ? kSuccess : self.drainAll();
  });
}

Code cuEventElapsedTime(float *milliseconds, Event start, Event end) {
  return inContext([=](Driver &self) -> Code {
    std::shared_ptr<FakeEvent> *from = self.events.find(start), *to = self.events.find(end);
    if (!from || !to || !(*from)->timing || !(*to)->timing || !(*from)->recorded || !(*to)->recorded)
      return kInvalidHandle;
    if ((*from)->captured || (*to)->captured)
      return kCapturedEvent;
    if (!(*from)->done || !(*to)->done)
      return kNotReady;
    *milliseconds = static_cast<float>(((*to)->seconds - (*from)->seconds) * 1e3);
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
