// The artifact's manifest as structs. The schema is described in runtime/README.md.
#pragma once

#include "core/Tensor.h"

#include <array>
#include <optional>

namespace peer::runtime {

/// A size written "T" in the manifest: the entry's token count.
inline constexpr int64_t kDynamic = -1;

struct Init {
  enum class Kind { Normal, Uniform, Constant } kind = Kind::Constant;
  double mean = 0, std = 0; // normal
  double low = 0, high = 0; // uniform
  double value = 0;         // constant
};

struct Parameter {
  std::string name;
  DType dtype;
  Shape shape; // static
  std::string group;
  bool trainable;
  bool frozen; // nothing moves it; else what is not trainable may be moved by training without a gradient
  Init init;
};

struct Group {
  std::string name, optimizer;
  double learningRate; // the description's default
  bool lazy;
  std::string schedule = ""; // a name of format::schedule; empty: that of the run
};

/// What is derived follows from the parameter that it is named after.
enum class Role { Input, Parameter, State, Usage, Scalar, Derived };
std::string_view roleName(Role role);

struct Argument {
  std::string name;
  Role role;
  DType dtype;
  Shape shape;                                 // kDynamic only in inputs
  std::optional<std::array<int64_t, 2>> range; // half-open, integer inputs and scalars
  std::optional<std::array<int64_t, 2>> grid;  // product-key grid of a usage tensor
  bool updated = false;
  /// Whether each call brings it; the others are kept between calls.
  bool isGiven() const { return role == Role::Input || role == Role::Scalar; }
};

/// What a result counts that must not be: integers that `what` takes as indices and that are not in a half-open range.
struct IndexCheck {
  std::string what;
  std::array<int64_t, 2> range;
};

struct ResultInfo {
  std::string name;
  DType dtype;
  Shape shape;                     // kDynamic where it depends on T
  std::optional<IndexCheck> check; // no result for the caller: a call in which it is not 0 fails
};

/// What one call of a kernel moves and computes: constant + linear * T.
struct KernelInfo {
  std::string name;
  std::array<double, 2> bytes, flops;
  double bytesAt(int64_t tokens) const { return bytes[0] + bytes[1] * static_cast<double>(tokens); }
  double flopsAt(int64_t tokens) const { return flops[0] + flops[1] * static_cast<double>(tokens); }
};

enum class EntryKind {
  Forward,
  Gradient,
  Loss,
  Train,
  Accumulate,
  Update,
  Prefill,
  Decode,
  Backward,
  RowUpdate,
  RowNorm,
  Derive
};
std::string_view entryKindName(EntryKind kind);

struct Entry {
  std::string name, symbol, of;
  /// What the entry computes, whatever it was compiled for, so that equal descriptions have equal ones; empty in artifacts of older compilers.
  std::string fingerprint;
  EntryKind kind;
  bool dynamic = false;   // has the dimension T
  int64_t multipleOf = 1; // T must be a multiple of this
  int64_t most = 0;       // T must not exceed this; 0: no limit
  std::vector<Argument> arguments;
  std::vector<ResultInfo> results;
  std::vector<KernelInfo> kernels;
  /// Values of parameters that one token uses, at most; not known of entries of older compilers, nor of gradients and updates.
  std::optional<int64_t> activeParameters;

  const Argument *findArgument(std::string_view argument) const;
  const ResultInfo *findResult(std::string_view result) const;
};

/// The code of a model for one kind of CPU.
struct Version {
  std::string cpu;
  std::vector<std::string> features;
  std::vector<Entry> entries;
  /// Each makes of one parameter the tensor that entries take with the role `derived` and its name.
  std::vector<Entry> derivations;
  /// What its kernels were made with where that is not what the compiler takes by itself; nothing but people asks.
  std::map<std::string, int64_t> tuning;
};

/// The version is the one that runs here, where there are several.
struct Manifest : Version {
  std::string compiler, model;
  std::string device;
  std::string arch; // of GPU code: sm_90
  std::vector<Parameter> parameters;
  std::vector<Group> groups;
  /// The versions that this is not: the same entries, with code for other CPUs.
  std::vector<Version> others;

  const Parameter *findParameter(std::string_view name) const;
  const Group *findGroup(std::string_view name) const;
  const Entry *findEntry(std::string_view name) const;
  /// The first entry of this kind.
  const Entry *findEntry(EntryKind kind) const;
  /// The entry, or an error that lists those there are.
  Result<const Entry *> requireEntry(std::string_view name, const std::string &path) const;
};

/// Parses and checks a manifest. `path` is the artifact's, for messages.
Result<Manifest> parseManifest(std::string_view json, const std::string &path);

} // namespace peer::runtime
