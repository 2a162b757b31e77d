"""DiffRoll's network: shapes, sizes, what depends on what."""

import pytest
import torch

from musiclib import checkpoints
from musiclib.diffroll.model import BANDS, MASKED, DiffRoll, DiffRollConfig

SMALL = DiffRollConfig(width=8, layers=5, kernel=3)


@pytest.fixture(autouse=True)
def _inference():
    with torch.no_grad():
        yield


def awake(config: DiffRollConfig = SMALL) -> DiffRoll:
    """A network whose last layer is not zero."""
    model = DiffRoll(config).eval()
    torch.nn.init.normal_(model.output_projection.weight)
    return model


@pytest.mark.parametrize(("kernel", "millions", "frames"), [(9, 86.8, 121), (3, 39.6, 31)])
def test_the_papers_sizes(kernel, millions, frames):
    with torch.device("meta"):
        model = DiffRoll(DiffRollConfig(kernel=kernel))
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)
    assert model.receptive_frames == frames


@pytest.mark.parametrize(
    "changes", [{}, {"kernel": 9}, {"dilation": 2}, {"planes": 2}, {"layers": 1}], ids=lambda changes: str(changes)
)
def test_any_length_comes_out_as_it_went_in(changes):
    model = awake(DiffRollConfig(**({"width": 8, "layers": 5, "kernel": 3} | changes)))
    for frames in (1, 7, 64):
        x = torch.randn(2, model.channels, frames)
        assert model(x, torch.tensor([0, 199]), torch.rand(2, BANDS, frames)).shape == x.shape


@pytest.mark.parametrize("dilation", [1, 2])
def test_a_frame_depends_on_what_is_within_its_reach_only(dilation):
    model = awake(DiffRollConfig(width=8, layers=5, kernel=3, dilation=dilation))
    reach = (model.receptive_frames - 1) // 2
    assert reach == {1: 5, 2: 1 + 2 + 4 + 8 + 1}[dilation]
    frames = 2 * reach + 9
    x, mel, t = torch.randn(1, 88, frames), torch.rand(1, BANDS, frames), torch.tensor([7])
    before = model(x, t, mel)
    x[..., 0] += 1
    changed = (model(x, t, mel) != before).any(1)[0]
    assert changed[: reach + 1].any() and not changed[reach + 1 :].any()


def test_the_condition_is_the_same_computed_once_or_every_time():
    model = awake()
    x, mel, t = torch.randn(2, 88, 30), torch.rand(2, BANDS, 30), torch.tensor([5, 150])
    assert torch.equal(model(x, t, mel), model.denoise(x, t, model.condition(mel)))
    masked = torch.full_like(mel, MASKED)
    assert torch.allclose(model(x, t, masked), model.denoise(x, t, model.unconditional(2)), atol=1e-4)


def test_it_begins_by_predicting_nothing():
    model = DiffRoll(SMALL)
    out = model(torch.randn(1, 88, 9), torch.tensor([3]), torch.rand(1, BANDS, 9))
    assert torch.equal(out, model.output_projection.bias[None, :, None].expand_as(out))


def test_a_gradient_reaches_every_parameter():
    with torch.enable_grad():
        model = awake()
        model(torch.randn(2, 88, 12), torch.tensor([3, 90]), torch.rand(2, BANDS, 12)).square().mean().backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == ["residual_layers.4.output_projection.weight"] or not silent


def test_steps_are_told_apart():
    model = awake()
    x, mel = torch.randn(1, 88, 9).expand(3, -1, -1), torch.rand(1, BANDS, 9).expand(3, -1, -1)
    out = model(x, torch.tensor([0, 1, 199]), mel)
    assert not torch.allclose(out[0], out[1], atol=1e-4) and not torch.allclose(out[0], out[2], atol=1e-4)


def test_weights_survive_a_file_and_refuse_another_network(tmp_path):
    model = awake()
    checkpoints.save_weights(tmp_path / "m.safetensors", model, {})
    other = checkpoints.load_weights(tmp_path / "m.safetensors", DiffRoll(SMALL))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    with pytest.raises(checkpoints.CheckpointError, match="kernel=3, not 9"):
        checkpoints.load_weights(tmp_path / "m.safetensors", DiffRoll(DiffRollConfig(width=8, layers=5)))


def test_it_learns_one_batch_by_heart():
    with torch.enable_grad():
        model = DiffRoll(DiffRollConfig(width=24, layers=3, kernel=3))
        x0, mel = (torch.rand(2, 88, 16) < 0.1).float(), torch.rand(2, BANDS, 16)
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        for _ in range(300):
            loss = (model(torch.randn_like(x0), torch.tensor([199, 199]), mel) - x0).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert loss < 0.01 < x0.var() / 5
