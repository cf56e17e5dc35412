"""Layers of ours within a model's description: functions of their own."""
import re

from .values import Node

_PARAMETER = re.compile(r'peer\.param "([^"]+)" (.+?)(?: group\("[^"]*"\))?( : )')
_NAMED = re.compile(r' \{peer\.name = "[^"]*"\}')
_RESULT = re.compile(r"-> \((\S+)\) \{")


class Layers:
    """Their functions; `mark(name)` is what follows a parameter's first values: its group, or that it does not train."""

    def __init__(self, mark):
        self.mark, self.functions, self.names = mark, {}, set()

    def call(self, inputs, config, names):
        """A node of what the layer computes of its inputs, its parameters having these names in the model."""
        local = list(config.parameters)
        self.names.update(names)
        known = dict(zip(local, names))
        prefix = names[0][:-len(local[0]) - 1] if names[0].endswith("." + local[0]) else None
        within = prefix is not None and all(name == f"{prefix}.{own}" for own, name in known.items())

        def rewritten(found):
            name, first, colon = found.groups()
            return f'peer.param "{name if within else known[name]}" {first}{self.mark(known[name])}{colon}'
        text = _PARAMETER.sub(rewritten, config.function())
        function = self.functions.setdefault(text, f"layer_{len(self.functions)}")
        spelled, types = (", ".join(f"{{{letter}{index}}}" for index in range(len(inputs))) for letter in ("", "t"))
        return Node(f"peer.call \"{prefix if within else ''}\" @{function}({spelled}) : ({types}) -> {{t}}", inputs, inputs[0].shape)

    def text(self):
        return "\n".join(_RESULT.sub(r"-> \1 {", _NAMED.sub("", text), count=1).replace("@layer(", f"@{name}(", 1).replace("func.func", "func.func private", 1)
                         for text, name in self.functions.items())
