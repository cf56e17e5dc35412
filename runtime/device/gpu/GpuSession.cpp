#include "GpuSession.h"

#include "CallPlan.h"
#include "core/Allocator.h"

#include <algorithm>

namespace peer::runtime {

namespace {
/// Entries and token counts that are remembered at once: those of training and evaluation, or of prompts and decoding.
constexpr size_t kPlans = 8;

} // namespace

GpuSession::GpuSession(GpuDevice &device, std::shared_ptr<Artifact> loaded)
    : DeviceSession(std::move(loaded)), where(device), blocks(where), modules(where, artifact->cubin()),
      copies{DeviceMirror(where, parameters, "parameter"), DeviceMirror(where, states, "state"),
             DeviceMirror(where, usage, "usage")} {}

GpuSession::~GpuSession() = default;

uint64_t GpuSession::missingBytes(const Entry &entry) const {
  uint64_t bytes = 0;
  for (const Argument &argument : entry.arguments)
    if (!argument.isGiven() && !mirror(argument.role).contains(argument.name))
      bytes += static_cast<uint64_t>(*byteCount(argument.dtype, argument.shape));
  return bytes;
}

Status GpuSession::prepare(const Entry &entry) {
  if (prepared.contains(&entry))
    return {};
  bool all = true;
  for (const Argument &argument : entry.arguments) {
    if (argument.isGiven())
      continue;
    if (mirror(argument.role).hostHas(argument.name))
      PEER_TRY(mirror(argument.role).add(argument.name, argument.role != Role::Parameter));
    else
      all = false;
  }
  if (all)
    prepared.insert(&entry);
  return {};
}

Result<CallPlan *> GpuSession::planFor(const Entry &entry, int64_t tokens) {
  auto found = std::find_if(plans.begin(), plans.end(), [&](const auto &plan) { return plan->isFor(entry, tokens); });
  if (found == plans.end()) {
    if (plans.size() >= kPlans)
      plans.erase(plans.begin());
    plans.push_back(std::make_unique<CallPlan>(where, blocks, entry, tokens));
  } else {
    std::rotate(found, found + 1, plans.end());
  }
  return plans.back().get();
}

Status GpuSession::bindArguments(CallPlan &plan, const Entry &entry, std::span<const Place> given) {
  PEER_TRY(plan.buffers.allocate());
  for (size_t i = 0; i < entry.arguments.size(); ++i) {
    const Argument &argument = entry.arguments[i];
    if (argument.isGiven()) {
      PEER_TRY(plan.put(i, given[i].data));
    } else {
      PEER_TRY_ASSIGN(DeviceAddress address, mirror(argument.role).upload(argument.name));
      plan.set(i, address);
    }
  }
  return {};
}

Status GpuSession::runHostCode(CallPlan &plan, const Entry &entry) {
  DeviceCall call(where, blocks, modules);
  std::string message;
  std::ranges::fill(plan.frame.results(), 0);
  if (!runGuarded(artifact->function(entry), plan.frame.arguments(), message))
    return Status::error(message);
  return call.status();
}

Status GpuSession::capture(CallPlan &plan, const Entry &entry, int64_t tokens, bool copies) {
  plan.dropGraph();
  PEER_TRY(where.beginCapture());
  blocks.beginPinning();
  Status status = copies ? plan.buffers.send() : Status();
  if (status.ok())
    status = runHostCode(plan, entry);
  if (status.ok() && copies)
    status = fetchResults(plan, entry, tokens, plan.frame.results());
  std::set<DeviceAddress> results;
  for (const ResultView &view : readResults(entry, plan.frame.results()))
    results.insert(reinterpret_cast<DeviceAddress>(view.allocated));
  std::vector<DeviceAddress> taken = blocks.endPinning(results);
  Result<DeviceGraph *> graph = where.endCapture();
  if (status.ok() && graph.ok()) {
    plan.keep(*graph, copies, std::move(taken));
    return {};
  }
  if (graph.ok())
    where.destroy(*graph);
  blocks.unpin(taken);
  return status.ok() ? graph.status() : status;
}

Status GpuSession::enqueue(CallPlan &plan, const Entry &entry, int64_t tokens) {
  const ProfileRecording *recording = ProfileRecording::ofThisThread();
  bool timesCall = recording && recording->grain == ProfileGrain::Calls;
  bool timesKernels = recording && !timesCall;
  // A call whose time is asked for is one without its copies.
  bool copies = !timesCall;
  if (!timesKernels && where.capturesGraphs() && plan.calls > 0 && !plan.refusesGraph && !plan.hasGraph(copies)) {
    // What cannot be recorded can still be run; if something else is wrong, running it will say so.
    plan.refusesGraph = !capture(plan, entry, tokens, copies).ok();
    blocks.giveAll();
  }
  bool replays = !timesKernels && plan.hasGraph(copies);
  if (replays)
    plan.resultsOfGraph();
  if (replays && copies)
    return plan.launchGraph();
  PEER_TRY(plan.buffers.send());
  if (timesCall)
    PEER_TRY(where.mark(0));
  PEER_TRY(replays ? plan.launchGraph() : runHostCode(plan, entry));
  if (recording)
    PEER_TRY(where.mark(-1));
  if (!replays)
    plan.resultsOfFrame();
  return fetchResults(plan, entry, tokens, plan.results());
}

Status GpuSession::execute(CallPlan &plan, const Entry &entry, int64_t tokens) {
  Status status = enqueue(plan, entry, tokens);
  // A launch's own error may only show now, and then it came first.
  Status late = where.synchronize();
  PEER_TRY(status);
  PEER_TRY(late);
  if (ProfileRecording *recording = ProfileRecording::ofThisThread()) {
    PEER_TRY_ASSIGN(std::vector<ProfileMark> marks, where.takeMarks());
    recording->marks.insert(recording->marks.end(), marks.begin(), marks.end());
  }
  return {};
}

Status GpuSession::fetchResults(CallPlan &plan, const Entry &entry, int64_t tokens, std::span<const int64_t> words) {
  std::vector<ResultView> views = readResults(entry, words);
  PEER_TRY(checkResults(entry, views, tokens));
  for (size_t i = 0; i < views.size(); ++i)
    PEER_TRY(plan.buffers.fetch(i, reinterpret_cast<DeviceAddress>(views[i].data)));
  return {};
}

Status GpuSession::takeResults(CallPlan &plan, const Entry &entry, std::span<const Place> wanted) {
  std::vector<ResultView> views = readResults(entry, plan.results());
  for (size_t i = 0; i < views.size(); ++i)
    if (wanted[i].data)
      PEER_TRY(plan.buffers.take(i, reinterpret_cast<DeviceAddress>(views[i].data), wanted[i].data));
  return {};
}

Status GpuSession::noteUpdates(const Entry &entry) {
  for (const Argument &argument : entry.arguments)
    if (argument.updated && !argument.isGiven())
      PEER_TRY(mirror(argument.role).deviceChanged(argument.name));
  return {};
}

Status GpuSession::runBuffered(const RawCall &call) {
  const Entry &entry = call.entry;
  PEER_TRY_ASSIGN(CallPlan * plan, planFor(entry, call.tokens));
  Status status = bindArguments(*plan, entry, call.arguments);
  if (status.ok()) {
    status = execute(*plan, entry, call.tokens);
    // What a failed call changed is not known.
    Status noted = noteUpdates(entry);
    if (status.ok())
      status = std::move(noted);
  }
  if (status.ok())
    status = takeResults(*plan, entry, call.results);
  blocks.giveAll();
  plan->calls += status.ok();
  return status;
}

Status GpuSession::run(const RawCall &call) {
  auto isOnDevice = [](const Place &place) { return place.onDevice; };
  bool direct =
      call.stream || std::ranges::any_of(call.arguments, isOnDevice) || std::ranges::any_of(call.results, isOnDevice);
  Status status = direct ? runDirect(call) : runBuffered(call);
  if (status.ok())
    return {};
  return Status::error("entry \"", call.entry.name, "\" of ", artifact->path(), ": ", status.message());
}

Result<TensorMap> GpuSession::call(const Entry &entry, int64_t tokens, const TensorMap &inputs,
                                   std::span<const ScalarValue> values) {
  std::vector<Place> arguments(entry.arguments.size()), wanted;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Argument &argument = entry.arguments[i];
    // Nothing is written to either.
    if (argument.role == Role::Input)
      arguments[i].data = const_cast<void *>(inputs.find(argument.name)->second.data());
    else if (argument.role == Role::Scalar)
      arguments[i].data = const_cast<ScalarValue *>(&values[i]);
  }
  TensorMap results;
  for (const ResultInfo &info : entry.results) {
    PEER_TRY_ASSIGN(Tensor tensor,
                    Tensor::zeros(info.dtype, withTokens(info.shape, tokens), concat("result \"", info.name, "\"")));
    wanted.push_back({tensor.data()});
    results.emplace(info.name, std::move(tensor));
  }
  PEER_TRY(run({entry, tokens, arguments, wanted}));
  return results;
}

} // namespace peer::runtime
