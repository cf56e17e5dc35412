// A session: an artifact with its parameters, states and usage tensors, and calls of its entries on named tensors.
//
// A session is used by one thread at a time; compiled code uses OpenMP's threads inside a call.
#pragma once

#include "Artifact.h"
#include "Safetensors.h"

namespace peer::runtime {

/// Values of an entry's scalar arguments by name; integers are given as whole numbers.
using ScalarMap = std::map<std::string, double, std::less<>>;

class Session {
public:
  /// Opens the artifact. Allocates nothing yet.
  static Result<std::unique_ptr<Session>> open(const std::string &path);
  explicit Session(std::shared_ptr<Artifact> artifact) : loaded(std::move(artifact)) {}

  const std::string &path() const { return loaded->path(); }
  const Manifest &manifest() const { return loaded->manifest(); }
  /// The entry, or an error that lists those there are.
  Result<const Entry *> entry(std::string_view name) const { return manifest().requireEntry(name, path()); }

  /// Fills all parameters by their initialisers. The same seed gives the same values at any thread count.
  /// Fails, saying how much is needed, where they do not fit in memory.
  Status initParameters(uint64_t seed);

  /// Loads all parameters from a file. Names, dtypes and shapes must match exactly; every other tensor in the file is an error,
  /// unless its name begins with `ignorePrefix` (when not empty).
  Status loadParameters(const SafetensorsFile &file, std::string_view ignorePrefix = "");
  Status loadParameters(const std::string &path);

  /// Writes all parameters, atomically.
  Status saveParameters(const std::string &path, const Metadata &metadata = {}) const;

  /// Parameters by name; empty until initParameters or loadParameters.
  TensorMap &parameters() { return parameterTensors; }
  const TensorMap &parameters() const { return parameterTensors; }

  /// States and usage tensors by name. Those of an entry appear with its first call, or with prepare().
  TensorMap &states() { return stateTensors; }
  const TensorMap &states() const { return stateTensors; }
  TensorMap &usage() { return usageTensors; }
  const TensorMap &usage() const { return usageTensors; }

  /// Allocates (as zeros) the states and usage tensors of an entry that are not there yet. Fails, saying how much is needed, where they and the
  /// parameters still to come do not fit in memory: called before initParameters or loadParameters, it checks the sum of both before touching any.
  Status prepare(const Entry &entry);

  /// Sets all states, or all usage tensors, to zero.
  void clearStates();
  void clearUsage();

  /// The scalars an entry takes at their defaults: groups' learning rates, step 1, position 0.
  ScalarMap defaultScalars(const Entry &entry) const;

  /// Calls an entry. `inputs` must hold its inputs exactly, `scalars` its scalars exactly. T is deduced from the inputs' shapes; T = 0 is allowed.
  /// Results are returned by name, in the buffers that the compiled code allocated. On an error nothing was called,
  /// except where memory ran out within the call: then updated arguments may have changed in part.
  Result<TensorMap> call(std::string_view entry, const TensorMap &inputs, const ScalarMap &scalars = {});
  Result<TensorMap> call(const Entry &entry, const TensorMap &inputs, const ScalarMap &scalars);

  /// Checks the inputs of an entry as call() does; returns T (0 for an entry without a dynamic dimension).
  Result<int64_t> checkInputs(const Entry &entry, const TensorMap &inputs) const;

private:
  Status allocateParameters();

  std::shared_ptr<Artifact> loaded;
  TensorMap parameterTensors, stateTensors, usageTensors;
};

} // namespace peer::runtime
