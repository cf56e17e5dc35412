// Temporary folders, hand-made artifacts and checks of messages for the runtime's tests.
#pragma once

#include "session/Session.h"

#include <filesystem>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace peer::runtime {

/// A folder that goes with the test.
class TemporaryFolder {
public:
  TemporaryFolder();
  ~TemporaryFolder();
  std::string operator/(const std::string &name) const { return (path / name).string(); }
  /// Names of the files in it.
  std::vector<std::string> files() const;

private:
  std::filesystem::path path;
};

/// The manifest that goes with TestEntries.c.
nlohmann::json testManifest();

/// A whole artifact: the C file compiled, then the manifest and a footer.
std::string artifactBytes(const nlohmann::json &manifest, const std::string &source);
/// Of TestEntries.c.
std::string artifactBytes(const nlohmann::json &manifest);

/// Writes artifactBytes() to a file and returns its path.
std::string writeArtifact(const TemporaryFolder &folder, const nlohmann::json &manifest = testManifest(),
                          const std::string &name = "MODEL.peer");

/// An open session on it.
std::unique_ptr<Session> openSession(const TemporaryFolder &folder);

/// Bytes of a safetensors file from its header's text and data.
std::string safetensorsBytes(const std::string &header, const std::string &data);

/// An f32 tensor.
Tensor floats(Shape shape, const std::vector<float> &values);
/// An i32 tensor of rank 1.
Tensor integers(const std::vector<int32_t> &values);

void writeBytes(const std::string &path, const std::string &bytes);

/// The message of a failed Result or Status.
inline std::string errorOf(const Status &status) { return status.message(); }
template <typename T>
std::string errorOf(const Result<T> &result) {
  return result.message();
}

} // namespace peer::runtime

#define EXPECT_OK(expression)                                                                                          \
  do {                                                                                                                 \
    const auto &outcome = (expression);                                                                                \
    EXPECT_TRUE(outcome.ok()) << ::peer::runtime::errorOf(outcome);                                                    \
  } while (false)
#define ASSERT_OK(expression)                                                                                          \
  do {                                                                                                                 \
    const auto &outcome = (expression);                                                                                \
    ASSERT_TRUE(outcome.ok()) << ::peer::runtime::errorOf(outcome);                                                    \
  } while (false)
