"""The training loop: schedule, order of examples, and runs that are cut, killed or damaged."""

import math
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from musiclib.checkpoints import CheckpointError, load_weights, read_metadata
from musiclib.musicslots import experiments
from musiclib.musicslots.chords import examples
from musiclib.musicslots.data import ChordSpectrograms
from musiclib.musicslots.model import MusicSlots, MusicSlotsConfig, reconstruction_loss
from musiclib.training import TrainingConfig, autocast, fit, precision_of, shuffled_index

MODEL = MusicSlotsConfig(frames=8, channels=4, width=8, slots=3, decoder="mlp", db_offset=-30.0, db_scale=30.0)
CONFIG = TrainingConfig(steps=12, batch=4, learning_rate=1e-3, warmup=3, evaluate_every=5)


@pytest.fixture(scope="module")
def data(bank):
    return ChordSpectrograms(examples("JazzNet-single").train[:20], bank, frames=MODEL.frames)


def fresh_model():
    torch.manual_seed(0)
    return MusicSlots(MODEL)


def loss_on(data):
    def loss(model, index, step):
        x = data.batch(index)
        return reconstruction_loss(x, model(x))

    return loss


def train(data, run=None, config=CONFIG, model=None, **options):
    """A small but real run: chords, slots with their random starts, mixed precision where the machine has it."""
    model = model or fresh_model()
    return model, fit(model, loss_on(data), len(data), config, run=run, progress=False, **options)


def assert_same_weights(a, b):
    for name, tensor in a.state_dict().items():
        assert torch.equal(tensor, b.state_dict()[name]), name


# ---------------------------------------------------------------------------------------------------- the schedule


def test_learning_rate_at_known_steps():
    """Linear warm-up times a half cosine, by hand."""
    config = TrainingConfig(steps=100, learning_rate=2.0, warmup=10)
    assert config.learning_rate_at(0) == pytest.approx(2 * 0.1)
    assert config.learning_rate_at(4) == pytest.approx(2 * 0.5 * 0.5 * (1 + math.cos(math.pi * 0.04)))
    assert config.learning_rate_at(50) == pytest.approx(1.0)
    assert config.learning_rate_at(100) == pytest.approx(0.0)
    assert replace(config, warmup=0).learning_rate_at(0) == 2.0


def test_the_papers_schedule_never_reaches_zero():
    """10k of warm-up, cosine over 500k of which 100k are run: at the end (1 + cos(π/5)) / 2 = 0.905 of the peak."""
    paper = experiments.TRAINING["slots"]["paper"]
    assert (paper.steps, paper.batch, paper.clip_norm) == (100_000, 32, 1.0)
    assert paper.learning_rate_at(0) == pytest.approx(1e-8)
    assert paper.learning_rate_at(9_999) == pytest.approx(1e-4, rel=1e-3)
    assert paper.learning_rate_at(100_000) == pytest.approx(0.9045e-4, rel=1e-3)


# ---------------------------------------------------------------------------------------------- order of examples


@given(per_epoch=st.integers(1, 12), batch=st.integers(1, 9), epoch=st.integers(0, 5), seed=st.integers(0, 99))
def test_every_epoch_is_a_permutation(per_epoch, batch, epoch, seed):
    steps = range(epoch * per_epoch, (epoch + 1) * per_epoch)
    seen = torch.cat([shuffled_index(per_epoch * batch, batch, step, seed) for step in steps])
    assert sorted(seen.tolist()) == list(range(per_epoch * batch))


@given(examples=st.integers(1, 60), batch=st.integers(1, 20), step=st.integers(0, 200), seed=st.integers(0, 9))
def test_shuffled_index_is_stateless(examples, batch, step, seed):
    """A step's examples depend on the step alone, not on what was drawn before; always a full batch, in range."""
    first = shuffled_index(examples, batch, step, seed)
    shuffled_index(examples, batch, step + 1, seed)
    assert torch.equal(first, shuffled_index(examples, batch, step, seed))
    assert first.shape == (batch,)
    assert first.min() >= 0
    assert first.max() < examples
    if batch <= examples:
        assert len(set(first.tolist())) == batch


def test_epochs_and_seeds_differ():
    def epoch(number, seed):
        return torch.cat([shuffled_index(32, 8, 4 * number + place, seed) for place in range(4)]).tolist()

    assert len({tuple(epoch(number, seed)) for number in range(3) for seed in range(3)}) == 9


# ------------------------------------------------------------------------------------------------------------ runs


def test_history(data):
    """One loss for every step, scores at every fifth step and the last, and the time it took."""
    _, history = train(data, evaluate=lambda model: {"miou": 0.5, "note_mse": 7.0})
    assert len(history.loss) == 12
    assert all(math.isfinite(loss) for loss in history.loss)
    assert [scores["step"] for scores in history.scores] == [5, 10, 12]
    assert history.scores[0] == {"step": 5, "miou": 0.5, "note_mse": 7.0}
    assert history.finished
    assert history.wall_s > 0


def test_a_run_learns(data):
    _, history = train(data, config=replace(CONFIG, steps=60, learning_rate=5e-3, clip_norm=100.0))
    assert sum(history.loss[-10:]) < 0.5 * sum(history.loss[:10])


def test_the_same_seed_gives_the_same_run_and_another_another(data):
    (a, first), (b, second) = train(data), train(data)
    assert first.loss == second.loss
    assert_same_weights(a, b)
    _, other = train(data, config=replace(CONFIG, seed=1))
    assert other.loss != first.loss


def test_the_global_random_state_does_not_matter(data):
    """Step n draws from (seed, n) alone."""
    _, first = train(data)
    model = fresh_model()
    torch.manual_seed(12345)
    _, second = train(data, model=model)
    assert first.loss == second.loss


@pytest.mark.parametrize("scores", [(0.1, 0.9, 0.5), (0.9, 0.5, 0.1), (0.1, 0.5, 0.9)])
def test_the_best_weights_are_kept(data, tmp_path, scores):
    """best.safetensors holds the weights of the evaluation with the highest score."""
    snapshots, given_scores = [], iter(scores)

    def evaluate(model):
        snapshots.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return {"miou": next(given_scores)}

    train(data, tmp_path, evaluate=evaluate)
    best = load_weights(tmp_path / "best.safetensors", fresh_model())
    for name, tensor in snapshots[scores.index(max(scores))].items():
        assert torch.equal(best.state_dict()[name], tensor)
    _, about = read_metadata(tmp_path / "best.safetensors")
    assert about["scores"]["miou"] == max(scores)


def test_gradients_are_clipped(data):
    """The first loss is before any step; after that the limit shows."""
    _, clipped = train(data, config=replace(CONFIG, clip_norm=1e-3))
    _, free = train(data, config=replace(CONFIG, clip_norm=None))
    assert clipped.loss[0] == free.loss[0]
    assert clipped.loss != free.loss


# ------------------------------------------------------------------------------------------- cut, killed, resumed


def test_a_run_cut_by_its_budget_and_resumed_is_the_same_run(data, tmp_path):
    """Budget 0 stops after every step: twelve calls walk the curve that one call walks."""

    def evaluate(model):
        return {"miou": -float(sum(parameter.detach().abs().sum() for parameter in model.parameters()))}

    whole_model, whole = train(data, tmp_path / "whole", evaluate=evaluate)
    for call in range(1, 13):
        model, history = train(data, tmp_path / "cut", evaluate=evaluate, budget_s=0)
        assert len(history.loss) == call
        assert history.finished == (call == 12)
    assert history.loss == whole.loss
    assert history.scores == whole.scores
    assert_same_weights(model, whole_model)
    best = [load_weights(tmp_path / name / "best.safetensors", fresh_model()) for name in ("whole", "cut")]
    assert_same_weights(*best)


def test_a_finished_run_is_not_trained_again(data, tmp_path):
    model, history = train(data, tmp_path)
    again, repeated = train(data, tmp_path)
    assert repeated.loss == history.loss
    assert_same_weights(model, again)


KILLED = """
import torch
from pathlib import Path
from musiclib.synth import NoteBank
from musiclib.checkpoints import CheckpointError, load_weights, read_metadata
from musiclib.musicslots import experiments
from musiclib.musicslots.chords import examples
from musiclib.musicslots.data import ChordSpectrograms
from musiclib.musicslots.model import MusicSlots, MusicSlotsConfig, reconstruction_loss
from musiclib.training import TrainingConfig, fit

torch.set_num_threads(1)
model_config, training_config = eval({configs!r})
data = ChordSpectrograms(examples("JazzNet-single").train[:20], NoteBank.load(), frames=model_config.frames)
torch.manual_seed(0)

def loss(model, index, step):
    x = data.batch(index)
    return reconstruction_loss(x, model(x))

fit(MusicSlots(model_config), loss, len(data), training_config,
    run=Path({run!r}), progress=False, save_every_s=0.0)
"""


@pytest.mark.slow
def test_a_killed_run_resumed_is_the_same_run(data, tmp_path):
    """SIGKILL at any moment, here while it saves after every step; the next call goes on from the last save."""
    config = replace(CONFIG, steps=200)
    script = KILLED.format(configs=repr((MODEL, config)), run=str(tmp_path / "killed"))
    process = subprocess.Popen([sys.executable, "-c", script])
    last = tmp_path / "killed" / "last.pt"
    for _ in range(6000):
        if last.exists() or process.poll() is not None:
            break
        time.sleep(0.01)
    assert process.poll() is None, "it should still be training"
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(torch.load(last, weights_only=True)["history"]["loss"])
    assert 0 < done < 200

    budget = {"save_every_s": math.inf}
    resumed, history = train(data, tmp_path / "killed", config, **budget)
    whole, uninterrupted = train(data, config=config, **budget)
    assert len(history.loss) == 200
    assert history.loss == uninterrupted.loss
    assert_same_weights(resumed, whole)


# ------------------------------------------------------------------------------------------- a batch in parts


def test_a_step_in_parts_is_the_mean_of_its_parts(data):
    """Part p has every third example from the p-th on and noise of its own; their gradients are averaged. By hand."""
    config = replace(CONFIG, steps=1, batch=6, clip_norm=None)
    seen, states, grads = [], [], []

    def loss(model, index, step):
        seen.append(index.tolist())
        states.append(torch.random.get_rng_state())
        x = data.batch(index)
        value = reconstruction_loss(x, model(x))
        grads.append(value.detach())
        return value

    history = fit(fresh_model(), loss, len(data), config, parts=3, progress=False)
    whole = shuffled_index(len(data), 6, 0, config.seed).tolist()
    assert seen == [whole[0::3], whole[1::3], whole[2::3]]
    assert len({tuple(state.tolist()) for state in states}) == 3
    assert history.loss[0] == pytest.approx(float(sum(grads)) / 3, rel=1e-6)
    assert history.parts == 3


def test_parts_average_gradients():
    """Where there is no noise, the parts' gradients add up to the batch's own."""

    @dataclass(frozen=True)
    class Nothing:
        pass

    inputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    gradients = []
    for parts in (1, 2, 4):
        torch.manual_seed(0)
        model = nn.Linear(3, 1)
        model.config = Nothing()
        added = []
        model.weight.register_post_accumulate_grad_hook(lambda weight, added=added: added.append(weight.grad.clone()))
        fit(
            model, lambda model, index, step: (inputs[index] @ model.weight.T).square().mean(), 8,
            TrainingConfig(steps=1, batch=8), parts=parts, progress=False,
        )  # fmt: skip
        assert len(added) == parts
        gradients.append(added[-1])
    for other in gradients[1:]:
        torch.testing.assert_close(other, gradients[0])


def test_a_run_goes_on_in_the_parts_it_began_with(data, tmp_path):
    _, whole = train(data, tmp_path / "whole", parts=2)
    train(data, tmp_path / "cut", parts=2, budget_s=0)
    _, history = train(data, tmp_path / "cut")
    assert (history.loss, history.parts) == (whole.loss, 2)
    assert history.loss != train(data)[1].loss
    with pytest.raises(CheckpointError, match=r"belongs to a run with parts=2, not 4: choose another folder"):
        train(data, tmp_path / "cut", parts=4)


def test_parts_divide_the_batch(data):
    with pytest.raises(ValueError, match="A batch of 4 does not fall into 3 equal parts"):
        train(data, parts=3)


# -------------------------------------------------------------------------------------------- damaged checkpoints


@pytest.fixture
def run(data, tmp_path):
    """A run that stopped after one step."""
    train(data, tmp_path, budget_s=0)
    return tmp_path


def test_a_run_of_another_configuration(data, run):
    with pytest.raises(CheckpointError, match=r"learning_rate=0\.001, not 0\.1") as caught:
        train(data, run, replace(CONFIG, learning_rate=0.1))
    assert str(run / "last.pt") in str(caught.value)


def test_a_run_of_another_model(data, run):
    with pytest.raises(CheckpointError) as caught:
        train(data, run, model=MusicSlots(replace(MODEL, slots=5)))
    assert str(run / "last.pt") in str(caught.value)


@pytest.mark.parametrize("damage", [
    lambda content: b"",
    lambda content: content[: len(content) // 2],
    lambda content: content[:-1],
    lambda content: b"not a checkpoint at all",
    lambda content: content[:100] + bytes(len(content) - 100),
], ids=["empty", "half", "last byte missing", "text", "zeros"])  # fmt: skip
def test_a_damaged_run(data, run, damage):
    last = run / "last.pt"
    last.write_bytes(damage(last.read_bytes()))
    with pytest.raises(CheckpointError, match=r"is damaged.*delete it to start again") as caught:
        train(data, run)
    assert str(last) in str(caught.value)


@pytest.mark.parametrize("lost", ["training", "model", "optimizer", "history"])
def test_a_run_with_a_part_missing(data, run, lost):
    state = torch.load(run / "last.pt", weights_only=True)
    del state[lost]
    torch.save(state, run / "last.pt")
    with pytest.raises(CheckpointError) as caught:
        train(data, run)
    assert str(run / "last.pt") in str(caught.value)


class Intruder:
    """Unpickling it would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_code_in_a_checkpoint_is_refused_and_not_run(data, run):
    trace = run / "executed"
    pickle.loads(pickle.dumps(Intruder(str(trace))))
    assert trace.exists(), "the attack works on an ordinary unpickler"
    trace.rmdir()
    state = torch.load(run / "last.pt", weights_only=True)
    torch.save(state | {"extra": Intruder(str(trace))}, run / "last.pt")
    with pytest.raises(CheckpointError) as caught:
        train(data, run)
    assert str(run / "last.pt") in str(caught.value)
    assert not trace.exists()


# ------------------------------------------------------------------------------------------------------ precision


def test_autocast_uses_the_loops_precision():
    """Evaluation sees the numbers training sees."""
    expected = {"bf16-mixed": torch.bfloat16, "32-true": torch.float32}[precision_of(torch.device("cpu"))]
    with autocast(torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected
