"""Layers of ours within a model's description: functions of their own."""
import re

from .values import Node

_PARAMETER = re.compile(r'peer\.param "([^"]+)" (.+?)(?: group\("[^"]*"\))?( : )')
_HEADER = re.compile(r'func\.func @layer\(%given: (\S+) \{peer\.name = "x"\}\) -> \((\S+) \{peer\.name = "y"\}\) \{')


class Layers:
    """Their functions; `mark(name)` is what follows a parameter's first values: its group, or that it does not train."""

    def __init__(self, mark):
        self.mark, self.functions, self.names = mark, {}, set()

    def call(self, x, config, names):
        """A node of what the layer computes of `x`, its parameters having these names in the model."""
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
        return Node(f"peer.call \"{prefix if within else ''}\" @{function}({{0}}) : ({{t0}}) -> {{t}}", [x], x.shape)

    def text(self):
        return "\n".join(_HEADER.sub(rf"func.func private @{name}(%given: \1) -> \2 {{", text) for text, name in self.functions.items())
