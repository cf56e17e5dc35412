//===- TemporaryFile.cpp - what other tools read and write ---------------===//

#include "TemporaryFile.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace llvm;

namespace peer {

TemporaryFile::~TemporaryFile() {
  if (!name.empty())
    sys::fs::remove(name);
}

Error TemporaryFile::create(StringRef suffix) {
  std::error_code ec = sys::fs::createTemporaryFile("peer", suffix, name);
  if (!ec)
    return Error::success();
  // Where TMPDIR names a directory that is gone or full, one of the usual ones will do.
  SmallString<64> wanted;
  sys::path::system_temp_directory(/*ErasedOnReboot=*/true, wanted);
  for (StringRef directory : {"/tmp", "/var/tmp", "/dev/shm"})
    if (!sys::fs::createUniqueFile(directory + "/peer-%%%%%%." + suffix, name))
      return Error::success();
  name.clear();
  return createStringError(ec,
                           "cannot create a temporary file in %s: %s; set TMPDIR to a directory that can be written to",
                           wanted.c_str(), ec.message().c_str());
}

Error TemporaryFile::write(StringRef bytes) {
  std::error_code ec;
  raw_fd_ostream file(name, ec);
  file << bytes;
  file.close();
  if (!ec)
    ec = file.error();
  file.clear_error();
  if (ec)
    return createStringError(ec, "cannot write %s: %s", name.c_str(), ec.message().c_str());
  return Error::success();
}

Expected<std::string> TemporaryFile::read() {
  auto buffer = MemoryBuffer::getFile(name, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer)
    return createStringError(buffer.getError(), "cannot read %s: %s", name.c_str(),
                             buffer.getError().message().c_str());
  return (*buffer)->getBuffer().str();
}

} // namespace peer
