#include "TrainTexts.h"

namespace peer::runtime {

Result<TrainTexts> TrainTexts::read(const std::string &dataPath, const std::string &evalPath,
                                    const std::string &directory, bool again) {
  RunFiles files;
  if (again) {
    PEER_TRY_ASSIGN(files, RunFiles::read(directory));
  }
  auto readOne =
      [&](const std::string &path,
          const std::optional<std::vector<TextFile>> &recorded) -> Result<std::shared_ptr<const TextSource>> {
    PEER_TRY_ASSIGN(TextSource source, readText(path, {directory, recorded}));
    return std::make_shared<const TextSource>(std::move(source));
  };
  TrainTexts texts;
  PEER_TRY_ASSIGN(texts.data, readOne(dataPath, files.data));
  texts.recorded = files.data.has_value();
  if (evalPath.empty())
    return texts;
  // A run without one records no file of it; what its hash is not, is refused later.
  if (files.evalData && files.evalData->empty())
    files.evalData.reset();
  PEER_TRY_ASSIGN(texts.evalData, readOne(evalPath, files.evalData));
  return texts;
}

Result<TextSplit> TrainTexts::split(int64_t context, const std::string &dataPath, const std::string &evalPath) const {
  if (!evalData)
    return splitText(data->bytes, context, dataPath);
  PEER_TRY(checkTextLength(data->bytes, context, dataPath));
  PEER_TRY(checkTextLength(evalData->bytes, context, evalPath));
  return TextSplit{data->bytes, evalData->bytes};
}

RunFiles TrainTexts::files() const { return {data->files, evalData ? evalData->files : std::vector<TextFile>()}; }

} // namespace peer::runtime
