"""The baselines: shapes, the KL divergence, β's two units, and that each can learn one batch by heart."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from musiclib import training
from musiclib.musicslots.baselines import (
    AutoEncoder,
    AutoEncoderConfig,
    ClassifierConfig,
    NoteClassifier,
    autoencoder_loss,
    kl_divergence,
)
from musiclib.musicslots.chords import examples
from musiclib.musicslots.data import ChordSpectrograms
from musiclib.musicslots.probes import exact

TINY = AutoEncoderConfig(bands=32, frames=16, channels=8, width=8, upsamplings=2)
KINDS = {
    "auto-encoder": {},
    "vae": {"beta": 1.0},
    "mlp": {"decoder": "mlp"},
    "mlp-vae": {"decoder": "mlp", "beta": 4.0},
}


@pytest.fixture(scope="module")
def data(bank):
    return ChordSpectrograms(examples("JazzNet-multi").train[:16], bank, frames=16)


@pytest.mark.parametrize("changes", KINDS.values(), ids=KINDS)
def test_shapes_and_gradients(changes):
    config = replace(TINY, **changes)
    model = AutoEncoder(config)
    x = torch.rand(3, 1, 32, 16) * 100 - 80
    out = model(x)
    assert out.reconstruction_db.shape == x.shape
    assert out.mu.shape == out.log_var.shape == (3, 8)
    autoencoder_loss(x, out, config.kl_weight).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert (out.log_var == -torch.inf).all() == (config.beta is None)


def test_the_papers_sizes():
    model = AutoEncoder(AutoEncoderConfig(beta=1.0))
    assert [tuple(conv.weight.shape) for conv in model.encoder.convs] == [(128, 1, 5, 5)] + 3 * [(128, 128, 5, 5)]
    assert model.encoder.features == 128 * 8 * 2
    assert model.posterior.out_features == 2 * 128
    assert model.decoder.grid == (2, 8)
    assert len(model.decoder.upsample) == 4
    assert NoteClassifier(ClassifierConfig())(torch.zeros(1, 1, 128, 32)).shape == (1, 61 * 3)


def test_a_plain_autoencoder_has_no_noise_and_a_vae_has_it_in_training_only():
    x = torch.rand(2, 1, 32, 16)
    for beta, noisy in ((None, False), (1.0, True)):
        model = AutoEncoder(replace(TINY, beta=beta))
        first, second = (model(x).reconstruction_db for _ in range(2))
        assert torch.equal(first, second) != noisy
        model.eval()
        first, second = (model(x).reconstruction_db for _ in range(2))
        assert torch.equal(first, second)


def test_kl_divergence_by_hand():
    """KL(N(1, 4) ‖ N(0, 1)) = ½(1 + 4 - 1 - ln 4), and nothing for the prior itself."""
    mu, log_var = torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([[math.log(4), 0.0], [0.0, 0.0]])
    torch.testing.assert_close(kl_divergence(mu, log_var), torch.tensor([0.5 * (4 - math.log(4)), 0.0]))


@given(st.lists(st.floats(-5, 5), min_size=4, max_size=4), st.lists(st.floats(-5, 5), min_size=4, max_size=4))
def test_kl_divergence_is_never_negative_and_that_of_torch(mu, log_var):
    mu, log_var = torch.tensor([mu]), torch.tensor([log_var])
    posterior = torch.distributions.Normal(mu, (log_var / 2).exp())
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(kl_divergence(mu, log_var), expected, rtol=1e-4, atol=1e-4)
    assert kl_divergence(mu, log_var).item() >= -1e-5


def test_the_two_units_of_beta():
    """128 latents, 4096 bins: the published code's β = 2 weighs the divergence by 1/16."""
    assert AutoEncoderConfig(beta=2.0).kl_weight == 2.0
    assert [AutoEncoderConfig(beta=b, beta_unit="released").kl_weight for b in (0.5, 2.0, 4.0)] == [
        1 / 64,
        1 / 16,
        1 / 8,
    ]
    assert AutoEncoderConfig().kl_weight == 0


def test_impossible_choices():
    with pytest.raises(ValueError, match="beta_unit='nats' is none of paper, released"):
        AutoEncoderConfig(beta_unit="nats")
    with pytest.raises(ValueError, match="backbone='vgg' is neither"):
        ClassifierConfig(backbone="vgg")


@pytest.mark.parametrize("frames", [16, 32])
@pytest.mark.parametrize("channels", [64, 128])
def test_mixed_precision_is_full_precision_nearly(channels, frames):
    """oneDNN's bfloat16 convolutions are wrong by any factor where the last axis shrinks to one point."""
    torch.manual_seed(0)
    model = AutoEncoder(AutoEncoderConfig(frames=frames, channels=channels, decoder="mlp")).eval()
    model.to(memory_format=torch.channels_last)
    x = torch.randn(8, 1, 128, frames)
    with torch.no_grad():
        expected = model.encode(x)[0]
        with training.autocast(torch.device("cpu")):
            found = model.encode(x)[0]
    assert (found - expected).norm() < 0.05 * expected.norm()


@pytest.mark.slow
@pytest.mark.parametrize("beta", [None, 0.5])
def test_an_autoencoder_learns_one_batch_by_heart(data, beta):
    config = AutoEncoderConfig(
        frames=16, channels=16, width=32, beta=beta, beta_unit="released", decoder="mlp", db_offset=-30.0, db_scale=30.0
    )
    model, x = AutoEncoder(config), data.batch(torch.arange(8))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    errors = []
    for _ in range(300):
        out = model(x)
        autoencoder_loss(x, out, config.kl_weight).backward()
        optimizer.step()
        optimizer.zero_grad()
        errors.append((out.reconstruction_db - x).square().mean().item())
    assert errors[-1] < 0.05 * errors[0]


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["cnn", "resnet18"])
def test_a_classifier_learns_one_batch_by_heart(data, backbone):
    model = NoteClassifier(
        ClassifierConfig(frames=16, channels=16, width=32, backbone=backbone, db_offset=-30, db_scale=30)
    )
    x, notes = data.batch(torch.arange(8)), data.multi_hot[:8]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(400 if backbone == "cnn" else 40):
        torch.nn.functional.binary_cross_entropy_with_logits(model(x), notes).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert exact(model(x), notes).all()
