#include "peer_runtime.h"

#include "Session.h"
#include "core/Threads.h"

#include <cstddef>
#include <cstring>
#include <exception>
#include <mutex>
#include <shared_mutex>

using namespace peer::runtime;

struct peer_artifact {
  std::unique_ptr<Session> session;

  /// For calls that run at once with others.
  std::shared_lock<std::shared_mutex> together() {
    std::lock_guard waiting(turn);
    return std::shared_lock(mutex);
  }
  /// For everything else. Who waits for this holds up those who come later, or calls without end would never let him in.
  std::unique_lock<std::shared_mutex> alone() {
    std::lock_guard waiting(turn);
    return std::unique_lock(mutex);
  }

private:
  std::mutex turn;
  std::shared_mutex mutex;
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

/// Work on an artifact that nobody else may be using meanwhile.
peer_status alone(peer_artifact *artifact, auto work) noexcept {
  return guarded([&]() -> Status {
    PEER_TRY(need(artifact, "artifact"));
    auto lock = artifact->alone();
    return work(*artifact->session);
  });
}

/// Options as their caller knows them: fields that he does not have are zero.
Status readOptions(const peer_options *given, peer_options &options) {
  if (!given)
    return {};
  constexpr size_t least = offsetof(peer_options, threads);
  if (given->size > sizeof options)
    return Status::error("the peer_options say that they have ", given->size, " bytes, and those of this library (",
                         "version ", peer_abi_version(), " of the interface) have ", sizeof options,
                         ": the program was built for a later one");
  if (given->size < least)
    return Status::error("the peer_options say that they have ", given->size, " bytes, expected ", sizeof options);
  std::memcpy(&options, given, given->size);
  if (options.flags & ~uint32_t{PEER_TRUST_INPUTS})
    return Status::error("the flags of the peer_options are ", options.flags, ", which are not known");
  return {};
}
} // namespace

const char *peer_last_error(void) { return lastError.c_str(); }
const char *peer_version(void) { return PEER_VERSION; }

uint32_t peer_abi_version(void) { return 1; }

peer_status peer_open(const char *path, peer_artifact **artifact) { return peer_open_on(path, "", artifact); }

peer_status peer_open_on(const char *path, const char *device, peer_artifact **artifact) {
  return guarded([&]() -> Status {
    PEER_TRY(need(artifact, "artifact"));
    *artifact = nullptr;
    PEER_TRY(need(path, "path"));
    PEER_TRY(need(device, "device"));
    PEER_TRY_ASSIGN(std::unique_ptr<Session> session, Session::open(path, device));
    *artifact = new peer_artifact;
    (*artifact)->session = std::move(session);
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

peer_status peer_manifest(const peer_artifact *artifact, const char **json, size_t *bytes) {
  return guarded([&]() -> Status {
    PEER_TRY(need(artifact, "artifact"));
    PEER_TRY(need(json, "json"));
    PEER_TRY(need(bytes, "bytes"));
    const std::string &text = artifact->session->manifestText();
    *json = text.c_str();
    *bytes = text.size();
    return {};
  });
}

peer_status peer_init_parameters(peer_artifact *artifact, uint64_t seed) {
  return alone(artifact, [&](Session &session) { return session.initParameters(seed); });
}

peer_status peer_load_parameters(peer_artifact *artifact, const char *path) {
  return alone(artifact, [&](Session &session) -> Status {
    PEER_TRY(need(path, "path"));
    return session.loadParameters(std::string(path));
  });
}

peer_status peer_save_parameters(peer_artifact *artifact, const char *path) {
  return alone(artifact, [&](Session &session) -> Status {
    PEER_TRY(need(path, "path"));
    return session.saveParameters(path);
  });
}

peer_status peer_bind(peer_artifact *artifact, const char *name, const peer_view *view) {
  return alone(artifact, [&](Session &session) -> Status {
    PEER_TRY(need(name, "name"));
    return view ? session.bind(name, *view) : session.unbind(name);
  });
}

peer_status peer_tensor(peer_artifact *artifact, const char *name, peer_view *view) {
  return alone(artifact, [&](Session &session) -> Status {
    PEER_TRY(need(name, "name"));
    PEER_TRY(need(view, "view"));
    return session.view(name, *view);
  });
}

peer_status peer_run(peer_artifact *artifact, const char *entry, const peer_view *arguments, size_t argument_count,
                     const peer_view *results, size_t result_count, const peer_options *options) {
  return guarded([&]() -> Status {
    PEER_TRY(need(artifact, "artifact"));
    PEER_TRY(need(entry, "entry"));
    peer_options given{};
    PEER_TRY(readOptions(options, given));
    Session &session = *artifact->session;
    PEER_TRY_ASSIGN(const Entry *found, session.entry(entry));
    ThreadScope threads(given.threads);
    PEER_TRY(threads.status);
    RunOptions how{(given.flags & PEER_TRUST_INPUTS) != 0, given.stream};
    {
      auto lock = artifact->together();
      if (session.runsAtOnce(*found))
        return session.run(*found, {arguments, argument_count}, {results, result_count}, how);
    }
    auto lock = artifact->alone();
    return session.run(*found, {arguments, argument_count}, {results, result_count}, how);
  });
}

peer_status peer_clear_states(peer_artifact *artifact) {
  return alone(artifact, [](Session &session) {
    session.clearStates();
    return Status();
  });
}

peer_status peer_clear_usage(peer_artifact *artifact) {
  return alone(artifact, [](Session &session) {
    session.clearUsage();
    return Status();
  });
}
