#include "Commands.h"
#include "ModelFile.h"
#include "Table.h"
#include "core/ListText.h"
#include "core/Memory.h"
#include "core/Printable.h"
#include "model/Artifact.h"
#include "model/CpuFeatures.h"
#include "model/Safetensors.h"
#include "model/Versions.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <unistd.h>

namespace peer::runtime {

namespace {
constexpr const char *kHelp =
    R"(Of a model: its target, its parameters with totals, its functions with their tensors. Of a safetensors file: its
tensors and metadata; of an index of several files, or the directory with one, all of theirs. Artifacts for other machines can be inspected too; what this machine lacks to run them is said.
Of several versions of the code (peer-opt --target=cpu:x86-64-v3+x86-64-v4) each is listed, and which one is taken here.

Examples:
  peer-run inspect tiny_peer_lm.peer
  peer-run inspect --description tiny_peer_lm.peer > tiny_peer_lm.mlir
  peer-run inspect run/weights.safetensors)";

std::string initText(const Init &init) {
  switch (init.kind) {
  case Init::Kind::Normal:
    return concat("normal(", init.mean, ", ", init.std, ")");
  case Init::Kind::Uniform:
    return concat("uniform(", init.low, ", ", init.high, ")");
  case Init::Kind::Constant:
    return concat("constant(", init.value, ")");
  }
  return "";
}

/// Names and metadata come from anywhere: what controls a terminal is shown.
void print(const std::string &text) {
  PrintableText printable;
  std::string shown;
  for (char c : text)
    shown += printable.feed(c);
  shown += printable.finish();
  std::fwrite(shown.data(), 1, shown.size(), stdout);
}

int64_t elementsOf(const Shape &shape) {
  int64_t count = 1;
  for (int64_t size : shape)
    if (__builtin_mul_overflow(count, size, &count)) // beside a zero sizes may be anything
      return 0;
  return count;
}

void printParameters(const Manifest &manifest) {
  uint64_t values = 0, bytes = 0;
  Table table({"name", "dtype", "shape", "parameters", "group", "initialised"});
  for (const Parameter &parameter : manifest.parameters) {
    int64_t count = elementsOf(parameter.shape);
    values += static_cast<uint64_t>(count);
    bytes += static_cast<uint64_t>(count) * dtypeSize(parameter.dtype);
    table.add({parameter.name, std::string(dtypeName(parameter.dtype)), shapeText(parameter.shape),
               std::to_string(count),
               parameter.trainable ? parameter.group
               : parameter.frozen  ? "(frozen)"
                                   : "(not trained)",
               initText(parameter.init)});
  }
  print(concat("\nparameters: ", values, " in ", manifest.parameters.size(), " tensors, ", bytesText(bytes), "\n"));
  if (!manifest.parameters.empty())
    print(table.text("  "));
}

void printGroups(const Manifest &manifest) {
  if (manifest.groups.empty())
    return;
  Table table({"group", "optimizer", "learning rate", "updates"});
  for (const Group &group : manifest.groups)
    table.add({group.name, group.optimizer,
               concat(group.learningRate, group.schedule.empty() ? "" : ", " + group.schedule),
               group.lazy ? "touched rows" : "all"});
  print("\noptimizer groups:\n" + table.text("  "));
}

void printEntry(const Entry &entry) {
  print(concat("\nfunction ", entry.name, " (", entryKindName(entry.kind), entry.of.empty() ? "" : " of " + entry.of,
               ")"));
  if (entry.dynamic && entry.multipleOf > 1)
    print(concat(", T a multiple of ", entry.multipleOf));
  if (entry.most > 0)
    print(concat(", T at most ", entry.most));
  print("\n");
  uint64_t stateBytes = 0, parameters = 0;
  std::map<std::string_view, uint64_t> states; // by type
  Table table({"", "name", "dtype", "shape", "values"});
  for (const Argument &argument : entry.arguments) {
    if (argument.role == Role::State) {
      ++states[dtypeName(argument.dtype)];
      stateBytes += static_cast<uint64_t>(*byteCount(argument.dtype, argument.shape));
    }
    parameters += argument.role == Role::Parameter;
    if (argument.role == Role::State || argument.role == Role::Parameter)
      continue;
    std::string range = argument.range ? concat((*argument.range)[0], " <= v < ", (*argument.range)[1]) : "";
    table.add({std::string(roleName(argument.role)), argument.name, std::string(dtypeName(argument.dtype)),
               shapeText(argument.shape), range});
  }
  for (const ResultInfo &result : entry.results)
    if (!result.check)
      table.add({"result", result.name, std::string(dtypeName(result.dtype)), shapeText(result.shape), ""});
  if (!table.empty())
    print(table.text("  "));
  if (parameters > 0)
    print(concat("  reads ", parameters, " parameter tensors\n"));
  if (!states.empty()) {
    uint64_t total = 0;
    std::vector<std::string> counts;
    for (auto &[dtype, count] : states) {
      total += count;
      counts.push_back(concat(count, " ", dtype));
    }
    print(concat("  keeps ", total, " state tensors (", joined(counts), "), ", bytesText(stateBytes), "\n"));
  }
  for (const ResultInfo &result : entry.results)
    if (result.check)
      print(concat("  checks the indices of ", result.check->what, ": ", result.check->range[0], " <= v < ",
                   result.check->range[1], "\n"));
  if (!entry.kernels.empty()) {
    std::vector<std::string> names;
    for (const KernelInfo &kernel : entry.kernels)
      names.push_back(kernel.name);
    print(concat("  kernels: ", joined(names), "\n"));
  }
}

/// All versions of the code, what this CPU lacks for each, and which one it takes.
void printVersions(const Manifest &manifest, bool runs) {
  if (manifest.others.empty())
    return;
  std::vector<const Version *> all{&manifest};
  for (const Version &other : manifest.others)
    all.push_back(&other);
  std::ranges::sort(all, [](const Version *a, const Version *b) { return isMoreDemanding(*a, *b); });
  print("versions of the code:\n");
  for (const Version *version : all) {
    std::vector<std::string> missing = missingCpuFeatures(version->features);
    print(concat("  ", printableLine(version->cpu), ": ",
                 !missing.empty()               ? "this machine lacks " + joined(missing)
                 : runs && version == &manifest ? "taken on this machine"
                                                : "would run on this machine",
                 "\n"));
  }
}

Result<int> inspectArtifact(const std::string &path, const std::string &file) {
  PEER_TRY_ASSIGN(Manifest manifest, readManifest(file));
  std::vector<std::string> missing = missingCpuFeatures(manifest.features);
  print(concat("artifact ", printableLine(path), ", compiled from ", printableLine(manifest.model), " by ",
               manifest.compiler, "\n"));
  print(concat("target: ", manifest.device, manifest.arch.empty() ? "" : ", " + manifest.arch,
               manifest.cpu.empty() ? "" : ", " + manifest.cpu, "\n"));
  print(concat("CPU features needed: ", joined(manifest.features), "\n"));
  PEER_TRY_ASSIGN(std::string description, readDescription(file));
  print(description.empty() ? "description: none\n"
                            : concat("description: ", bytesText(description.size()), ", shown by --description\n"));
  if (!manifest.tuning.empty()) {
    std::vector<std::string> values;
    for (const auto &[name, value] : manifest.tuning)
      values.push_back(concat(name, "=", value));
    print(concat("tuning: ", joined(values), "\n"));
  }
  if (!missing.empty())
    print(concat("this machine lacks: ", joined(missing), "\n"));
  printVersions(manifest, missing.empty());
  printParameters(manifest);
  printGroups(manifest);
  for (const Entry &entry : manifest.entries)
    printEntry(entry);
  return 0;
}

Result<int> inspectSafetensors(const std::string &path) {
  PEER_TRY_ASSIGN(SafetensorsFile file, SafetensorsFile::open(path));
  uint64_t bytes = 0, values = 0;
  Table table({"name", "dtype", "shape", "values", "bytes"});
  for (const auto &[name, info] : file.tensors()) {
    bytes += info.end - info.begin;
    values += static_cast<uint64_t>(elementsOf(info.shape));
    table.add({printableLine(name), std::string(dtypeName(info.dtype)), shapeText(info.shape),
               std::to_string(elementsOf(info.shape)), std::to_string(info.end - info.begin)});
  }
  print(concat("safetensors ", path, ": ", values, " values in ", file.tensors().size(), " tensors, ", bytesText(bytes),
               "\n"));
  if (!file.tensors().empty())
    print(table.text("  "));
  for (const auto &[key, value] : file.metadata())
    print(concat("  ", printableLine(key), " = ", value, "\n"));
  return 0;
}

/// Byte for byte, unless it goes to a terminal.
Result<int> printDescription(const std::string &path) {
  PEER_TRY_ASSIGN(std::string text, readDescriptionOf(path, "that was to be shown"));
  if (isatty(STDOUT_FILENO))
    print(text);
  else
    std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}

/// What of the two a file is shows at its start, whatever its name: an artifact is an ELF object; anything else can only be safetensors.
Result<int> runInspect(const std::string &path, const std::string &device) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    return inspectSafetensors(path);
  if (path.ends_with(".mlir")) {
    PEER_TRY_ASSIGN(ModelHandle model, findModel(path, device));
    return inspectArtifact(path, model.file());
  }
  PEER_TRY_ASSIGN(std::shared_ptr<MappedFile> file, MappedFile::open(path));
  if (file->size() >= 4 && std::memcmp(file->data(),
                                       "\x7f"
                                       "ELF",
                                       4) == 0)
    return inspectArtifact(path, path);
  Result<int> result = inspectSafetensors(path);
  if (!result.ok() && path.ends_with(".peer"))
    return readManifest(path).status();
  return result;
}
} // namespace

void addInspectCommand(CLI::App &app, CommandContext &context) {
  auto path = std::make_shared<std::string>();
  auto description = std::make_shared<bool>(false);
  CLI::App *command = app.add_subcommand("inspect", "Show what is in a model or a safetensors file");
  command->footer(kHelp);
  command->add_option("FILE", *path, "A description (.mlir), a compiled model (.peer) or a safetensors file")
      ->required();
  command->add_flag("--description", *description,
                    "Print the text that an artifact was compiled from, and nothing else");
  addCommonOptions(*command, context);
  command->callback([=, &context] {
    context.action = [=, &context] {
      return *description ? printDescription(*path) : runInspect(*path, context.device);
    };
  });
}

} // namespace peer::runtime
