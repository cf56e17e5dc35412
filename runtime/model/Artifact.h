// Opens MODEL.peer: footer, manifest and CPU features are checked before any of its code is mapped.
#pragma once

#include "Manifest.h"
#include "core/File.h"

#include <concepts>

namespace peer::runtime {

/// The function behind an entry: one pointer per argument descriptor, then one to the results' descriptors.
using EntryFunction = void (*)(void **args);

/// An artifact's file, and what messages call the model: the artifact itself, or the description it was just compiled from.
struct ModelFile {
  std::string file, name;

  template <typename Path>
    requires std::convertible_to<Path, std::string>
  ModelFile(Path path) : file(std::move(path)), name(file) {}
  ModelFile(std::string file, std::string name) : file(std::move(file)), name(std::move(name)) {}
};

/// A loaded artifact. Its code stays mapped while the object lives.
class Artifact {
public:
  /// Fails with one sentence on anything but an intact artifact for a CPU that this machine has.
  static Result<std::shared_ptr<Artifact>> open(const ModelFile &model);
  /// The same without its code: nothing is mapped that could be executed, and there are no functions.
  static Result<std::shared_ptr<Artifact>> openManifest(const ModelFile &model);
  /// Maps the code of one that was opened without. Once.
  Status load();
  ~Artifact();
  Artifact(const Artifact &) = delete;
  Artifact &operator=(const Artifact &) = delete;

  /// The model's name in messages.
  const std::string &path() const { return file; }
  const Manifest &manifest() const { return description; }
  /// The same as it is in the file, with all versions of the code.
  const std::string &manifestText() const { return text; }
  EntryFunction function(const Entry &entry) const;
  /// Machine code for the GPU that the artifact is for (symbols peer_cubin and peer_cubin_size); empty where it brings only PTX.
  std::span<const std::byte> cubin() const;

private:
  Artifact() = default;
  Status loadCopy(const std::string &why);
  std::string file, location;
  std::string text;
  Manifest description;
  std::shared_ptr<MappedFile> source; // kept open: its descriptor may be the name under which the code was loaded
  int copy = -1;                      // of the file in memory, where the file's own place forbids to execute it
  void *handle = nullptr;
  std::map<std::string, EntryFunction, std::less<>> functions; // by entry name
};

/// Reads footer and manifest, without loading code: works for artifacts of any device and CPU. Of several versions it is the one that runs here,
/// or the first.
Result<Manifest> readManifest(const std::string &path);

/// The text of the description that an artifact was compiled from, whose file name is the manifest's `model`; empty where it keeps none.
Result<std::string> readDescription(const std::string &path);

} // namespace peer::runtime
