#include "CpuDevice.h"

#include "Bandwidth.h"
#include "Blas.h"
#include "Derived.h"
#include "core/Allocator.h"
#include "core/Memory.h"
#include "core/Pinning.h"
#include "device/CallFrame.h"

#include <algorithm>
#include <cstring>
#include <unistd.h>

namespace peer::runtime {

namespace {
/// Wraps the buffers that the compiled code returned.
Result<TensorMap> takeResults(const Entry &entry, const std::vector<ResultView> &views, int64_t tokens) {
  Status status = checkResults(entry, views, tokens);
  TensorMap results;
  std::map<void *, std::shared_ptr<void>> owners; // two results may share one buffer
  for (const ResultView &view : views) {
    std::shared_ptr<void> &owner = owners[view.allocated];
    if (!owner && view.allocated)
      owner = std::shared_ptr<void>(view.allocated, releaseBlock);
    results.emplace(view.info->name, Tensor::wrap(view.info->dtype, view.shape(), view.data, owner));
  }
  if (!status.ok())
    return status;
  return results;
}

/// Copies what the compiled code returned to where it is wanted, and releases it.
Status copyResults(const RawCall &call, std::span<const int64_t> words) {
  Status status;
  SmallBuffer<void *, 16> released(call.results.size());
  size_t index = 0;
  for (ResultReader reader(call.entry, words); !reader.done(); ++index) {
    ResultView view = reader.read();
    if (status.ok())
      status = checkResult(call.entry, view, call.tokens);
    uint64_t bytes = bytesOf(view.info->dtype, view.info->shape, call.tokens);
    if (status.ok() && call.results[index].data && bytes > 0)
      std::memcpy(call.results[index].data, view.data, bytes);
    released[index] = view.allocated;
  }
  // Two results may share one buffer, so none goes before all were read.
  for (size_t i = 0; i < index; ++i)
    if (std::find(released.data(), released.data() + i, released[i]) == released.data() + i)
      releaseBlock(released[i]);
  return status;
}

/// What an entry keeps between its calls.
struct Kept {
  std::vector<void *> places;                        // of all arguments that lie where they are
  std::vector<std::pair<size_t, Derived *>> derived; // arguments that are made of parameters
  std::vector<Derived *> changed;                    // by the parameters that it updates
};

class CpuSession : public DeviceSession {
public:
  explicit CpuSession(std::shared_ptr<Artifact> artifact)
      : DeviceSession(std::move(artifact)), derived(this->artifact->manifest()) {}

  void hostMayChange(Role role) override {
    resolved.clear();
    if (role == Role::Parameter)
      derived.invalidate();
  }
  bool isReady(const Entry &entry) const override {
    auto found = resolved.find(&entry);
    return found != resolved.end() &&
           std::ranges::all_of(found->second.derived, [](const auto &each) { return each.second->isReady(); });
  }
  bool runsAtOnce() const override { return true; }

  Status prepare(const Entry &entry) override {
    if (!resolved.contains(&entry) && !resolve(entry))
      return {};
    for (auto [index, one] : resolved.find(&entry)->second.derived)
      if (!one->isReady())
        PEER_TRY(make(*one));
    return {};
  }

  Status bind(Role role, const std::string &name, DType dtype, const Shape &shape, Place place) override {
    resolved.clear();
    handOut(role, name, true);
    return DeviceSession::bind(role, name, dtype, shape, place);
  }
  Status unbind(Role role, const std::string &name) override {
    resolved.clear();
    handOut(role, name, false);
    return DeviceSession::unbind(role, name);
  }
  void handOut(Role role, std::string_view name, bool writable) override {
    if (role == Role::Parameter)
      derived.handOut(name, writable);
  }

  Status run(const RawCall &call) override {
    CallFrame frame(call.entry, call.tokens);
    const Kept &kept = begin(call.entry, frame);
    for (size_t i = 0; i < kept.places.size(); ++i)
      if (call.entry.arguments[i].isGiven())
        frame.set(i, call.arguments[i].data);
    PEER_TRY(execute(call.entry, frame));
    return copyResults(call, frame.results());
  }

  Result<TensorMap> call(const Entry &entry, int64_t tokens, const TensorMap &inputs,
                         std::span<const ScalarValue> values) override {
    CallFrame frame(entry, tokens);
    const Kept &kept = begin(entry, frame);
    for (size_t i = 0; i < kept.places.size(); ++i) {
      const Argument &argument = entry.arguments[i];
      // Descriptors are not const, but only arguments marked `updated` are written, and inputs and scalars are not.
      if (argument.role == Role::Input)
        frame.set(i, const_cast<void *>(inputs.find(argument.name)->second.data()));
      else if (argument.role == Role::Scalar)
        frame.set(i, const_cast<ScalarValue *>(&values[i]));
    }
    PEER_TRY(execute(entry, frame));
    return takeResults(entry, readResults(entry, frame.results()), tokens);
  }

  uint64_t peakBytes() const override { return allocatorUsage().peak; }
  void resetPeak() override { resetAllocatorPeak(); }

private:
  /// Finds what an entry keeps; false where something is not there yet.
  bool resolve(const Entry &entry) {
    Kept kept;
    kept.places.resize(entry.arguments.size());
    for (size_t i = 0; i < kept.places.size(); ++i) {
      const Argument &argument = entry.arguments[i];
      if (argument.isGiven())
        continue;
      Derived *one =
          argument.role == Role::Derived || argument.role == Role::Parameter ? derived.find(argument.name) : nullptr;
      if (argument.role == Role::Derived) {
        kept.derived.emplace_back(i, one);
        continue;
      }
      auto found = host(argument.role).find(argument.name);
      if (found == host(argument.role).end())
        return false;
      kept.places[i] = found->second.data();
      if (one && argument.updated)
        kept.changed.push_back(one);
    }
    resolved.emplace(&entry, std::move(kept));
    return true;
  }

  Status make(Derived &one) {
    const Entry &maker = *one.maker;
    if (one.handedOut) {
      const ResultInfo &info = maker.results[0];
      PEER_TRY_ASSIGN(one.nothing,
                      Tensor::zeros(info.dtype, info.shape, concat("what follows from \"", info.name, "\"")));
      return {};
    }
    one.made = Tensor();
    CallFrame frame(maker, 0);
    frame.set(0, host(Role::Parameter).find(one.parameter())->second.data());
    PEER_TRY(execute(maker, frame));
    PEER_TRY_ASSIGN(TensorMap results, takeResults(maker, readResults(maker, frame.results()), 0));
    one.made = std::move(results.begin()->second);
    one.fresh = true;
    return {};
  }

  /// Puts what an entry keeps in the frame of a call, which begins.
  const Kept &begin(const Entry &entry, CallFrame &frame) {
    const Kept &kept = resolved.find(&entry)->second;
    for (size_t i = 0; i < kept.places.size(); ++i)
      if (kept.places[i])
        frame.set(i, kept.places[i]);
    for (auto [index, one] : kept.derived)
      frame.set(index, one->place());
    for (Derived *one : kept.changed)
      one->fresh = false;
    return kept;
  }

  Status execute(const Entry &entry, CallFrame &frame) const {
    std::string message;
    if (runGuarded(artifact->function(entry), frame.arguments(), message))
      return {};
    return Status::error("entry \"", entry.name, "\" of ", artifact->path(), ": ", message);
  }

  std::map<const Entry *, Kept> resolved;
  DerivedTensors derived;
};

class CpuDevice : public Device {
public:
  std::string_view name() const override { return "cpu"; }
  std::string description() const override { return productsText(); }
  std::string place() const override { return ""; }
  Result<DeviceMemory> memory() override {
    uint64_t pages = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)),
             page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    return DeviceMemory{pages * page, availableMemory()};
  }
  std::unique_ptr<DeviceSession> begin(std::shared_ptr<Artifact> artifact) override {
    return std::make_unique<CpuSession>(std::move(artifact));
  }
  Result<double> measureBandwidth() override { return measureReadBandwidth(); }
};
} // namespace

std::shared_ptr<Device> hostDevice() { return std::make_shared<CpuDevice>(); }

Result<std::shared_ptr<Device>> openCpuDevice(const std::string &) {
  PEER_TRY(loadBlas());
  pinThreads();
  return hostDevice();
}

} // namespace peer::runtime
