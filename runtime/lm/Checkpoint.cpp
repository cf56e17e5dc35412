// Checkpoints of a training run.

#include "Checkpoint.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>

namespace peer::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFilePrefix = "checkpoint-", kFileSuffix = ".safetensors";

/// Calls `visit` with the name of each file of a directory; one that is not there has none.
template <typename Visit>
Status forEachFile(const std::string &directory, Visit visit) {
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error))
    visit(at->path().filename().string());
  if (error && error != std::errc::no_such_file_or_directory)
    return Status::error("cannot read the directory ", directory, ": ", error.message());
  return {};
}

/// Whether all values are finite, by their exponent bits: one pass that the compiler vectorises.
template <typename Word>
bool allFinite(std::span<const Word> values, Word exponent) {
  bool finite = true;
  for (Word value : values)
    finite &= (value & exponent) != exponent;
  return finite;
}

} // namespace

std::string checkpointPath(const std::string &directory, int64_t step) {
  return (fs::path(directory) / concat(kFilePrefix, step, kFileSuffix)).string();
}

Result<std::vector<CheckpointFile>> listCheckpoints(const std::string &directory) {
  std::vector<CheckpointFile> files;
  PEER_TRY(forEachFile(directory, [&](const std::string &name) {
    if (!name.starts_with(kFilePrefix) || !name.ends_with(kFileSuffix) ||
        name.size() <= kFilePrefix.size() + kFileSuffix.size())
      return;
    const char *first = name.data() + kFilePrefix.size(), *last = name.data() + name.size() - kFileSuffix.size();
    int64_t step = 0;
    auto [end, error] = std::from_chars(first, last, step);
    if (error == std::errc() && end == last)
      files.push_back({step, (fs::path(directory) / name).string()});
  }));
  std::sort(files.begin(), files.end(),
            [](const CheckpointFile &a, const CheckpointFile &b) { return a.step > b.step; });
  return files;
}

std::string findNonFinite(const TensorMap &tensors, const Entry *entry) {
  for (const auto &[name, tensor] : tensors) {
    const Argument *argument = entry ? entry->findArgument(name) : nullptr;
    if (entry && !(argument && argument->role == Role::State))
      continue;
    bool finite = true;
    if (tensor.dtype() == DType::F32)
      finite = allFinite<uint32_t>(tensor.as<uint32_t>(), 0x7f800000u);
    else if (tensor.dtype() == DType::BF16)
      finite = allFinite<uint16_t>(tensor.as<uint16_t>(), uint16_t{0x7f80});
    if (!finite)
      return name;
  }
  return "";
}

Status saveCheckpoint(const Session &session, const Entry &train, const std::string &directory, int64_t step,
                      const std::string &settings) {
  PEER_TRY(session.download());
  std::vector<NamedTensor> tensors;
  for (const auto &[name, tensor] : session.parameters())
    tensors.push_back({name, &tensor});
  for (const Argument &argument : train.arguments)
    if (argument.role == Role::State)
      tensors.push_back({concat(kStatePrefix, argument.name), &session.states().find(argument.name)->second});
  PEER_TRY(
      writeSafetensors(checkpointPath(directory, step), tensors, {{"step", std::to_string(step)}, {"run", settings}}));
  // Only now that the new one is on the disk may an old one go.
  removeOldCheckpoints(directory, step);
  return {};
}

void removeOldCheckpoints(const std::string &directory, int64_t step) {
  // Later steps are left alone: only damaged ones, which a resumed run passed over, can be there, and they must not push out good ones.
  size_t kept = 0;
  Result<std::vector<CheckpointFile>> files = listCheckpoints(directory);
  if (!files.ok())
    return; // what is left over costs room, and nothing else
  for (const CheckpointFile &file : *files) {
    std::error_code ignored;
    if (file.step <= step && ++kept > kKeptCheckpoints)
      fs::remove(file.path, ignored);
  }
}

Status loadCheckpoint(Session &session, const Entry &train, const SafetensorsFile &file) {
  PEER_TRY(session.loadParameters(file, kStatePrefix));
  PEER_TRY(session.prepare(train));
  TensorMap &states = session.states();
  size_t known = 0;
  for (const Argument &argument : train.arguments) {
    if (argument.role != Role::State)
      continue;
    ++known;
    PEER_TRY(file.readInto(concat(kStatePrefix, argument.name), states.find(argument.name)->second));
  }
  size_t stored = std::count_if(file.tensors().begin(), file.tensors().end(),
                                [](const auto &tensor) { return tensor.first.starts_with(kStatePrefix); });
  if (stored != known)
    return Status::error(file.path(), " holds ", stored, " optimizer states: expected the ", known, " that ",
                         session.path(), " has");
  return {};
}

void removeTemporaries(const std::string &directory) {
  (void)forEachFile(directory, [&](const std::string &name) {
    bool ours = name.starts_with(kFilePrefix) || name.starts_with("weights.safetensors") ||
                name.starts_with("best.safetensors") || name.starts_with("report.html") ||
                name.starts_with("data.json");
    std::error_code ignored;
    if (ours && name.find(".tmp.") != std::string::npos)
      fs::remove(fs::path(directory) / name, ignored);
  });
}

} // namespace peer::runtime
