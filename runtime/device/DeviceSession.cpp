#include "DeviceSession.h"

#include "../Allocator.h"
#include "CallPlan.h"

#include <algorithm>

namespace peer::runtime {

namespace {
/// Entries and token counts that are remembered at once: those of training and evaluation, or of prompts and decoding.
constexpr size_t kPlans = 8;

bool onDevice(const Argument &argument) { return argument.role != Role::Input && argument.role != Role::Scalar; }
} // namespace

DeviceSession::DeviceSession(std::shared_ptr<Device> device, std::shared_ptr<Artifact> artifact,
                             SessionTensors &tensors)
    : artifact(std::move(artifact)), where(std::move(device)), blocks(*where), modules(*where, this->artifact->cubin()),
      parameters(*where, tensors.parameters, "parameter"), states(*where, tensors.states, "state"),
      usage(*where, tensors.usage, "usage") {}

DeviceSession::~DeviceSession() = default;

DeviceMirror &DeviceSession::mirror(Role role) {
  return role == Role::Parameter ? parameters : role == Role::State ? states : usage;
}

uint64_t DeviceSession::missingBytes(const Entry &entry) const {
  uint64_t bytes = 0;
  for (const Argument &argument : entry.arguments)
    if (onDevice(argument) && !const_cast<DeviceSession *>(this)->mirror(argument.role).contains(argument.name))
      bytes += static_cast<uint64_t>(*byteCount(argument.dtype, argument.shape));
  return bytes;
}

Status DeviceSession::prepare(const Entry &entry) {
  for (const Argument &argument : entry.arguments)
    if (onDevice(argument) && mirror(argument.role).hostHas(argument.name))
      PEER_TRY(mirror(argument.role).add(argument.name, argument.role != Role::Parameter));
  return {};
}

Result<CallPlan *> DeviceSession::planFor(const Entry &entry, int64_t tokens) {
  auto found = std::find_if(plans.begin(), plans.end(), [&](const auto &plan) { return plan->isFor(entry, tokens); });
  if (found == plans.end()) {
    if (plans.size() >= kPlans)
      plans.erase(plans.begin());
    plans.push_back(std::make_unique<CallPlan>(*where, blocks, entry, tokens));
  } else {
    std::rotate(found, found + 1, plans.end());
  }
  return plans.back().get();
}

Status DeviceSession::bindArguments(CallPlan &plan, const Entry &entry, const TensorMap &inputs,
                                    std::span<const ScalarValue> values) {
  for (size_t i = 0; i < entry.arguments.size(); ++i) {
    const Argument &argument = entry.arguments[i];
    if (argument.role == Role::Input) {
      const Tensor &tensor = inputs.find(argument.name)->second;
      PEER_TRY(plan.stage(i, tensor.data(), tensor.bytes()));
    } else if (argument.role == Role::Scalar) {
      PEER_TRY(plan.stage(i, &values[i], dtypeSize(argument.dtype)));
    } else {
      PEER_TRY_ASSIGN(DeviceAddress address, mirror(argument.role).upload(argument.name));
      plan.set(i, address);
    }
  }
  return {};
}

Status DeviceSession::runHostCode(CallPlan &plan, const Entry &entry) {
  DeviceCall call(*where, blocks, modules);
  std::string message;
  std::ranges::fill(plan.frame.results(), 0);
  if (!runGuarded(artifact->function(entry), plan.frame.arguments(), message))
    return Status::error(message);
  return call.status();
}

Status DeviceSession::capture(CallPlan &plan, const Entry &entry) {
  PEER_TRY(where->beginCapture());
  blocks.beginPinning();
  Status status = runHostCode(plan, entry);
  std::set<DeviceAddress> results;
  for (const ResultView &view : readResults(entry, plan.frame.results()))
    results.insert(reinterpret_cast<DeviceAddress>(view.allocated));
  std::vector<DeviceAddress> taken = blocks.endPinning(results);
  Result<DeviceGraph *> graph = where->endCapture();
  if (status.ok() && graph.ok()) {
    plan.keep(*graph, std::move(taken));
    return {};
  }
  if (graph.ok())
    where->destroy(*graph);
  blocks.unpin(taken);
  return status.ok() ? graph.status() : status;
}

Status DeviceSession::execute(CallPlan &plan, const Entry &entry) {
  ProfileRecording *recording = ProfileRecording::ofThisThread();
  bool wantsKernels = recording && recording->grain == ProfileGrain::Kernels;
  if (!wantsKernels && where->capturesGraphs() && plan.calls > 0 && !plan.refusesGraph && !plan.hasGraph()) {
    // What cannot be recorded can still be run; if something else is wrong, running it will say so.
    plan.refusesGraph = !capture(plan, entry).ok();
    blocks.giveAll();
  }
  bool replay = !wantsKernels && plan.hasGraph();
  if (recording && !wantsKernels)
    PEER_TRY(where->mark(0));
  Status status = replay ? plan.launchGraph() : runHostCode(plan, entry);
  if (recording && status.ok())
    status = where->mark(-1);
  // A launch's own error may only show now, and then it came first.
  Status late = where->synchronize();
  PEER_TRY(status);
  PEER_TRY(late);
  if (recording) {
    PEER_TRY_ASSIGN(std::vector<ProfileMark> marks, where->takeMarks());
    recording->marks.insert(recording->marks.end(), marks.begin(), marks.end());
  }
  if (replay)
    plan.resultsOfGraph();
  else
    plan.resultsOfFrame();
  return {};
}

Result<TensorMap> DeviceSession::takeResults(const CallPlan &plan, const Entry &entry, int64_t tokens) {
  std::vector<ResultView> views = readResults(entry, plan.results());
  PEER_TRY(checkResults(entry, views, tokens));
  TensorMap results;
  for (ResultView &view : views) {
    PEER_TRY_ASSIGN(Tensor tensor,
                    Tensor::zeros(view.info->dtype, std::move(view.shape), concat("result \"", view.info->name, "\"")));
    PEER_TRY(where->copyOut(tensor.data(), reinterpret_cast<DeviceAddress>(view.data), tensor.bytes()));
    results.emplace(view.info->name, std::move(tensor));
  }
  return results;
}

Result<TensorMap> DeviceSession::call(const Entry &entry, int64_t tokens, const TensorMap &inputs,
                                      std::span<const ScalarValue> values) {
  PEER_TRY_ASSIGN(CallPlan * plan, planFor(entry, tokens));
  Status status = bindArguments(*plan, entry, inputs, values);
  if (status.ok()) {
    status = execute(*plan, entry);
    for (const Argument &argument : entry.arguments)
      if (argument.updated && onDevice(argument))
        mirror(argument.role).deviceChanged(argument.name);
  }
  if (!status.ok())
    status = Status::error("entry \"", entry.name, "\" of ", artifact->path(), ": ", status.message());
  Result<TensorMap> results = status.ok() ? takeResults(*plan, entry, tokens) : Result<TensorMap>(status);
  blocks.giveAll();
  plan->calls += status.ok();
  return results;
}

} // namespace peer::runtime
