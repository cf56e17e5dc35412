// What tells whether two artifacts are the same model.

#include "Fingerprints.h"

#include "core/File.h"

#include <cstring>
#include <nlohmann/json.hpp>

namespace peer::runtime {

Result<Fingerprints> readFingerprints(const std::string &artifact) {
  PEER_TRY_ASSIGN(std::shared_ptr<MappedFile> file, MappedFile::open(artifact));
  // The footer's bytes of the manifest, which lies right before it (README.md); opening the artifact has checked the rest.
  constexpr uint64_t kFooter = 48, kManifestBytes = 24;
  uint64_t bytes = 0, size = file->size();
  if (size >= kFooter)
    PEER_TRY(file->read(size - kFooter + kManifestBytes, &bytes, sizeof(bytes)));
  if (size < kFooter || bytes > size - kFooter)
    return Status::error(artifact, " is not a peer artifact");
  std::string text(bytes, '\0');
  PEER_TRY(file->read(size - kFooter - bytes, text.data(), bytes));
  nlohmann::json manifest = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  Fingerprints fingerprints;
  if (!manifest.is_object() || !manifest.contains("entries") || !manifest["entries"].is_array())
    return fingerprints;
  for (const nlohmann::json &entry : manifest["entries"]) {
    auto text = [&](const char *key) {
      bool there = entry.is_object() && entry.contains(key) && entry[key].is_string();
      return there ? entry[key].get<std::string>() : std::string();
    };
    if (std::string fingerprint = text("fingerprint"); !fingerprint.empty())
      fingerprints[text("name")] = fingerprint;
  }
  return fingerprints;
}

} // namespace peer::runtime
