"""Ops of torch in the words of descriptions, alone and in a model; what has no words."""
import copy

import pytest
from conftest import near, torch
from test_export import greedy, logits_of, ours, tokens, train

import peer

F = torch.nn.functional


class Small(torch.nn.Module):
    """An embedding, something, and a head."""

    def __init__(self, between):
        super().__init__()
        torch.manual_seed(6)
        self.embed, self.between, self.head = torch.nn.Embedding(65, 16), between, torch.nn.Linear(16, 65)

    def forward(self, given):
        return self.head(self.between(self.embed(given)))


class Does(torch.nn.Module):
    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, value in parts.items():
            setattr(self, name, value)

    def forward(self, x):
        return self.function(self, x)


def parameter(*shape):
    return torch.nn.Parameter(torch.rand(shape) + 0.5)


ELEMENTWISE = [
    lambda m, x: F.gelu(x, approximate="tanh") + F.relu(x).square() + torch.sigmoid(x) * x - x.abs(),
    lambda m, x: 15 * torch.tanh(x / 15) + (1 + m.scale) * x + 2 - x.exp().reciprocal(),
    lambda m, x: x * m.gate(x).sigmoid() + x.sum(-1, keepdim=True) + torch.softmax(x, -1),
    lambda m, x: (x - x.mean(-1, keepdim=True)) / (x.pow(2).mean(-1, keepdim=True) + 1e-3).sqrt() * m.scale,
    lambda m, x: x + m.positions[:x.shape[1]],
    lambda m, x: x + m.waves[None, :x.shape[1]] * 0.5,
    lambda m, x: torch.cat([x[..., 4:], -x[..., :4]], -1).view(2, 16, 4, 4).transpose(2, 3).flatten(2),
    lambda m, x: F.layer_norm(x, (16,)) + F.rms_norm(x, (16,), m.scale, 1e-4) + x @ m.square + torch.addmm(m.scale, x.view(-1, 16), m.square).view(x.shape),
    lambda m, x: (x.view(2, 16, 4, 4) * m.scale.view(4, 4)).amax(-1, keepdim=True).expand(2, 16, 4, 4).reshape(2, 16, 16),
    lambda m, x: torch.stack(x.unbind(-1), -1) + x.view(32, 16)[None].squeeze(0).unflatten(0, (2, 16)),
]


def test_words():
    """All of them one after another, so that one description has them."""
    parts = [Does(function, scale=parameter(16), gate=torch.nn.Linear(16, 1), positions=parameter(20, 16), square=torch.nn.Parameter(torch.randn(16, 16) * 0.2))
             for function in ELEMENTWISE]
    for part in parts:
        part.register_buffer("waves", torch.randn(20, 16))
    model = Small(torch.nn.Sequential(*(torch.nn.Sequential(part, torch.nn.LayerNorm(16)) for part in parts))).eval()
    exported = peer.export(model, tokens(), check=False)
    artifact = exported.compile()
    near(ours(artifact, tokens()), logits_of(model, tokens()), within=2e-5)
    # The gradients, too.
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0)
    for step, (one, two) in enumerate(train(model, optimizer, artifact, 3)):
        assert abs(one - two) < 5e-5 * one, step


@pytest.mark.parametrize("make", [lambda: peer.PKM(16, num_experts=64, heads=2, experts_per_head=4, key_dim=8), lambda: peer.MoE(16, num_experts=8, experts_per_token=2, hidden=6)],
                         ids=["PKM", "MoE"])
def test_other_layers_and_shared_tables(make):
    one, two = make(), make()
    two.experts = one.experts
    model = Small(torch.nn.Sequential(one, two)).eval()
    assert "lazy = false" in peer.export(model, tokens(), check=False).text
    exported = peer.export(model, tokens(), check=False, train=False, decode=False)
    assert "between.0.experts" in exported.weights and "between.1.experts" not in exported.weights
    near(ours(exported.compile(), tokens()), logits_of(model, tokens()), within=1e-5)


def test_frozen_parameters_stay():
    model = Small(torch.nn.Linear(16, 16)).eval()
    model.between.requires_grad_(False)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1, momentum=0.9)
    exported = peer.export(model, tokens(), optimizer=optimizer, check=False)
    artifact = exported.compile()
    for step, (one, two) in enumerate(train(model, optimizer, artifact, 4)):
        assert abs(one - two) < 2e-5 * one, step
    assert torch.equal(torch.from_dlpack(artifact.tensor("between.weight")), model.between.weight)
    near(torch.from_dlpack(artifact.tensor("head.weight")), model.head.weight, within=1e-5)


class Attends(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        q = x.view(*x.shape[:2], 2, 8).transpose(1, 2)
        return self.function(q).transpose(1, 2).flatten(2)


def test_dropout_of_a_model_in_training_mode():
    model = Small(torch.nn.Sequential(torch.nn.Dropout(0.25), torch.nn.Linear(16, 16), torch.nn.Dropout(0.0)))
    with torch.no_grad():
        model.embed.weight.fill_(1)
    exported = peer.export(model, tokens(), decode=False, check=False)
    assert exported.text.count("peer.dropout") == exported.text.count("rate = 2.5") == 1
    assert "peer.dropout" not in peer.export(model.eval(), tokens(), check=False).text
    artifact, given = exported.compile(), tokens().flatten().to(torch.int32)
    near(ours(artifact, tokens()), logits_of(model, tokens()), within=1e-5)
    # Steps of a rate of 0 change nothing; each has dropped other elements, as torch would: losses differ from the model's and from one another.
    loss = float(artifact.loss(given, given))
    losses = {float(artifact.train_step(given, given, step=step, learning_rate_default=0).loss) for step in (1, 2, 3, 1)}
    assert len(losses) == 3 and loss not in losses and all(abs(each - loss) < 0.5 for each in losses)
    model = Small(Attends(lambda q: F.scaled_dot_product_attention(q, q, q, dropout_p=0.1, is_causal=True)))
    with pytest.raises(peer.Error, match="with dropout 0.1 of attention's weights: set it to 0, or export model.eval"):
        peer.export(model, tokens())


def test_narrow_parameters_are_widened(capsys):
    model = Small(peer.PKM(16, num_experts=64, heads=2, experts_per_head=4, key_dim=8)).eval()
    exported = peer.export(copy.deepcopy(model).bfloat16(), tokens(), train=False, decode=False)
    assert "peer: 8 parameters of bfloat16 are widened to f32, in which descriptions compute" in capsys.readouterr().out
    near(ours(exported.compile(), tokens()), logits_of(model.bfloat16().float(), tokens()), within=1e-5)


def test_attention_in_windows_and_groups():
    window = torch.ones(16, 16).tril().triu(-4).bool()
    functions = [lambda q: F.scaled_dot_product_attention(q, q, q, attn_mask=window[:q.shape[2], :q.shape[2]], scale=0.2), lambda q: F.scaled_dot_product_attention(q, q[:, :1], q[:, 1:], is_causal=True, enable_gqa=True),
                 lambda q: ((q @ q.mT) / 3).masked_fill(~window[:q.shape[2], :q.shape[2]], -torch.inf).softmax(-1) @ q]
    model = Small(torch.nn.Sequential(*(Attends(each) for each in functions))).eval()
    exported = peer.export(model, tokens(), train=False, check=False)
    assert exported.text.count(" window 5 ") == 2 and "concat" not in exported.text
    artifact = exported.compile()
    near(ours(artifact, tokens()), logits_of(model, tokens()), within=1e-5)
    theirs, made = greedy(model, artifact, [5, 6], 14)
    assert theirs == made


def test_experts_that_torch_routes():
    class Routes(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.gate, self.experts = torch.nn.Linear(16, 8, bias=False), peer.Experts(16, num_experts=8, experts_per_token=2, hidden=6)

        def forward(self, x):
            weights, chosen = self.gate(x.view(-1, 16)).softmax(-1).topk(2)
            weights /= weights.sum(-1, keepdim=True)
            return x + self.experts(x.view(-1, 16), chosen, weights).view(x.shape)
    model = Small(Routes()).eval()
    optimizer = peer.optim.AdamW(model, lr=1e-3, betas=(0.9, 0.95), weight_decay=0)
    artifact = peer.export(model, tokens(), optimizer=optimizer, check=False).compile()
    near(ours(artifact, tokens()), logits_of(model, tokens()), within=1e-5)
    for step, (one, two) in enumerate(train(model, optimizer, artifact, 3)):
        assert abs(one - two) < 2e-5 * one, step


def test_refused():
    def said(model, *arguments, **options):
        with pytest.raises(peer.Error) as caught:
            peer.export(model.eval() if isinstance(model, torch.nn.Module) else model, *(arguments or [tokens()]), check=False, **options)
        return str(caught.value)
    for between, wanted in [
            (torch.nn.Conv1d(16, 16, 1), "aten.conv1d in between (Conv1d) has no words in descriptions"),
            (Does(lambda m, x: x.cumsum(-1)), "aten.cumsum in between (Does) has no words"),
            (Does(lambda m, x: x.mean(1, keepdim=True) + x), "aten.mean in between (Does) has no words in descriptions: a reduction over tokens"),
            (Does(lambda m, x: x.roll(1, 1)), "aten.roll in between (Does)"),
            (Does(lambda m, x: x.view(2, 4, 64).tanh().view(2, 16, 16)), "which joins tokens or features in another way"),
            (Does(lambda m, x: F.dropout(x, 0.5, True)), "aten.dropout in between (Does) has no words in descriptions: dropout that is on in eval mode"),
            (Does(lambda m, x: x.bfloat16().float()), "to torch.bfloat16; descriptions compute in torch.float32"),
            (Attends(lambda q: F.scaled_dot_product_attention(q, q, q)), "aten.scaled_dot_product_attention in between (Attends) has no words in descriptions: without a causal mask"),
            (Attends(lambda q: F.scaled_dot_product_attention(q, q, q, attn_mask=torch.ones(16, 16).triu().bool())), "a mask that is not causal"),
            (Does(lambda m, x: x + x.argmax(-1, keepdim=True)), "aten.argmax in between (Does)"),
            (Does(lambda m, x: x + x.topk(2)[1].sum(-1, keepdim=True)), "tokens are embedded and experts chosen by whole numbers"),
            (Attends(lambda q: (q @ q.transpose(-2, -1)).softmax(-1) @ q), "a softmax of scores without a causal mask"),
            (Does(lambda m, x: x + torch.arange(2.)[:, None, None]), "depends on the sequence"),
            (Does(lambda m, x: x if x.sum() > 0 else -x), "torch.export does not trace the model: ")]:
        assert wanted in said(Small(between)), wanted
    model = Small(torch.nn.Identity())
    assert "the model is list, expected a torch.nn.Module" in said([])
    assert "example_tokens is no tensor of whole numbers" in said(model, torch.ones(2, 16))
    assert "example_tokens has the shape [2, 1]; expected at least two tokens" in said(model, torch.ones(2, 1, dtype=torch.long))
    assert "embed.weight is torch.float64 on cpu; expected torch.float32 on the CPU" in said(copy.deepcopy(model).double())
    assert "the optimizer is RMSprop; AdamW, Adam and SGD" in said(model, optimizer=torch.optim.RMSprop(model.parameters()))
    assert "the optimizer has amsgrad=True; descriptions do not" in said(model, optimizer=torch.optim.AdamW(model.parameters(), amsgrad=True))
    assert "weight_decay=0.1, which torch adds to gradients" in said(model, optimizer=torch.optim.Adam(model.parameters(), weight_decay=0.1))
    assert "the model gives no logits" in said(Does(lambda m, x: x))
