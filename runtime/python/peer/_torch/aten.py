"""Ops of torch by name, those that `interpret` does not make of tables: `_op_NAME` takes the arguments of the schema, `self` as x."""
import torch

from .attending import Scores, allowed_by, attention, rotary_of_neighbours, rotary_of_parts, rotated
from .values import Act, Const, Node, Repeated, Static, Tokens, Unknown, constant, number, reshape
from .words import activation, gelu_by_tanh, joined, linear, normed, part, power, reduced, scalar_of

_END = 2**62


class Ops:
    # Parameters and products.

    def _op_embedding(self, weight, indices, padding_idx=-1):
        if not isinstance(weight, Static) or weight.transposed or len(weight.shape) != 2:
            raise Unknown("a table that is no parameter")
        if isinstance(indices, Tokens):
            node = Node("peer.embedding {0}, {1} : {t0}, {t1}", [indices.node, weight.node], ["?", weight.shape[1]])
            made = Act(self.sizes, node, [*indices.dims, (0,)])
            self.like = self.like or made
            return made
        return self._by_position(weight, indices.tensor)

    def _by_position(self, weight, ids):
        wanted = torch.arange(self.context)
        offset = int(ids.flatten()[0]) if ids.numel() else 0
        if ids.shape[-1:] != wanted.shape or not bool((ids == wanted + offset).all()) or offset < 0:
            raise Unknown("rows of a table that are neither tokens nor positions")
        if self.like is None:
            raise Unknown("positions before tokens are embedded")
        node = weight.node
        if offset:
            node = Node(f"peer.slice {{0}} along 0 from {offset} size {weight.shape[0] - offset} : {{t0}}", [node], [weight.shape[0] - offset, weight.shape[1]])
        dims = [("B",) if size > 1 else () for size in ids.shape[:-1]]
        if sum(map(len, dims)) > 1:
            raise Unknown(f"positions of the shape {list(ids.shape)}")
        return self.looked_up(node, node.shape, [*dims, ("T",), (0,)])

    def _op_linear(self, input, weight, bias=None):
        return linear(input, weight, bias)

    def _op_addmm(self, x, mat1, mat2, beta=1, alpha=1):
        if beta != 1 or alpha != 1:
            raise Unknown(f"with beta={beta} and alpha={alpha}")
        return self._op_matmul(mat1, mat2, x)

    def _op_mm(self, x, mat2):
        return self._op_matmul(x, mat2)

    def _op_bmm(self, x, mat2):
        return self._op_matmul(x, mat2)

    def _op_matmul(self, x, other, bias=None):
        if isinstance(other, Static) and isinstance(x, Act) and len(other.shape) == 2:
            return linear(x, Static(other.node, transposed=not other.transposed), bias)
        if isinstance(x, Scores) and isinstance(other, Act):
            if not x.normed:
                raise Unknown("scores of attention without a softmax")
            return attention(x.query, x.key, other, x.scale, self.context, x.window)
        if isinstance(x, Act) and isinstance(other, Act) and len(other.dims) > 2 and other.dims[-1] == x.dims[-2] == ("T",):
            order = [*range(len(other.dims) - 2), len(other.dims) - 1, len(other.dims) - 2]
            return Scores(x, other.permuted(order))
        raise Unknown("a product that is neither of parameters nor attention")

    # Norms and activations.

    def _op_layer_norm(self, input, normalized_shape, weight=None, bias=None, eps=1e-5):
        self._last_alone(input, normalized_shape)
        width = input.width(-1)
        weight = constant(torch.ones(width)) if weight is None else weight.whole()
        return normed("peer.layer_norm", input, [weight, constant(torch.zeros(width)) if bias is None else bias.whole()], eps)

    def _op_rms_norm(self, input, normalized_shape, weight=None, eps=None):
        self._last_alone(input, normalized_shape)
        weight = constant(torch.ones(input.width(-1))) if weight is None else weight.whole()
        return normed("peer.rms_norm", input, [weight], torch.finfo(torch.float32).eps if eps is None else eps)

    @staticmethod
    def _last_alone(x, shape):
        if len(shape) != 1:
            raise Unknown(f"a norm over {len(shape)} dimensions")

    def _op_gelu(self, x, approximate="none"):
        return gelu_by_tanh(x) if approximate == "tanh" else activation("gelu", x)

    def _op_pow(self, x, exponent):
        exponent = scalar_of(exponent)
        if not isinstance(x, Act) or exponent is None:
            raise Unknown("a power that is no number")
        return power(x, exponent)

    def _op_square(self, x):
        return power(x, 2)

    def _op_reciprocal(self, x):
        return power(x, -1)

    def _op_rsub(self, x, other, alpha=1):
        return self.binary("sub", other, x, alpha)

    def _op_softmax(self, x, dim):
        rank = len(x.query.dims) if isinstance(x, Scores) else len(x.dims)
        if dim % rank != rank - 1:
            raise Unknown(f"along dimension {dim}, not the last")
        if isinstance(x, Scores):
            return x.softmax()
        node, back = x.rows()
        return back(Node("peer.softmax {0} : {t0}", [node], node.shape))

    _op__softmax = _op_softmax

    def _op_dropout(self, input, p, train):
        if not train or p == 0:
            return input
        if not self.drops:
            raise Unknown("dropout that is on in eval mode")
        if isinstance(input, Scores):
            raise Unknown(f"of attention's weights, with rate {p}: set it to 0, or export model.eval(), which drops nothing")
        if not isinstance(input, Act) or not 0 <= p < 1:
            raise Unknown(f"of {'parameters' if isinstance(input, Static) else 'everything'}")
        node, back = input.flat()
        return back(Node(f"peer.dropout {{0}} {{{{rate = {number(p)} : f32}}}} : {{t0}}", [node], node.shape))

    def _op_topk(self, x, k, dim=-1, largest=True, sorted=True):
        if not largest or dim % len(self._act(x).dims) != len(x.dims) - 1:
            raise Unknown("other than the largest along the last dimension")
        node, back = x.rows()
        both = Node(f"peer.select {{0}} topk<{k}> : {{t0}}", [reshape(node, ["?", 1, 1, node.shape[1]])], ["?", 1, k], None)
        chosen, values = (Node(f"#{index}", [both], ["?", 1, k], dtype) for index, dtype in enumerate(("i32", "f32")))
        return [back(reshape(each, ["?", k])) for each in (values, chosen)]

    # Attention.

    def _op_scaled_dot_product_attention(self, query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
        if dropout_p > 0:
            raise Unknown(f"with dropout {dropout_p} of attention's weights: set it to 0, or export model.eval(), which drops nothing")
        if attn_mask is None and not is_causal:
            raise Unknown("without a causal mask; attention is causal in descriptions")
        window = None
        if attn_mask is not None:
            if not isinstance(attn_mask, Const):
                raise Unknown("a mask that depends on tokens or parameters")
            window = Scores(query, key).hidden(allowed_by(attn_mask.tensor), self.context).window
        return attention(query, key, value, scale, self.context, window)

    def _op_masked_fill(self, x, mask, value):
        return self._hidden(x, mask, value, False)

    def _op_where(self, condition, x, other):
        if isinstance(other, Scores):
            return self._hidden(other, condition, x, False)
        return self._hidden(x, condition, other, True)

    def _hidden(self, x, mask, value, allowed):
        value = scalar_of(value) if not isinstance(value, Const) or value.tensor.numel() == 1 else None
        if not isinstance(x, Scores) or not isinstance(mask, Const) or value is None or value > -1e4:
            raise Unknown("a choice by a mask that is not attention's")
        found = mask.tensor.bool()
        return x.hidden(found if allowed else ~found, self.context)

    # Shapes.

    def _op_view(self, x, size):
        return self._op_reshape(x, size)

    _op__unsafe_view = _op_view

    def _op_reshape(self, x, shape=None):
        if isinstance(x, Static):
            if -1 in shape:
                found = list(shape)
                found[found.index(-1)] = int(torch.tensor(x.shape).prod()) // -int(torch.tensor(found).prod())
                shape = found
            return Static(reshape(x.whole(), shape)) if tuple(shape) != tuple(x.shape) else x
        return self._act(x).viewed(shape)

    @staticmethod
    def _act(x):
        if not isinstance(x, Act):
            raise Unknown("of attention's scores" if isinstance(x, Scores) else "of a parameter")
        return x

    def _op_flatten(self, x, start_dim=0, end_dim=-1):
        shape = list(x.shape)
        start, end = start_dim % len(shape), end_dim % len(shape)
        return self._op_reshape(x, [*shape[:start], -1, *shape[end + 1:]])

    def _op_unflatten(self, x, dim, sizes):
        shape = list(x.shape)
        dim %= len(shape)
        return self._op_reshape(x, [*shape[:dim], *sizes, *shape[dim + 1:]])

    def _op_unsqueeze(self, x, dim):
        rank = len(x.shape) + 1
        dim %= rank
        if isinstance(x, Static):
            return self._op_reshape(x, [*x.shape[:dim], 1, *x.shape[dim:]])
        self._act(x)
        return x.made(x.node, [*x.dims[:dim], (), *x.dims[dim:]])

    def _op_squeeze(self, x, dim=None):
        shape = list(x.shape)
        dims = range(len(shape)) if dim is None else [dim] if isinstance(dim, int) else dim
        gone = [each % len(shape) for each in dims if shape[each] == 1]
        if isinstance(x, Static):
            return self._op_reshape(x, [size for index, size in enumerate(shape) if index not in gone])
        made = self._act(x).compact()
        if any(made.dims[each] for each in gone):
            raise Unknown("the dimension of sequences or tokens taken away")
        return made.made(made.node, [dim for index, dim in enumerate(made.dims) if index not in gone])

    def _op_permute(self, x, dims):
        if isinstance(x, Static):
            if len(dims) != 2:
                raise Unknown("a parameter of more than two dimensions, turned")
            return self._op_t(x) if [each % 2 for each in dims] == [1, 0] else x
        return self._act(x).permuted([each % len(x.dims) for each in dims])

    def _op_transpose(self, x, dim0, dim1):
        if isinstance(x, Scores):
            raise Unknown("of attention's scores")
        order = list(range(len(x.shape)))
        order[dim0], order[dim1] = order[dim1], order[dim0]
        return self._op_permute(x, order)

    def _op_t(self, x):
        if isinstance(x, Static):
            return Static(x.node, x.name, not x.transposed) if len(x.shape) == 2 else x
        return self._act(x).permuted(range(len(x.dims))[::-1])

    _op_numpy_T = _op_t

    def _op_mT(self, x):
        return self._op_transpose(x, -2, -1)

    def _op_expand(self, x, size):
        if isinstance(x, Static):
            if list(size)[-len(x.shape):] != list(x.shape) or any(each != 1 for each in size[:-len(x.shape)]):
                raise Unknown("a parameter expanded")
            return x
        dims = [()] * (len(size) - len(self._act(x).dims)) + list(x.dims)
        made = x.made(x.node, dims)
        found = []
        for dim, wanted in enumerate(size):
            have = made.width(dim)
            if wanted not in (-1, have) and (have != 1 or made.is_tokens(dim)):
                raise Unknown(f"{x.shape} expanded to {list(size)}")
            found.append(dims[dim] if wanted in (-1, have) else (*dims[dim], Repeated(wanted)))
        return made.made(made.node, found)

    def _op_repeat_interleave(self, x, repeats, dim=None):
        if dim is None or not isinstance(repeats, int) or self._act(x).is_tokens(dim):
            raise Unknown("tokens repeated")
        dims = list(x.dims)
        dims[dim] = (*dims[dim], Repeated(repeats))
        return x.made(x.node, dims)

    # Parts.

    def _op_slice(self, x, dim=0, start=None, end=None, step=1):
        if isinstance(x, Scores):
            raise Unknown("some of attention's scores")
        size = x.shape[dim]
        start, end = start or 0, min(_END if end is None else end, size)
        start, end = (each + size if each < 0 else each for each in (start, end))
        start = min(max(start, 0), size)
        if start == 0 and end == size and step == 1:
            return x
        if isinstance(x, Static):
            if step != 1 or x.transposed:
                raise Unknown("every other row of a parameter")
            shape = list(x.shape)
            shape[dim] = end - start
            return Static(Node(f"peer.slice {{0}} along {dim % len(shape)} from {start} size {end - start} : {{t0}}", [x.node], shape))
        if x.dims[dim] == ("T",) and start == size - 1 and not isinstance(x, Tokens):
            return self._last(x, dim, True)
        if step == 1:
            return part(x, dim, start, end - start)
        if (end, size % step, start < step) != (size, 0, True):
            raise Unknown(f"elements {start} to {end} by {step} of {size}")
        dim %= len(x.dims)
        cut = x.viewed([*x.shape[:dim], size // step, step, *x.shape[dim + 1:]])
        return self._op_select(cut, dim + 1, start)

    def _last(self, x, dim, keep):
        """The last token's alone: nothing that follows looks at others, so all are kept."""
        dims = list(x.dims)
        dims[dim:dim + 1] = [("L",)] * keep
        if not keep:
            raise Unknown("the last token without its dimension; keep it, as x[:, [-1]] does")
        return x.made(x.node, dims)

    def _op_select(self, x, dim, index):
        if isinstance(x, Static):
            return self._op_squeeze(self._op_slice(x, dim, index % x.shape[dim], index % x.shape[dim] + 1), dim)
        dim %= len(self._act(x).dims)
        made = part(x, dim, index % x.shape[dim], 1).compact()
        return made.made(made.node, [*made.dims[:dim], *made.dims[dim + 1:]], made.tag)

    def _op_narrow(self, x, dim, start, length):
        return self._op_slice(x, dim, start, start + length)

    def _op_index(self, x, indices):
        given = [(dim, each) for dim, each in enumerate(indices) if each is not None]
        if isinstance(x, Act) and len(given) == 1 and isinstance(given[0][1], Const):
            dim, ids = given[0][0], given[0][1].tensor
            if x.dims[dim] == ("T",) and ids.tolist() in ([-1], [self.context - 1]):
                return self._last(x, dim, True)
        if isinstance(x, Static) and given and given[0][0] == 0 and len(given) == 1 and isinstance(given[0][1], Const):
            return self._by_position(x, given[0][1].tensor)
        raise Unknown("elements by their number")

    def _op_split(self, x, split_size, dim=0):
        size = self._act(x).shape[dim]
        return [self._op_slice(x, dim, start, min(start + split_size, size)) for start in range(0, size, split_size)]

    def _op_split_with_sizes(self, x, split_sizes, dim=0):
        starts = [sum(split_sizes[:index]) for index in range(len(split_sizes))]
        return [self._op_slice(self._act(x), dim, start, start + size) for start, size in zip(starts, split_sizes)]

    def _op_chunk(self, x, chunks, dim=0):
        return self._op_split(x, -(-self._act(x).shape[dim] // chunks), dim)

    def _op_unbind(self, x, dim=0):
        return [self._op_select(x, dim, index) for index in range(x.shape[dim])]

    def _op_cat(self, tensors, dim=0):
        if not all(isinstance(each, Act) for each in tensors):
            raise Unknown("values put beside parameters or constants")
        if (turned := rotary_of_parts(tensors, dim, self.context)) is not None:
            return turned
        made = joined(tensors, dim)
        made.tag = rotated(tensors, dim)
        return made

    def _op_stack(self, tensors, dim=0):
        if all(isinstance(each, Act) for each in tensors) and (turned := rotary_of_neighbours(tensors, dim, self.context)) is not None:
            return turned
        return self._op_cat([self._op_unsqueeze(each, dim) for each in tensors], dim)

    # Reductions.

    def _op_mean(self, x, dim=None, keepdim=False):
        made = reduced("mean", self._act(x), dim, keepdim)
        if keepdim and x.tag and x.tag[0] == "square" and dim is not None and [each % len(x.dims) for each in ([dim] if isinstance(dim, int) else dim)] == [
                len(x.dims) - 1]:
            made.tag = ("mean_square", x.tag[1])
        return made

    def _op_sum(self, x, dim=None, keepdim=False):
        return reduced("sum", self._act(x), dim, keepdim)

    def _op_amax(self, x, dim=(), keepdim=False):
        return reduced("max", self._act(x), dim, keepdim)

    # Types.

    def _op_to(self, x, dtype=None):
        if dtype not in (None, torch.float32) and not (isinstance(x, Act) and x.node.dtype == "i32" and not dtype.is_floating_point):
            raise Unknown(f"to {dtype}; descriptions compute in torch.float32")
        return x

    _op__to_copy = _op_to

    def _op_type_as(self, x, other):
        return x

    def _op_detach(self, x):
        if not isinstance(x, Tokens):
            raise Unknown("a part without gradients")
        return x
