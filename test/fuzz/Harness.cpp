#include "Harness.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace peer::fuzz {

namespace {
/// Where libFuzzer and sanitizers report: the standard error of before any Capture.
int reports() {
  static const int descriptor = dup(STDERR_FILENO);
  return descriptor;
}

MemoryFile &captured() {
  static MemoryFile file("captured");
  return file;
}

void say(std::string_view text) {
  ssize_t ignored = write(reports(), text.data(), text.size());
  (void)ignored;
}
} // namespace

MemoryFile::MemoryFile(const char *name) : descriptor(memfd_create(name, 0)) {
  if (descriptor < 0)
    finding("the harness cannot make a file in memory");
}

void MemoryFile::set(std::string_view contents) {
  if (ftruncate(descriptor, 0) != 0 ||
      pwrite(descriptor, contents.data(), contents.size(), 0) != static_cast<ssize_t>(contents.size()))
    finding("the harness cannot write a file in memory");
}

std::string MemoryFile::get() const {
  struct stat info{};
  fstat(descriptor, &info);
  std::string contents(static_cast<size_t>(info.st_size), '\0');
  contents.resize(static_cast<size_t>(std::max<ssize_t>(pread(descriptor, contents.data(), contents.size(), 0), 0)));
  return contents;
}

bool captures() {
  static const bool show = std::getenv("PEER_FUZZ_SHOW") != nullptr;
  return !show;
}

Capture::Capture() {
  if (!captures())
    return;
  reports();
  captured().set("");
  lseek(captured().number(), 0, SEEK_SET);
  std::fflush(nullptr);
  for (int stream : {STDOUT_FILENO, STDERR_FILENO}) {
    saved[stream - 1] = dup(stream);
    dup2(captured().number(), stream);
  }
}

std::string Capture::end() {
  if (saved[0] < 0)
    return "";
  std::fflush(nullptr);
  for (int stream : {STDOUT_FILENO, STDERR_FILENO}) {
    dup2(saved[stream - 1], stream);
    close(saved[stream - 1]);
    saved[stream - 1] = -1;
  }
  return captured().get();
}

void finding(std::string_view what, std::string_view printed) {
  say("finding: ");
  say(what);
  say("\n");
  say(printed);
  std::abort();
}

std::vector<std::string> split(std::string_view input, size_t parts) {
  constexpr std::string_view kBetween = "\n=====\n";
  std::vector<std::string> result;
  while (result.size() + 1 < parts && input.find(kBetween) != std::string_view::npos) {
    size_t at = input.find(kBetween);
    result.emplace_back(input.substr(0, at));
    input.remove_prefix(at + kBetween.size());
  }
  result.emplace_back(input);
  result.resize(parts);
  return result;
}

std::string packSafetensors(std::string_view header, std::string_view data) {
  uint64_t length = header.size();
  std::string file(sizeof length, '\0');
  std::memcpy(file.data(), &length, sizeof length);
  return file.append(header).append(data);
}

std::string scratchFolder() {
  namespace fs = std::filesystem;
  static std::vector<std::string> folders;
  static const bool removes = [] {
    std::atexit([] {
      std::error_code ignored;
      for (const std::string &folder : folders)
        fs::remove_all(folder, ignored);
    });
    return true;
  }();
  (void)removes;
  fs::path parent = access("/dev/shm", W_OK) == 0 ? fs::path("/dev/shm") : fs::temp_directory_path();
  std::string name = (parent / "peer-fuzz-XXXXXX").string();
  if (!mkdtemp(name.data()))
    finding("the harness cannot make a folder for temporary files");
  folders.push_back(name);
  return name;
}

std::string readAll(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void writeAll(const std::string &path, std::string_view contents) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(contents.data(), static_cast<std::streamsize>(contents.size()));
}

} // namespace peer::fuzz
