//===- OutputFile.cpp - files that are whole or as they were -------------===//

#include "OutputFile.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <sys/stat.h>
#include <unistd.h>

using namespace llvm;

namespace peer {

static Error cannotWrite(StringRef path, const Twine &why) {
  return createStringError(inconvertibleErrorCode(), "cannot write " + path + ": " + why);
}

/// Writes all bytes to an open file and flushes them.
static std::error_code writeAll(raw_fd_ostream &stream, StringRef bytes) {
  stream << bytes;
  stream.flush();
  std::error_code ec = stream.error();
  // An error that is still set when the stream dies would end the process.
  stream.clear_error();
  return ec;
}

Error checkOutput(StringRef output, StringRef input) {
  bool same = false;
  StringRef file = input == "-" ? "/dev/stdin" : input;
  if (isStream(output) || sys::fs::equivalent(output, file, same) || !same)
    return Error::success();
  return createStringError(inconvertibleErrorCode(), "-o " + output + " names the file that is read" +
                                                         (output == input ? Twine() : " (" + input + ")") +
                                                         ": expected another one");
}

bool isStream(StringRef path) {
  sys::fs::file_status status;
  return path.empty() || path == "-" || (!sys::fs::status(path, status) && sys::fs::is_other(status));
}

/// Gives a new file the owner and the mode of the one that it is going to replace.
static void keepAccess(int descriptor, const sys::fs::file_status &old) {
  unsigned mode = old.permissions() & 0777;
  // Only root may give files away; a group can be kept by its members, and what it was allowed is not for another one.
  (void)!fchown(descriptor, old.getUser(), static_cast<gid_t>(-1));
  if (fchown(descriptor, static_cast<uid_t>(-1), old.getGroup()) != 0)
    mode &= 0707u | (mode & 07u) << 3;
  fchmod(descriptor, mode);
}

Error replaceFile(StringRef path, function_ref<Error(StringRef, int)> write) {
  SmallString<128> target(path);
  sys::fs::file_status old;
  bool exists = !sys::fs::status(path, old);
  if (exists && sys::fs::is_directory(old))
    return cannotWrite(path, "it is a directory");
  // A link's target is replaced, not the link.
  if (exists)
    (void)sys::fs::real_path(path, target);
  // The longest name that a file system takes leaves no room for more.
  constexpr StringRef suffix = ".%%%%%%.tmp";
  constexpr size_t longest = 255;
  SmallString<128> pattern(target);
  if (size_t length = sys::path::filename(target).size(); length + suffix.size() > longest)
    pattern.truncate(pattern.size() - std::min(length - 1, length + suffix.size() - longest));
  auto temporary = sys::fs::TempFile::create(pattern + suffix, sys::fs::all_read | sys::fs::all_write);
  if (!temporary)
    return cannotWrite(path, toString(temporary.takeError()));
  if (exists)
    keepAccess(temporary->FD, old);
  if (Error error = write(temporary->TmpName, temporary->FD)) {
    consumeError(temporary->discard());
    return error;
  }
  if (Error error = temporary->keep(target))
    return cannotWrite(path, toString(std::move(error)));
  return Error::success();
}

Error writeOutput(StringRef path, StringRef bytes) {
  if (path.empty() || path == "-") {
    std::error_code ec = writeAll(outs(), bytes);
    return ec ? createStringError(ec, "cannot write to standard output: " + ec.message()) : Error::success();
  }
  if (isStream(path)) {
    std::error_code ec;
    raw_fd_ostream stream(path, ec);
    if (!ec)
      ec = writeAll(stream, bytes);
    return ec ? cannotWrite(path, ec.message()) : Error::success();
  }
  return replaceFile(path, [&](StringRef, int descriptor) -> Error {
    raw_fd_ostream stream(descriptor, /*shouldClose=*/false);
    std::error_code ec = writeAll(stream, bytes);
    return ec ? cannotWrite(path, ec.message()) : Error::success();
  });
}

} // namespace peer
