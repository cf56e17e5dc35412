// What the fuzz targets share: inputs as files, what a command prints, and the verdict.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace peer::fuzz {

/// A file in memory that any code can open by its path.
class MemoryFile {
public:
  explicit MemoryFile(const char *name);
  void set(std::string_view contents);
  std::string get() const;
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor); }
  int number() const { return descriptor; }

private:
  int descriptor;
};

/// Takes what is written to standard output and standard error while it lives. With PEER_FUZZ_SHOW in the environment both
/// are left as they are, so that the message of an assertion can be read.
class Capture {
public:
  Capture();
  ~Capture() { end(); }
  /// What was written.
  std::string end();

private:
  int saved[2] = {-1, -1};
};

/// Whether a Capture takes anything.
bool captures();

/// Says what is wrong and ends the process as a crash.
[[noreturn]] void finding(std::string_view what, std::string_view printed = {});

/// Runs peer-run in this process. A finding unless it ends well or with exit code 1 and one sentence as its last line.
void runCommand(std::vector<std::string> arguments);

/// The parts of an input, which lines of `=====` separate; as many as asked for, missing ones empty.
std::vector<std::string> split(std::string_view input, size_t parts);

/// A safetensors file: the length of the header, the header, the data.
std::string packSafetensors(std::string_view header, std::string_view data);

/// A new folder in memory, or where temporary files are; it goes with the process.
std::string scratchFolder();

std::string readAll(const std::string &path);
void writeAll(const std::string &path, std::string_view contents);

} // namespace peer::fuzz
