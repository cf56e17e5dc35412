// What tells whether two artifacts are the same model.

#include "Fingerprints.h"

#include "artifact/format.h"
#include "core/File.h"

#include <nlohmann/json.hpp>

namespace peer::runtime {

Result<Fingerprints> readFingerprints(const std::string &artifact) {
  PEER_TRY_ASSIGN(std::shared_ptr<MappedFile> file, MappedFile::open(artifact));
  // What the footer says of its place; opening the artifact has checked the rest.
  uint64_t begin = 0, bytes = 0, size = file->size();
  if (size >= format::kFooterBytes) {
    PEER_TRY(file->read(size - format::kFooterBytes + format::kObjectBytesAt, &begin, sizeof(begin)));
    PEER_TRY(file->read(size - format::kFooterBytes + format::kManifestBytesAt, &bytes, sizeof(bytes)));
  }
  if (size < format::kFooterBytes || begin > size || bytes > size - begin)
    return Status::error(artifact, " is not a peer artifact");
  std::string text(bytes, '\0');
  PEER_TRY(file->read(begin, text.data(), bytes));
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
