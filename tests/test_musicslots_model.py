"""The model's shapes, symmetries and gradients. Its numbers are held against the reference in the golden test."""

import itertools
from dataclasses import replace

import pytest
import torch

from musiclib.musicslots.chords import examples
from musiclib.musicslots.data import ChordSpectrograms
from musiclib.musicslots.model import Decomposition, MusicSlots, MusicSlotsConfig, reconstruction_loss

TINY = MusicSlotsConfig(bands=32, frames=16, channels=8, width=8, slots=4, upsamplings=2)
VARIANTS = [
    replace(TINY, mask=mask, implicit=implicit, stride=stride, attention=attention, decoder=decoder)
    for mask, implicit, stride, attention, decoder in itertools.product(
        ("none", "sigmoid", "softmax"), (True, False), ((1, 1), (1, 2)), ("paper", "reference"), ("broadcast", "mlp")
    )
]


def name_of(config):
    gradient = "implicit" if config.implicit else "unrolled"
    return f"{config.mask}-{gradient}-{config.stride[1]}-{config.attention}-{config.decoder}"


def chords_like(config, batch=2):
    """Decibels between -80 and 20, of the model's shape."""
    return torch.rand(batch, 1, config.bands, config.frames) * 100 - 80


def noise_like(config, batch=2):
    return torch.randn(batch, config.slots, config.width)


variants = pytest.mark.parametrize("config", VARIANTS, ids=name_of)
masks = pytest.mark.parametrize("config", [replace(TINY, mask=m) for m in ("none", "sigmoid", "softmax")], ids=name_of)


@variants
def test_shapes(config):
    x = chords_like(config)
    out = MusicSlots(config)(x)
    tokens = config.bands * (config.frames if config.stride == (1, 1) else 1)
    assert out.reconstruction_db.shape == x.shape
    assert out.slot_power.shape == out.mask.shape == out.slot_db.shape == (2, 4, 32, 16)
    assert out.slots.shape == (2, 4, 8)
    assert out.attention.shape == (2, 4, tokens)
    assert out.reconstruction_db.isfinite().all()


def test_the_papers_sizes():
    """128×32 input: a grid of 128×2 tokens, 7 slots, decoded from a grid of 8×2 (frequency × time)."""
    model = MusicSlots(MusicSlotsConfig()).eval()
    with torch.no_grad():
        tokens = model.encoder(torch.zeros(1, 1, 128, 32))
        power, _ = model.decode(torch.zeros(1, 7, 128))
    assert tokens.shape == (1, 128 * 2, 128)
    assert model.decoder.grid == (2, 8)  # (time, frequency), as inside the networks
    assert power.shape == (1, 7, 128, 32)
    assert [tuple(conv.weight.shape) for conv in model.encoder.convs] == [(128, 1, 5, 5)] + 3 * [(128, 128, 5, 5)]


def test_dilation_keeps_the_grid_and_reaches_further():
    """With dilations 1, 2, 4, 8 a token hears 2·(1+2+4+8) = 30 bands to either side, without them 8."""

    def reach(dilation):
        config = replace(TINY, bands=128, stride=(1, 1), dilation=dilation)
        x = torch.zeros(1, 1, 128, 16, requires_grad=True)
        hidden = x.transpose(2, 3)
        for conv in MusicSlots(config).encoder.convs:
            hidden = conv(hidden)
        assert hidden.shape == (1, 8, 16, 128)
        hidden[0, :, 8, 64].sum().backward()
        heard = x.grad[0, 0].abs().amax(1).nonzero().flatten()
        return 64 - int(heard.min()), int(heard.max()) - 64

    assert reach((1, 1, 1, 1)) == (8, 8)
    assert reach((1, 2, 4, 8)) == (30, 30)


@variants
def test_permuting_the_slots_permutes_what_they_find(config):
    """Slots have no order but the one of their noise, µ and σ; the chord they add up to has none at all."""
    model, x, noise = MusicSlots(config).eval(), chords_like(config), noise_like(config)
    order = torch.tensor([2, 0, 3, 1])
    with torch.no_grad():
        out = model(x, noise)
        for parameter in (model.slot_attention.mu, model.slot_attention.log_sigma):
            parameter.copy_(parameter[order].clone())
        permuted = model(x, noise[:, order])
    torch.testing.assert_close(permuted.slots, out.slots[:, order], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(permuted.slot_db, out.slot_db[:, order], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(permuted.reconstruction_db, out.reconstruction_db, rtol=1e-3, atol=1e-3)


def test_the_noise_decides():
    """The same noise gives the same slots, other noise others."""
    model, x = MusicSlots(TINY).eval(), chords_like(TINY)
    noise = noise_like(TINY)
    assert torch.equal(model(x, noise).slots, model(x, noise).slots)
    assert not torch.allclose(model(x, noise).slots, model(x, noise + 1).slots, atol=1e-3)


@variants
def test_gradients(config):
    """Every parameter gets a gradient, but where the slots start gets none through implicit differentiation."""
    model, x = MusicSlots(config), chords_like(config, batch=4)
    reconstruction_loss(x, model(x)).backward()
    starts = {"slot_attention.mu", "slot_attention.log_sigma"}
    for name, parameter in model.named_parameters():
        if config.implicit and name in starts:
            assert parameter.grad is None, name
        else:
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("attention", ["paper", "reference"])
def test_attention_is_normalised(attention):
    """Paper: a slot's weights over tokens sum to 1. Reference: a token's weights over slots sum to 1."""
    config = replace(TINY, attention=attention)
    weights = MusicSlots(config)(chords_like(config)).attention  # B K N
    assert (weights >= 0).all()
    sums = weights.sum(2 if attention == "paper" else 1)
    torch.testing.assert_close(sums, torch.ones_like(sums), rtol=0, atol=1e-3)
    other = weights.sum(1 if attention == "paper" else 2)
    assert (other - 1).abs().max() > 0.1


@pytest.mark.parametrize("attention", ["paper", "reference"])
def test_attention_by_hand(attention):
    """Two slots of width 4, three tokens: the equations of the specification, term by term."""
    model = MusicSlots(replace(TINY, width=4, slots=2, attention=attention)).slot_attention
    q, k = torch.randn(1, 2, 4), torch.randn(1, 3, 4)
    logits = [[sum(float(q[0, i, d] * k[0, j, d]) for d in range(4)) for j in range(3)] for i in range(2)]
    e = torch.tensor(logits)
    if attention == "paper":
        a = (e / 2).exp() / (e / 2).exp().sum(0, keepdim=True) + 1e-8
        expected = a / a.sum(1, keepdim=True)
    else:
        a = e.exp() / e.exp().sum(1, keepdim=True) / 2
        expected = a / (a + 1e-8).sum(0, keepdim=True)
    torch.testing.assert_close(model.attend(q, k)[0], expected, rtol=1e-4, atol=1e-6)


@masks
def test_masks(config):
    mask = MusicSlots(config)(chords_like(config)).mask
    if config.mask == "none":
        assert torch.equal(mask, torch.ones_like(mask))
    else:
        assert ((mask > 0) & (mask < 1)).all()
    if config.mask == "softmax":
        torch.testing.assert_close(mask.sum(1), torch.ones(2, 32, 16))


@masks
def test_sounds_add_in_power(config):
    """Equation 1 by hand: 10·log10 of the sum over slots of m_k · p_k, floored like the data."""
    out = MusicSlots(config)(chords_like(config))
    total = sum(out.mask[:, k].double() * out.slot_power[:, k].double() for k in range(config.slots))
    db = 10 * torch.log10(total)
    expected = torch.maximum(db, db.amax((1, 2), keepdim=True) - 80)
    torch.testing.assert_close(out.reconstruction_db[:, 0].double(), expected, rtol=1e-4, atol=1e-4)


def test_two_equal_slots_are_3_db_louder_than_one():
    model = MusicSlots(replace(TINY, slots=2)).eval()
    slot = torch.randn(1, 1, 8)
    one, _ = model.decode(slot)
    two, mask = model.decode(slot.expand(1, 2, 8))
    difference_db = 10 * torch.log10((mask * two).sum(1) / one[:, 0])
    torch.testing.assert_close(difference_db, torch.full_like(difference_db, 3.0103), rtol=0, atol=1e-3)


def test_slot_db_is_floored_at_minus_100():
    """Unlike the notes, slots have no floor under their own maximum."""
    power = torch.tensor([1e4, 1.0, 1e-9, 1e-30, 0.0]).view(1, 1, 5, 1)
    out = Decomposition(
        torch.zeros(1, 1, 5, 1), power, torch.ones_like(power), torch.zeros(1, 1, 8), torch.zeros(1, 1, 5)
    )
    torch.testing.assert_close(out.slot_db.flatten(), torch.tensor([40.0, 0.0, -90.0, -100.0, -100.0]))


def test_reconstruction_loss_by_hand():
    x = torch.tensor([[[[0.0, 10.0]]]])
    out = Decomposition(torch.tensor([[[[1.0, 7.0]]]]), *[torch.zeros(1)] * 4)
    assert reconstruction_loss(x, out).item() == pytest.approx((1 + 9) / 2)


def test_db_offset_shifts_input_and_output():
    """With the same weights, a model with offset c makes of x + c what one without makes of x, plus c."""
    plain, shifted = MusicSlots(TINY).eval(), MusicSlots(replace(TINY, db_offset=-30.0)).eval()
    shifted.load_state_dict(plain.state_dict())
    x, noise = chords_like(TINY), noise_like(TINY)
    with torch.no_grad():
        ours, theirs = shifted(x - 30, noise), plain(x, noise)
    torch.testing.assert_close(ours.slots, theirs.slots, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(ours.slot_db, theirs.slot_db - 30, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(ours.reconstruction_db, theirs.reconstruction_db - 30, rtol=1e-3, atol=1e-3)


def test_db_scale_scales_input_and_slots():
    plain, scaled = MusicSlots(TINY).eval(), MusicSlots(replace(TINY, db_scale=30.0)).eval()
    scaled.load_state_dict(plain.state_dict())
    x, noise = torch.rand(2, 1, 32, 16) * 2 - 1, noise_like(TINY)
    with torch.no_grad():
        ours, theirs = scaled(30 * x, noise), plain(x, noise)
    torch.testing.assert_close(ours.slots, theirs.slots, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(ours.slot_db, 30 * theirs.slot_db, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("wrong", [{"mask": "relu"}, {"attention": "papre"}, {"decoder": "transformer"}])
def test_unknown_choices(wrong):
    (name, value), *_ = wrong.items()
    with pytest.raises(ValueError, match=f"{name}='{value}' is none of"):
        MusicSlotsConfig(**wrong)


def test_a_config_read_from_json_equals_the_one_written():
    """JSON has lists where the configuration has tuples."""
    assert MusicSlotsConfig(stride=[1, 2], dilation=[1, 2, 4, 8]) == MusicSlotsConfig(dilation=(1, 2, 4, 8))


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("implicit", [True, False])
def test_the_gradient_of_the_slots_first_values(shared, implicit):
    """Implicit differentiation gives them none; `train_init` does, and changes no number."""
    gradients, outputs = {}, {}
    noise, x = noise_like(TINY), chords_like(TINY)
    for train_init in (False, True):
        torch.manual_seed(0)
        model = MusicSlots(replace(TINY, implicit=implicit, shared_init=shared, train_init=train_init))
        out = model(x, noise)
        reconstruction_loss(x, out).backward()
        gradients[train_init], outputs[train_init] = model.slot_attention.mu.grad, out.reconstruction_db
    assert (gradients[False] is None) == implicit
    assert gradients[True].abs().max() > 0
    torch.testing.assert_close(outputs[True], outputs[False])


def test_shared_first_values_are_one_for_all_slots():
    model = MusicSlots(replace(TINY, shared_init=True))
    assert model.slot_attention.mu.shape == (1, 8)
    same = model(chords_like(TINY), torch.zeros(2, 4, 8)).slots
    torch.testing.assert_close(same, same[:, :1].expand_as(same))  # without noise nothing tells the slots apart


@pytest.mark.parametrize("shared", [True, False])
def test_resized(shared):
    """As many slots as before are the same slots; further ones start where the first ones did."""
    model = MusicSlots(replace(TINY, shared_init=shared)).eval()
    x, noise = chords_like(TINY), noise_like(TINY)
    same = model.resized(4)
    torch.testing.assert_close(same(x, noise).reconstruction_db, model(x, noise).reconstruction_db)
    assert not same.training
    more = model.resized(6, iterations=5)
    twice = torch.cat([noise, noise[:, :2]], dim=1)
    slots = more(x, twice).slots
    assert slots.shape == (2, 6, 8) and more.config.iterations == 5
    torch.testing.assert_close(slots[:, 4:], slots[:, :2])


def test_resizing_leaves_the_random_state_alone():
    model, state = MusicSlots(TINY), torch.random.get_rng_state()
    model.resized(6)
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("attention", ["paper", "reference"])
def test_overfits_one_batch(bank, attention):
    """Eight real chords, 200 steps: from over 500 dB² to under 100, and to under what the chords' mean would score."""
    data = ChordSpectrograms(examples("JazzNet-single").train[:8], bank, frames=16)
    config = MusicSlotsConfig(
        frames=16, channels=16, width=32, slots=3, attention=attention, decoder="mlp", db_offset=-30.0, db_scale=30.0
    )
    model, x = MusicSlots(config), data.batch(torch.arange(8))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    losses = []
    for _ in range(200):
        loss = reconstruction_loss(x, model(x))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 500
    assert sum(losses[-10:]) / 10 < min(100, (x - x.mean(0)).square().mean().item())
