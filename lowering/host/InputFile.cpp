//===- InputFile.cpp - descriptions come from files and pipes ------------===//

#include "InputFile.h"

#include "llvm/Support/FileSystem.h"

#include <unistd.h>

using namespace llvm;

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
