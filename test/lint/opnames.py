"""A rule about what generic code knows: no op of ours by its class. It asks interfaces, traits or the index notation."""
import re

DEFINITION = re.compile(r'^def Peer_(\w+Op) : Peer_\w*Op\w*<"[a-z]', re.M)
COMMENT = re.compile(r"//.*")
FOLDERS = ("passes/", "lowering/", "tools/")
# An emitter is about one op; these folders hold emitters, what they share, and their records.
EMITTERS = ("lowering/plain/", "lowering/nn/", "lowering/cpu/", "lowering/gpu/block/", "lowering/gpu/route/", "lowering/gpu/pool/",
            "lowering/gpu/dense/", "lowering/gpu/nn/")
# File, the ops that it may name, and why no interface can answer.
EXCEPTIONS = {
    "passes/DecomposeRoutes.cpp": ("GateOp RouteOp ScoreOp SelectOp", "says what a route is made of"),
    "passes/DecomposeRoutes.h": ("RouteOp", "is about one op"),
    "passes/DeriveDecode.cpp": ("DecodeOp ReshapeOp", "answers the request; a reshape's result type is its attribute"),
    "passes/DisableTopExperts.cpp": ("SelectOp", "changes what selections select from"),
    "passes/ExpandTensorOps.cpp": ("BroadcastOp ConcatOp DropoutOp HashOp PadOp ReduceOp SliceOp SoftmaxOp StraightThroughOp TransposeOp",
                                   "says what each of them is upstream"),
    "passes/Fuse.cpp": ("GateOp ReshapeOp RouteKeyGradOp RouteOp RouteQueryGradOp ScoreKeyGradOp ScoreOp ScoreQueryGradOp SelectGradOp "
                        "SelectOp", "each pattern is about the ops that it folds"),
    "passes/GuardIndices.cpp": ("SortPairsOp SumSquaresOp UsageOp", "pairs are trusted where this op sorted them; sums of flags are this "
                                "op's; a histogram counts nothing of a call that fails"),
    "passes/InlineModules.cpp": ("CallOp DecodeOp GradientOp ParamOp RepeatOp TrainOp", "is what these ops of a description mean"),
    "passes/Tile.cpp": ("MarkOp", "places the marks"),
    "passes/conversion/Calibrate.cpp": ("LinearOp ParamOp", "parameters are written as in descriptions; dense layers end with this op"),
    "passes/conversion/DenseLayer.cpp": ("ActivationOp LinearOp ParamOp", "says what a dense layer is made of"),
    "passes/conversion/DenseLayer.h": ("LinearOp ParamOp", "says what a dense layer is made of"),
    "passes/conversion/DropBlocks.cpp": ("CallOp ParamOp RepeatOp ReshapeOp", "blocks are what these ops of a description repeat; a mark is the last"),
    "passes/conversion/Dsmoe.cpp": ("BroadcastOp LinearOp MeanOp ReduceOp StraightThroughOp TrainOp", "writes these ops; answers the request by another function"),
    "passes/conversion/ExpertAxis.cpp": ("BalanceBiasOp CapacityOp ExpertLoadOp GateOp GatherOp ParamOp ProbabilityOp RepeatOp ScoreOp SelectOp SoftmaxOp "
                                         "StraightThroughOp", "which dimensions are of experts is no part of the index notation"),
    "passes/conversion/ExpertAxis.h": ("ParamOp ScoreOp", "a router's rows are parameters that this op reads"),
    "passes/conversion/LayerBuilder.cpp": ("GateOp LinearOp MixOp ParamOp ReshapeOp ScoreOp SelectOp", "writes these ops"),
    "passes/conversion/Matformer.cpp": ("CallOp LinearOp ParamOp RepeatOp SliceOp", "parameters of these layers and of what is nested in them, by way of these calls"),
    "passes/conversion/ParameterNames.cpp": ("CallOp ParamOp RepeatOp", "is what these ops of a description mean"),
    "passes/conversion/ParameterNames.h": ("ParamOp", "names parameters"),
    "passes/conversion/Pesc.cpp": ("LinearOp ParamOp", "freezes the parameters of what ends with this op"),
    "passes/conversion/PruneExperts.cpp": ("BalanceBiasOp BalanceLossOp CallOp CapacityOp ExpertLoadOp GateOp GatherOp ParamOp ProbabilityOp ScoreOp SelectOp "
                                           "SoftmaxOp StraightThroughOp ZLossOp", "says of each op what fewer experts make of it"),
    "passes/conversion/Quantize.cpp": ("BroadcastOp EmbeddingOp GradientOp LinearOp MixOp ParamOp QuantizedLinearOp QuantizedMixOp ReshapeOp TrainOp UpdateRowsOp",
                                       "says which ops read stored weights, and takes away what asks for gradients"),
    "passes/conversion/RepeatRuns.cpp": ("RepeatOp", "builds these ops"),
    "passes/conversion/RepeatRuns.h": ("RepeatOp", "builds these ops"),
    "passes/conversion/SplitExperts.cpp": ("BalanceBiasOp BalanceLossOp CallOp CapacityOp ExpertLoadOp GateOp GatherOp MixOp ParamOp ProbabilityOp QuantizedMixOp "
                                           "ScoreOp SelectOp SoftmaxOp StraightThroughOp", "says of each op what smaller experts make of it"),
    "passes/conversion/Upcycle.cpp": ("ParamOp", "names parameters"),
    "passes/description/DescriptionOps.cpp": ("BatchNormOp DropoutOp", "attributes of these ops are for a pass to set"),
    "passes/gradient/DeriveUpdates.cpp": ("PoolGradNormOp RowUpdateOp SortPairsOp UpdateRowsOp", "answers the request: a step is made of these ops"),
    "passes/gradient/Differentiate.cpp": ("GradientOp ReshapeOp", "answers the request; a reshape's result type is its attribute"),
    "passes/gradient/RowGradients.cpp": ("ConcatOp ReshapeOp SortPairsOp", "builds one list of pairs of several"),
    "passes/training/AccumulateGradients.cpp": ("MeanOp ReshapeOp SortPairsOp TrainOp",
                                                "answers the request: what a mean over tokens is, and how its parts are handed over"),
    "passes/training/AddOptimizer.cpp": ("TrainOp", "answers the request"),
    "passes/training/AddUsage.cpp": ("UsageOp", "adds the op"),
    "passes/training/TrainingLoss.cpp": ("BalanceBiasOp BatchNormOp BatchStatsOp DropoutOp ExpertLoadOp",
                                         "these ops are others in training, or what they read is moved by it"),
    "passes/training/TrainingStep.cpp": ("PoolGradNormOp RowUpdateOp SumSquaresOp TrainOp UpdateOp", "a step is made of these ops"),
    "passes/training/TrainingStep.h": ("BalanceBiasOp BatchNormOp DropoutOp TrainOp", "answers the request"),
    "lowering/ChooseMixForms.cpp": ("SortPairsOp", "how many experts pairs are of is said where they are sorted"),
    "lowering/gpu/Pipeline.cpp": ("RouteOp", "says which routes have a kernel"),
    "lowering/host/HostTarget.cpp": ("RouteOp", "says that routes are taken apart"),
    "lowering/nvidia/NvidiaTarget.cpp": ("RouteOp", "says that routes are taken apart for plain loops"),
    "lowering/Explain.cpp": ("MarkOp", "reads the marks"),
    "lowering/LowerMarks.cpp": ("MarkOp", "lowers the marks"),
    "lowering/LowerReshape.cpp": ("ReshapeOp", "is the one lowering of this op"),
    "lowering/Manifest.cpp": ("MarkOp", "lists the marks"),
    "lowering/OutlineKernels.cpp": ("MarkOp", "reads the marks"),
    "lowering/blocks/OutlineBlocks.cpp": ("MarkOp", "numbers the marks of a block from where it is called"),
    "lowering/blocks/RepeatedOps.cpp": ("MarkOp", "the number in a mark tells no blocks apart"),
    "lowering/emit/Capacity.h": ("CapacityOp", "what emitters of all widths share"),
    "lowering/emit/Capacity.cpp": ("CapacityOp", "what emitters of all widths share"),
    "lowering/emit/ExpertChoice.h": ("SelectOp", "what emitters of all widths share"),
    "lowering/emit/ExpertChoice.cpp": ("SelectOp", "what emitters of all widths share"),
    "lowering/emit/RoutingBuilder.h": ("SumSquaresOp UpdateOp", "what emitters of all widths share"),
    "lowering/emit/RoutingBuilder.cpp": ("SumSquaresOp UpdateOp", "what emitters of all widths share"),
    "lowering/emit/UpdatePasses.h": ("UpdateOp", "what emitters of all targets share"),
    "lowering/emit/UpdatePasses.cpp": ("UpdateOp", "what emitters of all targets share"),
}


def op_classes(tree):
    """Classes of the ops that the dialect defines."""
    return {name for path in tree.having(".td", under="dialect/ops/") for name in DEFINITION.findall(tree.text(path))}


def op_names(tree):
    """Code that is not about one op names none, but for EXCEPTIONS."""
    classes = op_classes(tree)
    if not classes:
        return
    # Classes of other dialects have their namespace before them.
    use = re.compile(rf"(?<![\w:])(?:peer::)?({'|'.join(sorted(classes))})\b")
    named = {}
    for path in tree.having(".cpp", ".h"):
        if not path.startswith(FOLDERS) or path.startswith(EMITTERS):
            continue
        allowed = EXCEPTIONS.get(path, ("", ""))[0].split()
        for number, line in tree.lines(path):
            for name in use.findall(COMMENT.sub("", line)):
                named.setdefault(path, set()).add(name)
                if name not in allowed:
                    yield path, number, f"names {name}: generic code asks an interface, a trait or the index notation"
    for path in named:
        for name in EXCEPTIONS.get(path, ("", ""))[0].split():
            if name not in named[path]:
                yield path, 1, f"no longer names {name}: take it out of EXCEPTIONS in test/lint/opnames.py"


RULES = [op_names]
