// Calls on memory of the device, and on streams of the caller's: nothing passes through the host, and no graph is recorded. Bound tensors.
#include "GpuSession.h"

#include "core/Allocator.h"
#include "device/CallFrame.h"

#include <algorithm>
#include <cstring>

namespace peer::runtime {

namespace {
DeviceAddress addressOf(const void *data) { return reinterpret_cast<DeviceAddress>(data); }

/// What is put on the device in this scope is put on the caller's stream; on the device's own one where that is null.
class StreamScope {
public:
  StreamScope(GpuDevice &device, void *stream) : device(device), stream(stream) {
    if (!stream)
      return;
    if (Result<bool> entered = device.enterStream(stream); entered.ok())
      records = *entered;
    else
      failure = entered.status();
  }
  ~StreamScope() { (void)leave(); }
  StreamScope(const StreamScope &) = delete;
  StreamScope &operator=(const StreamScope &) = delete;

  Status leave() { return std::exchange(stream, nullptr) && failure.ok() ? device.leaveStream() : Status(); }

  Status failure;
  /// Whether the caller records the stream into a graph.
  bool records = false;

private:
  GpuDevice &device;
  void *stream;
};
} // namespace

Status GpuSession::bind(Role role, const std::string &name, DType dtype, const Shape &shape, Place place) {
  prepared.clear();
  if (!place.onDevice) {
    PEER_TRY(mirror(role).disown(name));
    PEER_TRY(DeviceSession::bind(role, name, dtype, shape, place));
    mirror(role).share(name);
    return {};
  }
  // The host's tensor shows what is there when somebody asks; nobody does in most programs, and then it has no pages.
  if (boundPlace(role, name) || !host(role).contains(name)) {
    PEER_TRY_ASSIGN(Tensor shown, Tensor::zeros(dtype, shape, concat(roleName(role), " \"", name, "\"")));
    host(role).insert_or_assign(name, std::move(shown));
  }
  PEER_TRY(mirror(role).adopt(name, addressOf(place.data)));
  bound[placeOf(role)].insert_or_assign(name, place);
  return {};
}

Status GpuSession::unbind(Role role, const std::string &name) {
  prepared.clear();
  const Place *place = boundPlace(role, name);
  if (!place->onDevice)
    PEER_TRY(DeviceSession::unbind(role, name));
  PEER_TRY(mirror(role).disown(name));
  bound[placeOf(role)].erase(name);
  return {};
}

Status GpuSession::flush(Role role) { return mirror(role).flush(); }

/// Inputs and scalars in memory of the host have copies on the device for this call.
Status GpuSession::placeInputs(const RawCall &call, CallFrame &frame) {
  for (size_t i = 0; i < call.entry.arguments.size(); ++i) {
    const Argument &argument = call.entry.arguments[i];
    if (!argument.isGiven())
      continue;
    const Place &place = call.arguments[i];
    if (place.onDevice) {
      frame.set(i, place.data);
      continue;
    }
    uint64_t bytes = bytesOf(argument.dtype, argument.shape, call.tokens);
    PEER_TRY_ASSIGN(DeviceAddress address, blocks.take(bytes));
    frame.set(i, reinterpret_cast<void *>(address));
    if (argument.role == Role::Input) {
      PEER_TRY(where.copyIn(address, place.data, bytes));
      continue;
    }
    // Fills carry their value with them: no memory of the host is read later.
    for (uint64_t at = 0; at < bytes; at += 4) {
      uint32_t word = 0;
      std::memcpy(&word, static_cast<const char *>(place.data) + at, std::min<uint64_t>(4, bytes - at));
      PEER_TRY(where.fill(address + at, word, static_cast<unsigned>(std::min<uint64_t>(4, bytes - at)), 1));
    }
  }
  return {};
}

Status GpuSession::enqueueDirect(const RawCall &call, CallFrame &frame) {
  PEER_TRY(placeInputs(call, frame));
  DeviceCall inProgress(where, blocks, modules);
  std::string message;
  if (!runGuarded(artifact->function(call.entry), frame.arguments(), message))
    return Status::error(message);
  PEER_TRY(inProgress.status());
  size_t index = 0;
  for (ResultReader reader(call.entry, frame.results()); !reader.done(); ++index) {
    ResultView view = reader.read();
    PEER_TRY(checkResult(call.entry, view, call.tokens));
    const Place &place = call.results[index];
    if (place.data && place.onDevice)
      PEER_TRY(where.copy(addressOf(place.data), addressOf(view.data),
                          bytesOf(view.info->dtype, view.info->shape, call.tokens)));
  }
  return {};
}

/// Results that are wanted in memory of the host. Waits for them.
Status GpuSession::deliverDirect(const RawCall &call, CallFrame &frame) {
  size_t index = 0;
  for (ResultReader reader(call.entry, frame.results()); !reader.done(); ++index) {
    ResultView view = reader.read();
    if (const Place &place = call.results[index]; place.data && !place.onDevice)
      PEER_TRY(
          where.copyOut(place.data, addressOf(view.data), bytesOf(view.info->dtype, view.info->shape, call.tokens)));
  }
  return where.synchronize();
}

Status GpuSession::runDirect(const RawCall &call) {
  CallFrame frame(call.entry, call.tokens);
  // What the host changed goes first, on the device's own stream: the caller's waits for it.
  for (size_t i = 0; i < call.entry.arguments.size(); ++i)
    if (const Argument &argument = call.entry.arguments[i]; !argument.isGiven()) {
      PEER_TRY_ASSIGN(DeviceAddress address, mirror(argument.role).upload(argument.name));
      frame.set(i, reinterpret_cast<void *>(address));
    }
  StreamScope scope(where, call.stream);
  PEER_TRY(scope.failure);
  // A graph of the caller's uses the same memory whenever it is launched: it stays until the session ends.
  if (scope.records)
    blocks.beginPinning();
  Status status = enqueueDirect(call, frame);
  if (scope.records)
    (void)blocks.endPinning({});
  Status left = scope.leave();
  if (!call.stream) {
    Status late = status.ok() ? deliverDirect(call, frame) : where.synchronize();
    // A launch's own error may only show now, and then it came first.
    if (status.ok())
      status = std::move(late);
  }
  Status noted = noteUpdates(call.entry);
  blocks.giveAll();
  PEER_TRY(status);
  PEER_TRY(left);
  return noted;
}

} // namespace peer::runtime
