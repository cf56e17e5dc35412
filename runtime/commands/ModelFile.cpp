// Descriptions are compiled by running peer-opt: no code of the compiler is linked here.
#include "ModelFile.h"

#include "core/Hash.h"
#include "device/Devices.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace peer::runtime {

namespace fs = std::filesystem;

namespace {
// What the user has been told of already: there is nothing to add.
constexpr const char *kReported = "";
// Artifacts that are kept, those used last: a description is compiled again after each change.
constexpr size_t kMostKept = 64;

std::string variable(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

bool isProgram(const fs::path &path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) && access(path.c_str(), X_OK) == 0;
}

Result<fs::path> findCompiler(const std::string &model) {
  if (std::string given = variable("PEER_OPT"); !given.empty())
    return isProgram(given)
               ? Result<fs::path>(fs::path(given))
               : Status::error("PEER_OPT is '", given, "', which is no program to compile ", model, " with");
  std::error_code ignored;
  fs::path here = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  if (isProgram(here / "peer-opt"))
    return here / "peer-opt";
  std::string path = variable("PATH");
  for (size_t begin = 0; begin <= path.size();) {
    size_t end = std::min(path.find(':', begin), path.size());
    if (fs::path found = fs::path(path.substr(begin, end - begin)) / "peer-opt"; end > begin && isProgram(found))
      return found;
    begin = end + 1;
  }
  return Status::error(model, " is a description, and peer-opt, which compiles it, is neither in ", here.string(),
                       " nor in PATH: set PEER_OPT to its path, or give an artifact (MODEL.peer)");
}

uint64_t addText(uint64_t hash, std::string_view text) {
  hash = fnv1a(text.data(), text.size(), hash);
  return fnv1a("", 1, hash); // ends the text, so that "ab", "c" is not "a", "bc"
}

/// What changes whenever another compiler is put in its place.
std::string identityOf(const fs::path &program) {
  struct stat info{};
  stat(program.c_str(), &info);
  return concat(fs::absolute(program).string(), " ", info.st_dev, " ", info.st_ino, " ", info.st_size, " ",
                info.st_mtim.tv_sec, ".", info.st_mtim.tv_nsec, " ", info.st_ctim.tv_sec, ".", info.st_ctim.tv_nsec);
}

/// The first processor's paragraph but for what changes all the time: a cache may be shared by machines.
std::string describeCpu() {
  std::ifstream file("/proc/cpuinfo");
  std::string line, text;
  while (std::getline(file, line) && !line.empty())
    if (line.starts_with("vendor_id") || line.starts_with("model") || line.starts_with("cpu family") ||
        line.starts_with("flags"))
      text += line + "\n";
  return text;
}

/// $XDG_CACHE_HOME/peer or ~/.cache/peer; empty where nothing can be kept there.
fs::path cacheDirectory() {
  fs::path base = variable("XDG_CACHE_HOME");
  if (!base.is_absolute()) {
    base = variable("HOME");
    if (!base.is_absolute())
      return {};
    base /= ".cache";
  }
  std::error_code error;
  fs::create_directories(base / "peer", error);
  return access((base / "peer").c_str(), W_OK | X_OK) == 0 ? base / "peer" : fs::path();
}

Result<fs::path> makeTemporaryDirectory() {
  for (const std::string &base : {variable("TMPDIR"), std::string("/tmp"), std::string("/var/tmp"), std::string(".")}) {
    std::string name = base + "/peer-run.XXXXXX";
    if (!base.empty() && mkdtemp(name.data()))
      return fs::path(name);
  }
  return Status::error("there is no directory for temporary files: set TMPDIR to one");
}

/// Removes what was used longest ago, beyond what is kept.
void prune(const fs::path &directory) {
  std::vector<std::pair<fs::file_time_type, fs::path>> kept;
  std::error_code error;
  for (const fs::directory_entry &entry : fs::directory_iterator(directory, error))
    if (fs::file_time_type used = entry.last_write_time(error); !error) {
      if (entry.path().extension() == ".peer")
        kept.emplace_back(used, entry.path());
      else if (entry.path().extension() == ".tmp" && fs::file_time_type::clock::now() - used > std::chrono::hours(1))
        fs::remove(entry.path(), error); // of a compiler that was killed
    }
  std::sort(kept.rbegin(), kept.rend());
  for (size_t i = kMostKept; i < kept.size(); ++i)
    fs::remove(kept[i].second, error);
}

/// What a process wrote to a file in memory: the text of the first error.
std::string readRefusal(int file) {
  std::string text(4096, 0);
  text.resize(static_cast<size_t>(std::max<ssize_t>(pread(file, text.data(), text.size(), 0), 0)));
  constexpr std::string_view kError = "error: ";
  size_t begin = text.find(kError);
  begin = begin == std::string::npos ? 0 : begin + kError.size();
  return text.substr(begin, text.find('\n', begin) - begin);
}

/// Runs the compiler; its messages go where ours go, or into `refusal`.
Status runCompiler(const fs::path &program, std::vector<std::string> arguments, std::string *refusal) {
  arguments.insert(arguments.begin(), program.string());
  std::vector<char *> pointers;
  for (std::string &argument : arguments)
    pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  int said = refusal ? memfd_create("peer-opt", MFD_CLOEXEC) : -1;
  if (said >= 0)
    posix_spawn_file_actions_adddup2(&actions, said, STDERR_FILENO);
  pid_t child = 0;
  int error = posix_spawn(&child, program.c_str(), &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  while (!error && waitpid(child, &status, 0) < 0)
    if (errno != EINTR)
      return Status::error("cannot wait for ", program.string(), ": ", std::strerror(errno));
  if (said >= 0) {
    *refusal = readRefusal(said);
    close(said);
  }
  if (error)
    return Status::error("cannot run ", program.string(), ": ", std::strerror(error));
  if (WIFSIGNALED(status))
    return Status::error(program.string(), " was ended by the signal ", WTERMSIG(status), " (",
                         strsignal(WTERMSIG(status)), ") while it compiled ", arguments[1]);
  return status == 0 ? Status() : Status::error(kReported);
}

/// The cache's name of an artifact, without its directory.
std::string artifactName(const std::string &model, uint64_t content, uint64_t rest) {
  char hash[40];
  std::snprintf(hash, sizeof hash, "-%016llx%016llx.peer", static_cast<unsigned long long>(content),
                static_cast<unsigned long long>(rest));
  return fs::path(model).stem().string().substr(0, 100) + hash;
}

Result<ModelHandle> compile(const ModelFile &description, const std::string &target,
                            const std::vector<std::string> &options, std::string *refusal) {
  const std::string &model = description.file, &name = description.name;
  PEER_TRY_ASSIGN(fs::path compiler, findCompiler(name));
  PEER_TRY_ASSIGN(std::string text, readFile(model));
  uint64_t content = addText(format::kFnvStart, text), rest = format::kFnvStart;
  for (const std::string &part :
       {identityOf(compiler), target, target == "cpu" ? describeCpu() : "", fs::path(model).filename().string()})
    rest = addText(rest, part);
  for (const std::string &option : options)
    rest = addText(rest, option);
  fs::path directory = cacheDirectory(), temporary;
  if (directory.empty()) {
    PEER_TRY_ASSIGN(temporary, makeTemporaryDirectory());
  }
  fs::path file = (temporary.empty() ? directory : temporary) / artifactName(model, content, rest);
  ModelHandle handle(ModelFile(file.string(), name), temporary);
  if (temporary.empty() && readManifest(file.string()).ok()) {
    utimensat(AT_FDCWD, file.c_str(), nullptr, 0); // was used
    return handle;
  }

  auto start = std::chrono::steady_clock::now();
  std::string what = concat(name, " for ", target == "cpu" ? "this CPU" : target);
  // What comes next is written over it.
  if (isatty(STDERR_FILENO))
    std::fprintf(stderr, "compiling %s ...\r", what.c_str());
  std::vector<std::string> arguments{model, "--target=" + target, "-o", file.string()};
  arguments.insert(arguments.end(), options.begin(), options.end());
  PEER_TRY(runCompiler(compiler, arguments, refusal));
  // Under this name must lie what was compiled from the text that it stands for.
  PEER_TRY_ASSIGN(std::string after, readFile(model));
  if (after != text) {
    std::error_code ignored;
    fs::remove(file, ignored);
    return Status::error(name, " was changed while it was being compiled: run the command again");
  }
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::string kept =
      temporary.empty() ? concat("kept in ", directory.string()) : "not kept: no cache can be written to";
  std::fprintf(stderr, "compiled %s in %.1f s (%s)\n", what.c_str(), seconds, kept.c_str());
  if (temporary.empty())
    prune(directory);
  return handle;
}
} // namespace

ModelHandle::~ModelHandle() {
  std::error_code ignored;
  if (!temporary.empty())
    fs::remove_all(temporary, ignored);
}

Status callCompiler(const std::string &model, const std::vector<std::string> &arguments) {
  PEER_TRY_ASSIGN(fs::path compiler, findCompiler(model));
  return runCompiler(compiler, arguments, nullptr);
}

Result<std::string> readDescriptionOf(const std::string &model, std::string_view why) {
  if (model.ends_with(".mlir"))
    return readFile(model);
  PEER_TRY_ASSIGN(std::string text, readDescription(model));
  if (text.empty())
    return Status::error(model,
                         " keeps no description, as artifacts of old compilers and of 'peer-opt --no-description' do "
                         "not, and ",
                         why, ": expected MODEL.mlir, or an artifact that keeps it");
  return text;
}

Result<ModelHandle> findDescription(const std::string &model, std::string_view why) {
  if (model.ends_with(".mlir"))
    return ModelHandle(ModelFile(model));
  PEER_TRY_ASSIGN(std::string text, readDescriptionOf(model, why));
  PEER_TRY_ASSIGN(Manifest manifest, readManifest(model));
  fs::path name = fs::path(manifest.model).filename();
  if (name.extension() != ".mlir")
    name = "model.mlir"; // what came through a pipe
  PEER_TRY_ASSIGN(fs::path temporary, makeTemporaryDirectory());
  ModelHandle handle(ModelFile((temporary / name).string(), model), temporary);
  PEER_TRY(writeFile(handle.file(), text));
  return handle;
}

Result<ModelHandle> findModel(const ModelFile &model, const std::string &device,
                              const std::vector<std::string> &options, std::string *refusal) {
  if (!model.file.ends_with(".mlir"))
    return ModelHandle(model);
  PEER_TRY_ASSIGN(const DeviceKind *kind, findDevice(device.empty() ? "cpu" : std::string_view(device)));
  PEER_TRY_ASSIGN(std::string target, kind->target());
  return compile(model, target, options, refusal);
}

Result<ModelHandle> findModelWithout(int64_t experts, const std::string &model, const std::string &device,
                                     std::string *refusal) {
  PEER_TRY_ASSIGN(ModelHandle description, findDescription(model, "experts are disabled when it is compiled"));
  return findModel(description, device, {concat("--disable-top-experts=", experts)}, refusal);
}

} // namespace peer::runtime
