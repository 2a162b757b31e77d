"""MusicVAE: what depends on what, what is equal to what, and the terms of the loss."""

import math
from dataclasses import replace

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from musiclib import checkpoints
from musiclib.musicvae.model import MusicVAE, MusicVAEConfig
from musiclib.posterior import Posterior

FLAT = MusicVAEConfig(
    values=7, bars=4, bar_steps=4, latent=5, encoder_width=6, encoder_layers=2, decoder_width=8, beta_rate=0.9
)
HIERARCHICAL = replace(FLAT, conductor_width=9)
ROLL = replace(HIERARCHICAL, kind="roll", values=6)
configs = pytest.mark.parametrize("config", [FLAT, HIERARCHICAL, ROLL], ids=["flat", "hierarchical", "roll"])


def music(config, batch=3):
    if config.kind == "melody":
        return torch.randint(config.values, (batch, config.steps), dtype=torch.uint8)
    return torch.randint(2, (batch, config.steps, config.values), dtype=torch.uint8)


@configs
def test_shapes(config):
    model, x = MusicVAE(config), music(config)
    posterior = model.encode(x)
    assert posterior.mu.shape == posterior.sigma.shape == (3, 5)
    assert (posterior.sigma > 0).all()
    assert model.logits(x, posterior.mu).shape == (3, 16, config.values)
    assert model.sample(posterior.mu).shape == x.shape


@configs
def test_fused_decoding_is_the_loop(config):
    """All bars in one call give what step after step gives when it hears the truth."""
    model, x, z = MusicVAE(config), music(config), torch.randn(3, 5)
    stepwise, _ = model.scheduled(z, x, teacher_share=1.0)
    torch.testing.assert_close(model.logits(x, z), stepwise, atol=1e-5, rtol=1e-5)


def test_contexts_come_from_z_alone():
    """No path leads from tokens, or from the decoder, to the conductor's outputs: only through z."""
    model, x = MusicVAE(HIERARCHICAL), music(HIERARCHICAL)
    z = torch.randn(3, 5, requires_grad=True)
    contexts = model.contexts(z)
    assert contexts.shape == (3, 4, 9)
    model.zero_grad()
    contexts.sum().backward()
    assert z.grad.abs().min() > 0
    reached = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    assert reached == {"conductor"}

    seen = []
    model.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1].detach().clone()))
    for other in (x, (x + 1) % 7):
        model.logits(other, z)
    assert torch.equal(*seen)


@pytest.mark.parametrize("config", [FLAT, HIERARCHICAL], ids=["flat", "hierarchical"])
def test_how_far_a_token_is_heard(config):
    """A flat decoder hears a token to the end; a hierarchical one within its bar, and its last across the bar line."""
    model, x, z = MusicVAE(config), music(config), torch.randn(3, 5)
    before = model.logits(x, z)

    def changed_after(step):
        other = x.clone()
        other[:, step] = (other[:, step] + 1) % 7
        different = (model.logits(other, z) - before).abs().amax((0, 2)) > 0
        return different.nonzero().flatten().tolist()

    assert changed_after(5) == (list(range(6, 16)) if config is FLAT else [6, 7])
    assert changed_after(7) == (list(range(8, 16)) if config is FLAT else [8, 9, 10, 11])
    assert changed_after(15) == []


@configs
def test_gradient_reaches_every_parameter(config):
    model = MusicVAE(config)
    model(music(config), step=100).total.backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert without == (["conductor.lstm.weight_ih_l0"] if config.conductor_width else [])  # it multiplies zeros


def test_the_encoder_begins_with_memories_of_all_lengths():
    """A unit forgets at a rate 1 / (1 + u), u up to the steps it reads, and lets as little in."""
    torch.manual_seed(0)
    lstm = MusicVAE(replace(FLAT, bars=16, bar_steps=16, encoder_width=500)).encoder.lstm
    for layer in ("l0", "l0_reverse", "l1", "l1_reverse"):
        bias = getattr(lstm, f"bias_ih_{layer}") + getattr(lstm, f"bias_hh_{layer}")
        lets_in, keeps, _, _ = bias.sigmoid().chunk(4)
        torch.testing.assert_close(lets_in, 1 - keeps)
        memory = 1 / (1 - keeps) - 1  # u
        assert memory.min() >= 0.99 and memory.max() <= 256
        assert memory.mean().item() == pytest.approx(128, rel=0.1)


def test_kl_is_torchs():
    posterior = Posterior(torch.randn(4, 5), torch.rand(4, 5) + 0.1)
    expected = kl_divergence(Normal(posterior.mu, posterior.sigma), Normal(0.0, 1.0))
    torch.testing.assert_close(posterior.kl(), expected)
    assert (posterior.kl() >= 0).all()
    assert not Posterior(torch.zeros(1, 5), torch.ones(1, 5)).kl().any()


def test_samples_of_the_posterior_have_its_moments():
    posterior = Posterior(torch.tensor([[3.0, -1.0]]).expand(20_000, 2), torch.tensor([[0.5, 2.0]]).expand(20_000, 2))
    z = posterior.sample()
    torch.testing.assert_close(z.mean(0), torch.tensor([3.0, -1.0]), atol=0.06, rtol=0)
    torch.testing.assert_close(z.std(0), torch.tensor([0.5, 2.0]), atol=0, rtol=0.03)


def test_loss_is_its_equation():
    """Reconstruction + β_t · max(KL − τ ln 2, 0), example by example."""
    config = replace(FLAT, free_bits=0.5, beta_max=0.3)
    model, x = MusicVAE(config), music(config, 8)
    torch.manual_seed(1)
    loss = model(x, step=5)
    torch.manual_seed(1)
    posterior = model.encode(x)
    logits = model.logits(x, posterior.sample())
    right = logits.log_softmax(-1).gather(-1, x.long()[..., None])[..., 0]
    excess = (posterior.kl().sum(1) - 0.5 * math.log(2)).clamp(min=0)
    torch.testing.assert_close(loss.reconstruction, -right.sum(1).mean())
    torch.testing.assert_close(loss.total, -right.sum(1).mean() + 0.3 * (1 - 0.9**5) * excess.mean())


def test_free_bits_are_free():
    model = MusicVAE(replace(FLAT, free_bits=1e6, beta_max=5.0))
    loss = model(music(FLAT), step=1000)
    assert loss.kl > 0
    assert loss.total == loss.reconstruction


def test_bernoulli_likelihood_by_hand():
    model = MusicVAE(replace(ROLL, values=2, bars=1, bar_steps=1, conductor_width=0))
    logits = torch.tensor([[[0.0, math.log(3)]]])  # probabilities 1/2 and 3/4
    x = torch.tensor([[[1, 0]]])
    torch.testing.assert_close(model.negative_log_likelihood(x, logits), torch.tensor([math.log(2) + math.log(4)]))


def test_schedules():
    config = replace(FLAT, beta_max=0.2, beta_rate=0.99999, sampling_rate=1000.0)
    assert config.beta(0) == 0
    assert config.beta(100_000) == pytest.approx(0.2 * (1 - math.exp(-1)), rel=1e-4)
    assert config.teacher_share(0) == pytest.approx(1, abs=1e-3)
    assert config.teacher_share(int(1000 * math.log(1000))) == pytest.approx(0.5, abs=1e-3)
    assert config.teacher_share(10**7) < 1e-300
    assert FLAT.teacher_share(10**7) == 1


def test_scheduled_sampling_hears_some_of_both():
    """With a teacher's share of 0 what it hears is its own; between, some examples hear the truth."""
    model, x, z = MusicVAE(FLAT), music(FLAT, 64), torch.randn(64, 5)
    truth, own = model.logits(x, z)[:, 1], model.scheduled(z, x, 0.0, temperature=0.0)[0][:, 1]
    mixed, drawn = model.scheduled(z, x, 0.5, temperature=0.0)
    like_truth, like_own = ((mixed[:, 1] - y).abs().amax(1) < 1e-6 for y in (truth, own))
    assert (like_truth | like_own).all()
    differ = drawn[:, 0] != x[:, 0]
    assert 0 < (like_truth & differ).sum() < differ.sum()


@configs
def test_temperature(config):
    model, z = MusicVAE(config), torch.randn(40, 5)
    coldest = model.sample(z, 0.0)
    assert torch.equal(coldest, model.sample(z, 0.0))
    assert torch.equal(coldest, model.sample(z, 1e-6))
    torch.manual_seed(3)
    warm = model.sample(z)
    assert not torch.equal(warm, coldest)
    torch.manual_seed(3)
    assert torch.equal(warm, model.sample(z))


def test_only_the_flat_decoder_goes_on():
    z = torch.randn(2, 5)
    flat, hierarchical = MusicVAE(FLAT), MusicVAE(HIERARCHICAL)
    longer = flat.sample(z, 0.0, steps=40)
    assert longer.shape == (2, 40)
    assert torch.equal(longer[:, :16], flat.sample(z, 0.0))
    assert torch.equal(hierarchical.sample(z, 0.0, steps=6), hierarchical.sample(z, 0.0)[:, :6])
    with pytest.raises(ValueError, match="leads 4 bars, not 40 steps"):
        hierarchical.sample(z, steps=40)


@pytest.mark.slow
@configs
def test_learns_one_batch_by_heart(config):
    """From z alone, hearing only itself."""
    config = replace(config, latent=16, encoder_width=32, decoder_width=32, beta_max=0.0)
    torch.manual_seed(0)
    model, x = MusicVAE(config), music(config, 6)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(800):
        optimizer.zero_grad()
        model(x, step).total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    assert (model.sample(model.encode(x).mu, 0.0) == x).float().mean() > 0.98


def test_weights_survive_a_file(tmp_path):
    model, x = MusicVAE(HIERARCHICAL), music(HIERARCHICAL)
    checkpoints.save_weights(tmp_path / "m.safetensors", model, {})
    again = checkpoints.load_weights(tmp_path / "m.safetensors", MusicVAE(HIERARCHICAL))
    assert torch.equal(model.encode(x).mu, again.encode(x).mu)
    with pytest.raises(checkpoints.CheckpointError, match="conductor_width=9, not 0"):
        checkpoints.load_weights(tmp_path / "m.safetensors", MusicVAE(FLAT))
