// The report of a training run, from its log and its last evaluation.
#pragma once

#include "lm/training/Train.h"
#include "session/Session.h"

namespace peer::runtime {

/// Writes summary.report. The usage pictures show the gate mass that the session holds for `usageEntry`.
Status writeTrainReport(const TrainSummary &summary, const TrainSettings &settings, const Session &session,
                        const Entry &usageEntry);

} // namespace peer::runtime
