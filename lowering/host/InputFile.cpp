//===- InputFile.cpp - descriptions come from files and pipes ------------===//

#include "InputFile.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"

#include <unistd.h>

using namespace llvm;

/// More than any description has, and less than any machine.
static constexpr size_t kMostStreamed = size_t(256) << 20;

std::string peer::printable(StringRef text) {
  std::string shown;
  for (unsigned char c : text)
    shown += c < 0x20 || c == 0x7f ? "\\x" + utohexstr(c, /*LowerCase=*/true, /*Width=*/2) : std::string(1, char(c));
  return shown;
}

Error peer::checkInput(StringRef path) {
  sys::fs::file_status status;
  bool isStream = path == "-";
  // What is not there is told of by whoever opens it.
  if (isStream ? sys::fs::status(STDIN_FILENO, status) : sys::fs::status(path, status))
    return Error::success();
  bool device = status.type() == sys::fs::file_type::character_file || status.type() == sys::fs::file_type::block_file;
  sys::fs::file_status null;
  if (!device || (!sys::fs::status("/dev/null", null) && null.getUniqueID() == status.getUniqueID()))
    return Error::success();
  int descriptor = STDIN_FILENO;
  if (!isStream && sys::fs::openFileForRead(path, descriptor))
    return Error::success();
  bool terminal = isatty(descriptor);
  if (!isStream)
    close(descriptor);
  if (terminal)
    return Error::success();
  return createStringError("cannot read " + (isStream ? Twine("standard input") : Twine(path)) +
                           ": it is a device, expected a file or a pipe");
}

/// All of a pipe, which may never end.
static Expected<std::unique_ptr<MemoryBuffer>> readStream(int descriptor, StringRef name) {
  SmallVector<char, 0> bytes;
  while (true) {
    size_t size = bytes.size();
    if (size > kMostStreamed)
      return createStringError("cannot read " + name + ": expected a description of at most 256 MiB, and it has more");
    bytes.resize_for_overwrite(size + (size_t(1) << 16));
    auto count = sys::fs::readNativeFile(descriptor, MutableArrayRef(bytes).drop_front(size));
    if (!count)
      return count.takeError();
    bytes.truncate(size + *count);
    if (*count == 0)
      return std::make_unique<SmallVectorMemoryBuffer>(std::move(bytes), name);
  }
}

Expected<std::unique_ptr<MemoryBuffer>> peer::readInput(StringRef path) {
  if (Error error = checkInput(path))
    return std::move(error);
  if (path == "-")
    return readStream(STDIN_FILENO, "<stdin>");
  std::string name = printable(path);
  auto cannotOpen = [&](std::error_code why) {
    return createStringError("cannot open input file '" + name + "': " + why.message());
  };
  int descriptor;
  if (std::error_code error = sys::fs::openFileForRead(path, descriptor))
    return cannotOpen(error);
  auto closed = make_scope_exit([&] { close(descriptor); });
  sys::fs::file_status status;
  if (!sys::fs::status(descriptor, status) && sys::fs::is_other(status))
    return readStream(descriptor, name);
  auto file = MemoryBuffer::getOpenFile(descriptor, name, /*FileSize=*/-1);
  if (!file)
    return cannotOpen(file.getError());
  return std::move(*file);
}

Error peer::checkInputBytes(StringRef bytes, StringRef file) {
  auto refuse = [&](const Twine &what) {
    return createStringError(file + " " + what + ": expected a model description (.mlir)");
  };
  if (bytes.starts_with("version https://git-lfs"))
    return refuse("is a Git LFS pointer, not the file it stands for (run git lfs pull)");
  StringRef begin = bytes.ltrim().take_front(16);
  if (begin.starts_with_insensitive("<!doctype") || begin.starts_with_insensitive("<html"))
    return refuse("is an HTML page");
  if (bytes.starts_with("ML\xefR"))
    return Error::success();
  if (bytes.starts_with("\x7f"
                        "ELF"))
    return refuse("is an ELF object, perhaps an artifact that was compiled already");
  if (bytes.starts_with("\xff\xfe") || bytes.starts_with("\xfe\xff"))
    return refuse("is in UTF-16, not in UTF-8");
  if (bytes.take_front(8000).contains('\0'))
    return refuse("is a binary file");
  return Error::success();
}
