"""Experiments as data: every row of the paper's tables is there, at the specification's sizes."""

from musiclib.musicslots.experiments import EXPERIMENTS, MODELS, TRAINING
from musiclib.presets import PRESETS


def rows(table, size="paper"):
    return [e for e in EXPERIMENTS.values() if e.table == table and e.paper and size in e.sizes]


def test_every_row_of_the_papers_tables_is_an_experiment():
    assert len(rows("note discovery")) == 12
    assert len(rows("ablation")) == 8
    assert len(rows("note properties")) == 2 * (1 + 5 + 1)  # slots, five auto-encoders, the CNN


def test_every_experiment_has_a_model_and_a_schedule_at_every_size():
    for preset in PRESETS.values():
        for experiment in EXPERIMENTS.values():
            if experiment.kind in MODELS:
                experiment.model_config(preset.size)  # raises if a change names no field or an impossible choice
            experiment.training_config(preset.size)


def test_what_an_experiment_needs_comes_at_its_size():
    for experiment in EXPERIMENTS.values():
        for size in experiment.sizes:
            before = experiment.needs(size)
            assert before is None or size in EXPERIMENTS[before].sizes


def test_the_paper_starts_nothing_from_a_curriculum():
    assert not any(e.adjustment("paper").starts_from for e in EXPERIMENTS.values())


def test_paper_training_of_slots_is_the_specification():
    model, training = MODELS["slots"]["paper"], TRAINING["slots"]["paper"]
    assert (model.slots, model.iterations, model.width, model.channels) == (7, 3, 128, 128)
    assert (model.bands, model.frames, model.stride, model.dilation) == (128, 32, (1, 2), (1, 1, 1, 1))
    assert (model.implicit, model.decoder, model.mask, model.db_scale) == (True, "broadcast", "none", 1.0)
    assert (training.steps, training.batch, training.warmup, training.decay_steps) == (100_000, 32, 10_000, 500_000)
    assert (training.learning_rate, training.clip_norm) == (1e-4, 1.0)


def test_paper_training_of_the_baselines_is_the_specification():
    autoencoder, classifier, probe = (TRAINING[kind]["paper"] for kind in ("autoencoder", "classifier", "probe"))
    assert (autoencoder.steps, autoencoder.batch, autoencoder.learning_rate) == (100_000, 32, 1e-4)
    assert (autoencoder.warmup, autoencoder.decay_steps, autoencoder.clip_norm) == (0, None, 1.0)  # cosine over the run
    for training, clip_norm in ((classifier, 0.1), (probe, None)):
        assert (training.steps, training.batch, training.learning_rate) == (10_000, 32, 1e-3)
        assert (training.warmup, training.decay_steps, training.clip_norm) == (0, None, clip_norm)
    assert MODELS["autoencoder"]["paper"].width == MODELS["classifier"]["paper"].width == 128
    betas = {e.changes["beta"] for e in EXPERIMENTS.values() if "beta" in e.changes}
    assert betas == {0.5, 1.0, 2.0, 4.0}
