"""The diffusion of rolls: its moments, its schedules, its samplers, guidance and masks."""

import math

import pytest
import torch

from musiclib.diffroll import evaluation
from musiclib.diffroll.diffusion import (
    SAMPLERS,
    SCHEDULES,
    Diffusion,
    Guided,
    cumulative_alphas,
    discriminate,
    dropped,
)
from musiclib.diffroll.evaluation import Sampling
from musiclib.diffroll.mel import heard, log_mel, normalised
from musiclib.diffroll.model import BANDS, MASKED, DiffRoll, DiffRollConfig
from musiclib.training import autocast

FRAMES = 40


@pytest.fixture(scope="module")
def model() -> DiffRoll:
    torch.manual_seed(1)
    model = DiffRoll(DiffRollConfig(width=8, layers=3, kernel=3))
    torch.nn.init.normal_(model.output_projection.weight, std=0.3)  # it starts at zero, and would predict nothing
    return model.eval()


@pytest.fixture
def x0() -> torch.Tensor:
    return (torch.rand(2, 88, FRAMES) < 0.1).float()


@pytest.fixture
def mel() -> torch.Tensor:
    return torch.rand(2, BANDS, FRAMES)


# ------------------------------------------------------------------------------------------- the forward process


@pytest.mark.parametrize("t", [0, 50, 199])
def test_q_sample_has_the_mean_and_variance_of_equation_1(t):
    diffusion = Diffusion()
    x0 = torch.full((400, 88, 20), 0.7)
    x_t = diffusion.q_sample(x0, torch.full((400,), t), torch.randn_like(x0))
    alpha_bar = float(diffusion.alpha_bar[t])
    standard_error = math.sqrt((1 - alpha_bar) / x0.numel())
    assert float(x_t.mean()) == pytest.approx(0.7 * math.sqrt(alpha_bar), abs=5 * standard_error)
    assert float(x_t.var()) == pytest.approx(1 - alpha_bar, rel=0.01)


def test_each_item_has_its_own_step(x0):
    diffusion, noise = Diffusion(), torch.randn_like(x0)
    x_t = diffusion.q_sample(x0, torch.tensor([3, 150]), noise)
    for item, t in enumerate((3, 150)):
        alone = diffusion.q_sample(x0[item : item + 1], torch.tensor([t]), noise[item : item + 1])
        assert torch.equal(x_t[item : item + 1], alone)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_only_lose_signal(schedule):
    alpha_bar = cumulative_alphas(schedule, 200)
    assert len(alpha_bar) == 200 and (alpha_bar.diff() < 0).all()
    assert alpha_bar[0] > 0.99 and alpha_bar[-1] >= 0


def test_what_the_schedules_leave_at_the_end():
    assert float(cumulative_alphas("linear", 200)[-1]) == pytest.approx(0.13, abs=0.005)
    assert float(cumulative_alphas("zero-snr", 200)[-1]) == 0
    assert float(cumulative_alphas("cosine", 200)[-1]) == pytest.approx(0, abs=1e-4)
    linear, stretched = (cumulative_alphas(name, 200)[0] for name in ("linear", "zero-snr"))
    assert float(stretched) == pytest.approx(float(linear), rel=1e-6)
    with pytest.raises(ValueError, match="'square' is no noise schedule: choose of linear"):
        Diffusion("square")


# ------------------------------------------------------------------------------------------------- the way back


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("calls", [1, 2, 7, 200])
def test_a_perfect_predictor_gives_the_roll_back(schedule, sampler, calls, x0):
    diffusion = Diffusion(schedule)
    asked = []

    def oracle(x_t, t):
        asked.append(t)
        return x0

    found = diffusion.sample(oracle, torch.randn_like(x0), calls, sampler)
    assert torch.allclose(found, x0, atol=1e-3)  # it is x̂_0 / √ᾱ_0, as published
    assert len(asked) == calls and asked[0] == 199 and asked == sorted(asked, reverse=True)


def test_ddim_in_all_steps_ends_where_the_forward_process_began(x0):
    """With the true noise known, every DDIM step lands on the forward process itself."""
    diffusion, noise = Diffusion(), torch.randn_like(x0)
    for moment in diffusion.moments(
        lambda x_t, t: x0, diffusion.q_sample(x0, torch.tensor([199, 199]), noise), 20, "ddim"
    ):
        if moment.t >= 0:
            assert torch.allclose(moment.x_t, diffusion.q_sample(x0, torch.full((2,), moment.t), noise), atol=1e-4)


def test_ddpm_keeps_the_variance_of_the_forward_process():
    diffusion, x0 = Diffusion(), torch.zeros(200, 88, 10)
    x_t = diffusion.q_sample(x0, torch.full((200,), 120), torch.randn_like(x0))
    x_s = diffusion.step(x_t, x0, 120, 60, torch.randn_like(x0))
    assert float(x_s.var()) == pytest.approx(1 - float(diffusion.alpha_bar[60]), rel=0.01)


def test_dpm_solver_is_exact_where_the_prediction_is_linear_in_log_snr():
    """Second order: for a predictor that is a straight line in λ, few steps come closer to many than DDIM's do."""
    diffusion = Diffusion()

    def predict(x_t, t):
        return torch.full_like(x_t, 0.1 * diffusion.log_snr(t))

    start = torch.randn(1, 88, 10, generator=torch.Generator().manual_seed(0))
    many = diffusion.sample(predict, start, 200, "ddim")
    errors = {s: float((diffusion.sample(predict, start, 10, s) - many).abs().max()) for s in ("ddim", "dpm++")}
    middle = {}
    for sampler, calls in (("ddim", 200), ("ddim", 10), ("dpm++", 10)):
        moments = list(diffusion.moments(predict, start, calls, sampler))
        middle[sampler, calls] = next(m.x_t for m in moments if m.t == 19)
    exact = middle["ddim", 200]
    assert (middle["dpm++", 10] - exact).abs().max() < 0.3 * (middle["ddim", 10] - exact).abs().max()
    assert all(math.isfinite(error) for error in errors.values())


def test_a_sampler_tells_what_it_cannot_do(x0):
    diffusion = Diffusion()
    for calls in (0, 201):
        with pytest.raises(ValueError, match=f"1 to 200 steps, not {calls}"):
            diffusion.sample(lambda x_t, t: x0, x0, calls, "ddim")
    with pytest.raises(ValueError, match="'euler' is no sampler: choose of ddpm, ddim"):
        diffusion.sample(lambda x_t, t: x0, x0, 5, "euler")


# --------------------------------------------------------------------------------------------- guidance and masks


def test_guidance_is_a_straight_line_through_both_predictions(model, mel):
    x_t = torch.randn(2, 88, FRAMES)
    condition = model.condition(mel)
    with torch.no_grad():
        deaf, hearing, guided = (Guided(model, condition, w)(x_t, 100) for w in (-1.0, 0.0, 0.5))
    assert torch.allclose(guided, 1.5 * hearing - 0.5 * deaf, atol=1e-5)
    assert not torch.allclose(hearing, deaf, atol=1e-3)


def test_guidance_on_a_part_of_the_schedule(model, mel):
    x_t, condition = torch.randn(2, 88, FRAMES), model.condition(mel)
    part, always, never = (
        Guided(model, condition, w, interval) for w, interval in ((0.5, (0, 99)), (0.5, None), (0.0, None))
    )
    with torch.no_grad():
        assert torch.equal(part(x_t, 99), always(x_t, 99)) and torch.equal(part(x_t, 100), never(x_t, 100))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_without_weight_on_what_is_heard_the_audio_does_not_matter(model, mel, sampler):
    deaf = Sampling(4, sampler, -1.0)
    one, other = (evaluation.transcribe(model, audio, deaf) for audio in (mel, torch.rand_like(mel)))
    assert torch.equal(one, other)
    hearing = Sampling(4, sampler, 0.0)
    one, other = (evaluation.transcribe(model, audio, hearing) for audio in (mel, torch.rand_like(mel)))
    assert not torch.allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_seed_is_one_transcription(model, mel, sampler):
    found = [evaluation.transcribe(model, mel, Sampling(5, sampler, 0.5, seed=seed)) for seed in (3, 3, 4)]
    assert torch.equal(found[0], found[1]) and not torch.allclose(found[0], found[2], atol=1e-3)


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_masked_frames_do_not_depend_on_the_masked_audio(model, weight):
    listen = torch.ones(1, 1, 60, dtype=torch.bool)
    listen[..., 20:40] = False
    wave = torch.randn(1, 60 * 512)
    other = wave.clone()
    inside = slice(22 * 512 + 1024, 37 * 512 - 1024)  # a window reaches 1024 samples to either side of its centre
    other[:, inside] = 3 * torch.randn(1, inside.stop - inside.start)
    one, two = (
        evaluation.transcribe(model, normalised(log_mel(audio), listen), Sampling(4, weight=weight))
        for audio in (wave, other)
    )
    assert torch.equal(one, two)
    assert not torch.allclose(*(evaluation.transcribe(model, heard(a), Sampling(4)) for a in (wave, other)), atol=1e-3)


def test_condition_dropout_masks_whole_items():
    mel = torch.rand(2000, BANDS, 2)
    masked = (dropped(mel, 0.1) == MASKED).all((1, 2))
    assert 0.07 < float(masked.float().mean()) < 0.13
    assert torch.equal(dropped(mel, 0.0), mel) and (dropped(mel, 1.0) == MASKED).all()


def test_the_loss_is_the_mean_squared_error_of_equation_3(model, x0, mel):
    diffusion = Diffusion()
    torch.manual_seed(5)
    loss = diffusion.loss(model, x0, mel)
    torch.manual_seed(5)
    t = torch.randint(200, (2,))
    by_hand = ((model(diffusion.q_sample(x0, t, torch.randn_like(x0)), t, mel) - x0) ** 2).mean()
    assert torch.equal(loss, by_hand)


def test_the_twin_sees_no_noise_and_answers_in_one_call(mel):
    twin = DiffRoll(DiffRollConfig(width=8, layers=2, discriminative=True)).eval()
    torch.nn.init.normal_(twin.output_projection.weight)
    with torch.no_grad():
        expected = twin(torch.zeros(2, 88, FRAMES), torch.zeros(2, dtype=torch.long), mel)
        assert torch.equal(discriminate(twin, mel, 88), expected)
        with autocast(mel.device):  # as `transcribe` does, where there is mixed precision
            expected = twin(torch.zeros(2, 88, FRAMES), torch.zeros(2, dtype=torch.long), mel).float()
    for sampling in (Sampling(3), Sampling(200, "ddpm", 0.5, seed=9)):
        assert torch.equal(evaluation.transcribe(twin, mel, sampling), expected)
