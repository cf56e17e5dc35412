//===- Ptxas.cpp - PTX to machine code, where NVIDIA's assembler is ------===//

#include "Ptxas.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"

using namespace llvm;

namespace peer {

std::string findPtxas() {
  auto below = [](StringRef toolkit) {
    SmallString<128> path(toolkit);
    sys::path::append(path, "bin", "ptxas");
    return sys::fs::can_execute(path) ? path.str().str() : std::string();
  };
  for (const char *variable : {"CUDA_PATH", "CUDA_HOME"})
    if (auto toolkit = sys::Process::GetEnv(variable))
      if (std::string path = below(*toolkit); !path.empty())
        return path;
  if (auto path = sys::findProgramByName("ptxas"))
    return *path;
  return below("/usr/local/cuda");
}

/// What went wrong, out of all that a program printed.
static std::string complaint(StringRef log) {
  SmallVector<StringRef> lines;
  log.split(lines, '\n', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  for (StringRef line : lines)
    if (line.contains("error") || line.contains("fatal"))
      return line.trim().str();
  return lines.empty() ? "it says nothing" : lines.front().trim().str();
}

Expected<std::unique_ptr<Ptxas>> Ptxas::start(StringRef path, StringRef ptx, StringRef arch) {
  std::unique_ptr<Ptxas> job(new Ptxas);
  for (auto [file, suffix] : {std::pair{&job->ptx, "ptx"}, {&job->cubin, "cubin"}, {&job->log, "log"}})
    if (Error error = file->create(suffix))
      return std::move(error);
  if (Error error = job->ptx.write(ptx))
    return std::move(error);
  std::string option = ("-arch=" + arch).str(), message;
  bool failed = false;
  job->process =
      sys::ExecuteNoWait(path, {path, option, job->ptx.path(), "-o", job->cubin.path(), "-v"}, std::nullopt,
                         {StringRef(), job->log.path(), job->log.path()}, /*MemoryLimit=*/0, &message, &failed);
  if (failed)
    return createStringError("cannot run %s: %s", path.str().c_str(), message.c_str());
  return job;
}

Ptxas::~Ptxas() {
  if (process.Pid != sys::ProcessInfo::InvalidPid)
    sys::Wait(process, std::nullopt);
}

Expected<std::string> Ptxas::finish() {
  std::string message;
  sys::ProcessInfo done = sys::Wait(std::exchange(process, {}), std::nullopt, &message);
  if (done.ReturnCode == 0)
    return cubin.read();
  auto said = log.read();
  if (!said)
    return said.takeError();
  return createStringError("ptxas failed: %s", (message.empty() ? complaint(*said) : message).c_str());
}

/// The number before these words of a line.
static int64_t numberBefore(StringRef line, StringRef words) {
  StringRef text = line.substr(0, line.find(words)).rtrim();
  int64_t number = 0;
  size_t start = text.find_last_not_of("0123456789");
  text.substr(start == StringRef::npos ? 0 : start + 1).getAsInteger(10, number);
  return number;
}

Expected<std::vector<KernelResources>> Ptxas::resources() {
  auto said = log.read();
  if (!said)
    return said.takeError();
  std::vector<KernelResources> kernels;
  SmallVector<StringRef> lines;
  StringRef(*said).split(lines, '\n', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  for (StringRef line : lines) {
    if (line.contains("Compiling entry function '"))
      kernels.push_back({line.split('\'').second.split('\'').first.str()});
    else if (kernels.empty())
      continue;
    else if (line.contains("bytes stack frame"))
      kernels.back().local = numberBefore(line, "bytes stack frame");
    if (line.contains("registers"))
      kernels.back().registers = numberBefore(line, "registers");
    if (line.contains("bytes smem"))
      kernels.back().shared = numberBefore(line, "bytes smem");
  }
  return kernels;
}

} // namespace peer
