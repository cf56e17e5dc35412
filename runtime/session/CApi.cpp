#include "peer_runtime.h"

#include "Session.h"
#include "core/Threads.h"

#include <cstring>
#include <exception>

using namespace peer::runtime;

struct peer_artifact {
  std::unique_ptr<Session> session;
  TensorMap inputs, outputs;
  ScalarMap scalars;
};

namespace {
thread_local std::string lastError;

/// Runs `work` (-> Status) so that nothing but a status code leaves it.
peer_status guarded(auto work) noexcept {
  try {
    Status status = work();
    if (status.ok())
      return PEER_OK;
    lastError = status.message();
  } catch (const std::exception &error) {
    // Assigning may allocate; a short text fits in the string itself.
    lastError.clear();
    try {
      lastError = concat("unexpected failure: ", error.what());
    } catch (...) {
      lastError = "out of memory";
    }
  }
  return PEER_ERROR;
}

Status need(const void *pointer, const char *what) {
  return pointer ? Status() : Status::error(what, " is a null pointer");
}

Status viewOf(TensorMap &tensors, const char *name, const char *kind, peer_tensor *view) {
  PEER_TRY(need(name, "name"));
  PEER_TRY(need(view, "tensor"));
  auto found = tensors.find(std::string_view(name));
  if (found == tensors.end())
    return Status::error("there is no ", kind, " \"", name, "\"");
  Tensor &tensor = found->second;
  *view = {dtypeName(tensor.dtype()).data(), tensor.shape().size(), tensor.shape().data(), tensor.data(),
           tensor.bytes()};
  return {};
}

Status copyInput(peer_artifact *artifact, const char *name, const peer_tensor *given) {
  PEER_TRY(need(artifact, "artifact"));
  PEER_TRY(need(name, "name"));
  PEER_TRY(need(given, "tensor"));
  PEER_TRY(need(given->dtype, "dtype"));
  if (given->rank > 0)
    PEER_TRY(need(given->shape, "shape"));
  std::optional<DType> dtype = parseDType(given->dtype);
  if (!dtype)
    return Status::error("input \"", name, "\": \"", given->dtype, "\" is no known dtype");
  PEER_TRY_ASSIGN(Tensor tensor, Tensor::zeros(*dtype, Shape(given->shape, given->shape + given->rank),
                                               concat("input \"", name, "\"")));
  if (tensor.bytes() != given->bytes)
    return Status::error("input \"", name, "\" is ", typeText(tensor.dtype(), tensor.shape()), ", which takes ",
                         tensor.bytes(), " bytes, but ", given->bytes, " were given");
  if (tensor.bytes() > 0) {
    PEER_TRY(need(given->data, "data"));
    std::memcpy(tensor.data(), given->data, tensor.bytes());
  }
  artifact->inputs.insert_or_assign(name, std::move(tensor));
  return {};
}
} // namespace

const char *peer_last_error(void) { return lastError.c_str(); }
const char *peer_version(void) { return PEER_VERSION; }

peer_status peer_set_threads(int threads) {
  return guarded([&] {
    if (threads < 1 || threads > kMostThreads)
      return Status::error("the number of threads is ", threads, ", expected 1 to ", kMostThreads);
    setThreads(threads);
    return Status();
  });
}

peer_status peer_open(const char *path, peer_artifact **artifact) { return peer_open_on(path, "", artifact); }

peer_status peer_open_on(const char *path, const char *device, peer_artifact **artifact) {
  return guarded([&]() -> Status {
    PEER_TRY(need(artifact, "artifact"));
    *artifact = nullptr;
    PEER_TRY(need(path, "path"));
    PEER_TRY(need(device, "device"));
    PEER_TRY_ASSIGN(std::unique_ptr<Session> session, Session::open(path, device));
    *artifact = new peer_artifact{std::move(session), {}, {}, {}};
    return {};
  });
}

void peer_close(peer_artifact *artifact) { delete artifact; }

size_t peer_entry_count(const peer_artifact *artifact) {
  return artifact ? artifact->session->manifest().entries.size() : 0;
}

const char *peer_entry_name(const peer_artifact *artifact, size_t index) {
  return index < peer_entry_count(artifact) ? artifact->session->manifest().entries[index].name.c_str() : nullptr;
}

peer_status peer_init_parameters(peer_artifact *artifact, uint64_t seed) {
  return guarded([&]() -> Status {
    PEER_TRY(need(artifact, "artifact"));
    return artifact->session->initParameters(seed);
  });
}

peer_status peer_load_parameters(peer_artifact *artifact, const char *path) {
  return guarded([&]() -> Status {
    PEER_TRY(need(artifact, "artifact"));
    PEER_TRY(need(path, "path"));
    return artifact->session->loadParameters(std::string(path));
  });
}

peer_status peer_save_parameters(peer_artifact *artifact, const char *path) {
  return guarded([&]() -> Status {
    PEER_TRY(need(artifact, "artifact"));
    PEER_TRY(need(path, "path"));
    return artifact->session->saveParameters(path);
  });
}

peer_status peer_parameter(peer_artifact *artifact, const char *name, peer_tensor *tensor) {
  return guarded([&]() -> Status {
    PEER_TRY(need(artifact, "artifact"));
    return viewOf(artifact->session->parameters(), name, "parameter", tensor);
  });
}

peer_status peer_set_input(peer_artifact *artifact, const char *name, const peer_tensor *tensor) {
  return guarded([&] { return copyInput(artifact, name, tensor); });
}

peer_status peer_set_scalar(peer_artifact *artifact, const char *name, double value) {
  return guarded([&]() -> Status {
    PEER_TRY(need(artifact, "artifact"));
    PEER_TRY(need(name, "name"));
    artifact->scalars.insert_or_assign(name, value);
    return {};
  });
}

void peer_clear_inputs(peer_artifact *artifact) {
  if (!artifact)
    return;
  artifact->inputs.clear();
  artifact->scalars.clear();
}

peer_status peer_call(peer_artifact *artifact, const char *entry) {
  return guarded([&]() -> Status {
    PEER_TRY(need(artifact, "artifact"));
    PEER_TRY(need(entry, "entry"));
    PEER_TRY_ASSIGN(const Entry *found, artifact->session->entry(entry));
    ScalarMap scalars = artifact->session->defaultScalars(*found);
    for (const auto &[name, value] : artifact->scalars)
      scalars[name] = value;
    artifact->outputs.clear();
    PEER_TRY_ASSIGN(artifact->outputs, artifact->session->call(*found, artifact->inputs, scalars));
    return {};
  });
}

peer_status peer_output(peer_artifact *artifact, const char *name, peer_tensor *tensor) {
  return guarded([&]() -> Status {
    PEER_TRY(need(artifact, "artifact"));
    return viewOf(artifact->outputs, name, "result", tensor);
  });
}

peer_status peer_clear_states(peer_artifact *artifact) {
  return guarded([&]() -> Status {
    PEER_TRY(need(artifact, "artifact"));
    artifact->session->clearStates();
    return {};
  });
}

peer_status peer_clear_usage(peer_artifact *artifact) {
  return guarded([&]() -> Status {
    PEER_TRY(need(artifact, "artifact"));
    artifact->session->clearUsage();
    return {};
  });
}
