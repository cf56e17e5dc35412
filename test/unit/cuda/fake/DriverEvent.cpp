// Events, and streams that wait for them.
#include "FakeDriver.h"

#include <algorithm>
#include <chrono>

namespace peer::runtime::cuda::fake {

namespace {
double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
} // namespace

Code cuStreamWaitEvent(Stream stream, Event event, unsigned flags) {
  return inContext([=](Driver &self) -> Code {
    FakeStream *found = self.streams.find(stream);
    std::shared_ptr<FakeEvent> *before = self.events.find(event);
    if (!found || !before)
      return kInvalidHandle;
    if (flags != 0)
      return kInvalidValue;
    // What a graph holds waits for what it holds alone.
    if (found->captured || (*before)->captured)
      return self.explain(kCaptureIsolation, "a captured stream waits for one that is not, or the other way");
    if (!(*before)->recorded)
      return kSuccess;
    // For what was recorded by now, whatever the event is used for later.
    return self.enqueue(stream, {.run = [] { return kSuccess; },
                                 .ready = [waited = *before, upTo = (*before)->records]() -> bool {
                                   return waited->finished >= upTo;
                                 }});
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
    return self.enqueue(stream, {[recorded, number = ++recorded->records]() -> Code {
                          recorded->finished = std::max(recorded->finished, number);
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
