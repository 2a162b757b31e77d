"""The bar VAE, the query through the channel, and what is measured of it."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from musiclib.improvise import dynamics, tonality
from musiclib.improvise.bars import INPUTS, KEYS, LOWEST, STEPS, frames
from musiclib.improvise.evaluation import reconstruction
from musiclib.improvise.query import Channel, Source, free, improvise, send
from musiclib.improvise.vae import BarVAE, BarVAEConfig
from musiclib.pianoroll import Note, PianoRoll
from musiclib.posterior import Posterior


@pytest.fixture
def posterior():
    generator = torch.Generator().manual_seed(0)
    return Posterior(
        torch.randn(40, 8, generator=generator) * torch.arange(8), 0.1 + torch.rand(40, 8, generator=generator)
    )


@pytest.fixture
def model():
    torch.manual_seed(0)
    return BarVAE(BarVAEConfig(hidden=16, latent=8))


@pytest.fixture
def query():
    return torch.randint(0, 2, (5, INPUTS), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def chords(*bars: tuple[int, ...]) -> np.ndarray:
    """Each bar one chord, (B, 2496)."""
    notes = [Note(2.0 * number, 2.0, pitch) for number, pitches in enumerate(bars) for pitch in pitches]
    return frames(PianoRoll.from_notes(notes)).reshape(-1, INPUTS)


def test_loss_parts(model, query):
    """D of a decoder that knows nothing is ln 2 a bit; R of the prior itself is 0."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    distortion, rate = model(query)
    torch.testing.assert_close(distortion, torch.full((5,), INPUTS * math.log(2)))
    assert not rate.any()


def test_encoder_and_decoder_are_the_papers():
    model = BarVAE(BarVAEConfig())
    sizes = [tuple(p.shape) for name, p in model.named_parameters() if name.endswith("weight")]
    assert sizes == [(500, 2496), (500, 500), (500, 500), (500, 500), (2496, 500)]


def test_play_takes_what_is_above_the_threshold(model):
    z = torch.randn(3, 8)
    probability = model.decode(z).sigmoid()
    for threshold in (0.5, 0.7):
        assert torch.equal(model.play(z, threshold), (probability > threshold).to(torch.uint8))


@pytest.mark.parametrize("allocation", ["average", "frame"])
@pytest.mark.parametrize("source", ["piece", "corpus"])
def test_limits_of_the_rate(posterior, source, allocation):
    corpus = Source(torch.full((1, 8), 0.5), torch.full((1, 8), 2.0))
    settings = Channel(0, source, allocation)
    nothing = send(posterior, settings, corpus).received
    mean = posterior.mu.mean(0) if source == "piece" else corpus.mean[0]
    torch.testing.assert_close(nothing, mean.expand_as(nothing))
    everything = send(posterior, replace(settings, bits=math.inf), corpus)
    assert torch.equal(everything.received, posterior.mu) and torch.equal(everything.sent, posterior.mu)


def test_the_papers_formula_loses_nothing_but_noise(posterior):
    """With 0 bits µ(x) itself arrives, with many the encoder's sample."""
    assert torch.equal(send(posterior, Channel(0, "bar")).received, posterior.mu)
    many = send(posterior, Channel(math.inf, "bar"))
    assert torch.equal(many.received, many.sent) and not torch.equal(many.sent, posterior.mu)


@pytest.mark.parametrize("made_up", [False, True])
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("allocation", ["average", "frame"])
def test_each_bar_is_sent_with_so_many_bits(posterior, allocation, whole, made_up):
    rate = send(posterior, Channel(20, "piece", allocation, whole, made_up)).rate
    torch.testing.assert_close(rate.sum(1), torch.full((40,), 20.0), atol=1e-3, rtol=0)
    assert (rate == rate[0]).all() == (allocation == "average")


def test_what_is_lost_is_the_distortion(posterior):
    """Latent by latent, as a mean squared error; made up, it is lost twice, and the variance is whole."""
    many = Posterior(posterior.mu.repeat(300, 1), posterior.sigma.repeat(300, 1))
    variance = posterior.mu.var(0, correction=0)
    for made_up, factor in ((False, 1.0), (True, 2.0)):
        sent = send(many, Channel(12, made_up=made_up))
        distortion = variance * torch.exp2(-2 * sent.rate[0])
        error = (sent.received - sent.sent).square().mean(0)
        torch.testing.assert_close(error, factor * distortion, rtol=0.1, atol=1e-6)
    torch.testing.assert_close(sent.received.var(0), variance, rtol=0.1, atol=1e-6)


def test_more_bits_less_error(posterior):
    def error(bits: int, seed: int) -> float:
        sent = send(posterior, Channel(bits), seed=seed)
        return (sent.received - sent.sent).square().mean().item()

    errors = [np.mean([error(bits, seed) for seed in range(8)]) for bits in (0, 4, 8, 16, 32, 64)]
    assert (np.diff(errors) < 0).all()


def test_the_same_seed_the_same_improvisation(model, query):
    one, again, other = (improvise(model, query, Channel(3), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert one.shape == query.shape and one.dtype == torch.uint8
    assert torch.equal(free(model, 4, seed=1), free(model, 4, seed=1)) and len(free(model, 4)) == 4


@pytest.mark.parametrize("fields", [{"source": "song"}, {"allocation": "none"}, {"bits": -1}, {"bits": float("nan")}])
def test_wrong_channels(fields):
    with pytest.raises(ValueError):
        Channel(**fields)


def test_a_corpus_must_be_given(posterior):
    with pytest.raises(ValueError, match="corpus"):
        send(posterior, Channel(1, "corpus"))


def test_reconstruction_of_a_model_that_plays_nothing(model, query):
    with torch.no_grad():
        model.decoder[-1].bias.fill_(-50)
    scores = reconstruction(model, query)
    assert scores["note_f1"] == 0 and scores["bars"] == 5
    assert scores["loss"] == pytest.approx(scores["distortion"] + scores["rate"], rel=1e-5)


def test_chroma_counts_steps_over_octaves():
    heard = tonality.chroma(chords((60, 72, 67)))
    assert heard.shape == (1, 12) and heard[0, 0] == 2 * STEPS and heard[0, 7] == STEPS and heard.sum() == 3 * STEPS
    assert LOWEST % 12 == 0 and KEYS == 78


def test_tonality_by_hand():
    c, g = chords((60, 64, 67)), chords((67, 71, 74))
    assert tonality.tonnetz_distance(c, c).tolist() == [0.0]
    assert tonality.tonnetz_distance(c, chords((66, 70, 73))) > tonality.tonnetz_distance(c, g) > 0
    assert np.isnan(tonality.tonnetz_distance(c, np.zeros_like(c))).all()
    assert tonality.note_f1(c, c) == 1 and tonality.note_f1(c, chords((60, 65, 69))) == pytest.approx(1 / 3)
    assert tonality.note_f1(c, np.zeros_like(c)) == 0
    assert tonality.pitch_class_entropy(chords((60, 72))) == 0
    assert tonality.pitch_class_entropy(chords(tuple(range(60, 72)))) == pytest.approx(math.log2(12))
    assert np.isnan(tonality.pitch_class_entropy(np.zeros((1, INPUTS))))


@pytest.mark.parametrize("tonic", range(12))
def test_keys(tonic):
    """Tonic, subdominant, dominant, tonic."""
    cadence = [(0, 4, 7), (5, 9, 12), (7, 11, 14), (0, 4, 7)]
    key, clarity = tonality.key_clarity(chords(*(tuple(60 + tonic + p for p in chord) for chord in cadence)))
    assert key == f"{tonality.PITCH_CLASSES[tonic]} major" and clarity > 0.8
    assert tonality.key_clarity(np.zeros((1, INPUTS)))[0] == "none"


def test_sweep(model, query):
    found = dynamics.sweep(model, query, (0, 8, math.inf), seeds=(0, 1, 2))
    assert {values.shape for values in found.values()} == {(3, 3)}
    assert found["information_rate"][0].tolist() == [0, 0, 0], "one frame again and again tells nothing new"
    mean, half = dynamics.interval(found["distortion"])
    assert mean[2] == pytest.approx(found["distortion"][2, 0]) and half[2] == pytest.approx(0, abs=1e-6)


def test_intervals_of_few_are_wide():
    """Two values: t with one degree of freedom is 12.7."""
    mean, half = dynamics.interval(np.array([[1.0, 3.0], [5.0, np.nan], [np.nan, np.nan]]))
    assert mean[:2].tolist() == [2, 5] and np.isnan(mean[2])
    assert half[0] == pytest.approx(12.706, abs=1e-3) and np.isnan(half[1:]).all()
