//===- TemporaryFile.h - what other tools read and write -----------------===//

#ifndef PEER_LOWERING_HOST_TEMPORARYFILE_H
#define PEER_LOWERING_HOST_TEMPORARYFILE_H

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/Error.h"

#include <string>

namespace peer {

/// A file that is gone when the object is.
class TemporaryFile {
public:
  TemporaryFile() = default;
  TemporaryFile(const TemporaryFile &) = delete;
  TemporaryFile &operator=(const TemporaryFile &) = delete;
  ~TemporaryFile();

  /// Makes the file, empty; its name ends in `suffix`.
  llvm::Error create(llvm::StringRef suffix);
  llvm::Error write(llvm::StringRef bytes);
  llvm::Expected<std::string> read();
  llvm::StringRef path() const { return name; }

private:
  llvm::SmallString<128> name;
};

} // namespace peer

#endif // PEER_LOWERING_HOST_TEMPORARYFILE_H
