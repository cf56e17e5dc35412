// `peer-run train --resume` on a run directory whose log, settings and checkpoint header are the input: refused with a
// sentence, or trained one step further. PEER_FUZZ_RUN is a folder with m.peer, text and a run of two steps in run/.
#include "Harness.h"

#include <cstdlib>
#include <cstring>
#include <filesystem>

using namespace peer::fuzz;
namespace fs = std::filesystem;

namespace {
struct Template {
  fs::path folder = [] {
    const char *folder = std::getenv("PEER_FUZZ_RUN");
    if (!folder)
      finding("PEER_FUZZ_RUN names no run to begin with");
    return fs::path(folder);
  }();
  std::string checkpoint = readAll(folder / "run/checkpoint-2.safetensors");
  std::string header, data, scratch = scratchFolder();

  Template() {
    uint64_t length = 0;
    std::memcpy(&length, checkpoint.data(), sizeof length);
    header = checkpoint.substr(8, length);
    data = checkpoint.substr(8 + length);
  }
};

/// The header with other settings in its metadata, as the text of a JSON string.
std::string withSettings(const std::string &header, const std::string &settings) {
  std::string quoted;
  for (char c : settings)
    if (c == '"' || c == '\\')
      quoted += std::string("\\") + c;
    else if (static_cast<unsigned char>(c) >= 0x20)
      quoted += c;
  size_t begin = header.find("\"run\":\"") + 7, end = begin;
  while (header[end] != '"')
    end += header[end] == '\\' ? 2 : 1;
  return header.substr(0, begin) + quoted + header.substr(end);
}
} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const Template from;
  std::vector<std::string> parts = split({reinterpret_cast<const char *>(data), size}, 3);
  std::string out = from.scratch + "/run";
  std::error_code ignored;
  fs::remove_all(out, ignored);
  fs::create_directories(out);
  writeAll(out + "/log.jsonl", parts[0]);
  std::string header = parts[2].empty() ? withSettings(from.header, parts[1]) : parts[2];
  writeAll(out + "/checkpoint-2.safetensors", packSafetensors(header, from.data));
  runCommand({"peer-run", "train", from.folder / "m.peer", "--data", from.folder / "text", "--steps", "3", "--threads",
              "1", "--batch", "1", "--out", out, "--resume"});
  for (const fs::directory_entry &entry : fs::directory_iterator(out))
    if (entry.path().string().find(".tmp.") != std::string::npos)
      finding("a temporary file was left: " + entry.path().string());
  return 0;
}
