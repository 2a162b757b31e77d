"""Experiments as data: what is trained on what, what the paper got, and how it is scored.

Notebook: 03 note discovery.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from matplotlib.figure import Figure

from musiclib import corpora, ledger, paths, plots, training
from musiclib.musicslots import chords, metrics
from musiclib.musicslots.data import ChordSpectrograms
from musiclib.musicslots.model import MusicSlots, MusicSlotsConfig, reconstruction_loss
from musiclib.presets import default_device
from musiclib.synth import PROGRAM_NAMES, NoteBank
from musiclib.training import TrainingConfig

EVALUATION_SEED = 1
EVALUATION_BATCH = 64
VALIDATION_CHORDS = 256  # scored while training, of the dataset that selects the best weights

SMALL = MusicSlotsConfig(
    frames=16,
    channels=64,
    width=64,
    slots=5,
    dilation=(1, 2, 4, 8),
    init="spread",
    decoder="mlp",
    db_offset=-30.0,
    db_scale=30.0,
)
PAPER = MusicSlotsConfig()
MODELS = {"small": SMALL, "short": PAPER, "paper": PAPER}
TRAINING = {
    "small": TrainingConfig(8_000, learning_rate=1e-3, warmup=300, clip_norm=100.0),
    "short": TrainingConfig(10_000, learning_rate=1e-4, warmup=1000, decay_steps=50_000),
    "paper": TrainingConfig(100_000, learning_rate=1e-4, warmup=10_000, decay_steps=500_000),
}


@dataclass(frozen=True)
class Experiment:
    """One row of a table.

    Attributes:
        dataset: trained on, see `chords.examples`. changes: to the model of its size.
        starts_from: the experiment whose trained weights it starts from. schedule: changes to the training of its size.
        paper: the paper's figures on the test split, where it has them.
    """

    name: str
    dataset: str
    changes: dict = field(default_factory=dict)
    starts_from: str | None = None
    schedule: dict = field(default_factory=dict)
    paper: dict[str, float] | None = None

    def model_config(self, size: str) -> MusicSlotsConfig:
        return replace(MODELS[size], **self.changes)

    def training_config(self, size: str, seed: int = 0) -> TrainingConfig:
        return replace(TRAINING[size], seed=seed, **self.schedule)

    def run_name(self, size: str, seed: int = 0) -> str:
        return f"musicslots-{self.name}-{size}" + (f"-seed{seed}" if seed else "")


def _figures(note_mse: float, miou: float) -> dict[str, float]:
    return {"note_mse": note_mse, "miou": miou}


DEFAULT = {"mask": "softmax", "implicit": False, "stride": (1, 1)}  # slot attention as it was made for images
NOTE_DISCOVERY = {  # in the order in which `reproduce` runs them
    ("JazzNet-multi", "none"): (19.95, 0.90),
    ("JSB-multi", "none"): (13.47, 0.91),
    ("JazzNet-single", "none"): (44.49, 0.76),
    ("JSB-single", "none"): (22.44, 0.81),
    ("JazzNet-multi", "softmax"): (33.58, 0.84),
    ("JSB-multi", "softmax"): (59.34, 0.79),
    ("JazzNet-single", "softmax"): (114.09, 0.63),
    ("JSB-single", "softmax"): (75.32, 0.68),
    ("JazzNet-multi", "sigmoid"): (18.53, 0.91),
    ("JSB-multi", "sigmoid"): (13.07, 0.90),
    ("JazzNet-single", "sigmoid"): (49.05, 0.75),
    ("JSB-single", "sigmoid"): (18.21, 0.83),
}
ABLATION = {
    ("JazzNet-multi", "default"): (DEFAULT, (70.05, 0.70)),
    ("JazzNet-multi", "stride"): (DEFAULT | {"stride": (1, 2)}, (51.31, 0.76)),
    ("JazzNet-multi", "nomask"): (DEFAULT | {"mask": "none"}, (39.08, 0.79)),
    ("JazzNet-multi", "implicit"): (DEFAULT | {"implicit": True}, (32.56, 0.83)),
    ("JSB-multi", "default"): (DEFAULT, (100.77, 0.60)),
    ("JSB-multi", "stride"): (DEFAULT | {"stride": (1, 2)}, (60.22, 0.76)),
    ("JSB-multi", "nomask"): (DEFAULT | {"mask": "none"}, (40.06, 0.78)),
    ("JSB-multi", "implicit"): (DEFAULT | {"implicit": True}, (59.34, 0.79)),
}
OURS = {
    "attention-paper": {"attention": "paper"},
    "attention-reference": {"attention": "reference"},
    "decoder-broadcast": {"decoder": "broadcast"},
    "decoder-mlp": {"decoder": "mlp"},
}

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        *(
            Experiment(f"{dataset.lower()}-{mask}", dataset, {"mask": mask}, paper=_figures(*figures))
            for (dataset, mask), figures in NOTE_DISCOVERY.items()
        ),
        *(
            Experiment(f"{dataset.lower()}-ablation-{name}", dataset, changes, paper=_figures(*figures))
            for (dataset, name), (changes, figures) in ABLATION.items()
        ),
        Experiment(
            "jazznet-multi-curriculum",
            "JazzNet-multi",
            starts_from="jazznet-single-none",
            schedule={"steps": 30_000, "learning_rate": 5e-4, "evaluate_every": 2000},
            paper=_figures(*NOTE_DISCOVERY["JazzNet-multi", "none"]),
        ),
        *(Experiment(f"jazznet-multi-{name}", "JazzNet-multi", changes) for name, changes in OURS.items()),
    )
}


def shown(size: str) -> Experiment:
    """The experiment whose model the notebooks show: the paper's, or at the small size the best of ours."""
    return EXPERIMENTS["jazznet-multi-curriculum" if size == "small" else "jazznet-multi-none"]


def datasets(name: str, frames: int, bank: NoteBank | None = None, duration_s: float = 1.0) -> chords.Splits:
    """Train, validation and test splits of a dataset as spectrograms, on the best device here."""
    bank = bank or NoteBank.load().to(default_device())
    chorales = corpora.chorales()[0] if name.startswith("JSB") else None
    return chords.examples(name, chorales).map(lambda split: ChordSpectrograms(split, bank, frames, duration_s))


def evaluate(model: MusicSlots, data: ChordSpectrograms, limit: int | None = None) -> dict[str, float]:
    """Note MSE and mIoU with standard errors, over a split or `limit` examples spread evenly over it.

    The slots' noise is drawn from a fixed seed, and the caller's random state is left as it was.
    """
    index = torch.linspace(0, len(data) - 1, min(limit or len(data), len(data))).round().long()
    device = next(model.parameters()).device
    mse, iou = [], []
    with torch.no_grad(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(EVALUATION_SEED)
        for part in index.split(EVALUATION_BATCH):
            with training.autocast(device):
                slots = model(data.batch(part)).slot_db
            for notes, own in zip(data.targets(part), slots, strict=True):
                mse.append(metrics.note_mse(notes, own).score)
                iou.append(metrics.note_iou(notes, own).score)
    mses, ious, root = torch.tensor(mse), torch.tensor(iou), math.sqrt(len(iou))
    return {
        "note_mse": mses.mean().item(),
        "note_mse_standard_error": (mses.std() / root).item(),
        "miou": ious.mean().item(),
        "miou_standard_error": (ious.std() / root).item(),
        "chords": len(ious),
    }


def loss_on(data: ChordSpectrograms) -> Callable[[torch.nn.Module, torch.Tensor], torch.Tensor]:
    """The loss `training.fit` wants: reconstruct the chords that an index names."""

    def loss(model: torch.nn.Module, index: torch.Tensor) -> torch.Tensor:
        x = data.batch(index)
        return reconstruction_loss(x, model(x))

    return loss


def train(experiment: Experiment, size: str, *, seed: int = 0, budget_s: float = math.inf) -> bool:
    """Trains one experiment, or goes on where it stopped; when it is done, writes its weights and its ledger entry.

    Returns:
        Whether it is done.
    """
    name = experiment.run_name(size, seed)
    config = experiment.training_config(size, seed)
    torch.manual_seed(seed)
    model = MusicSlots(experiment.model_config(size))
    if experiment.starts_from:
        before = EXPERIMENTS[experiment.starts_from].run_name(size, seed)
        training.load_weights(checkpoint(before), model)
    data = datasets(experiment.dataset, model.config.frames)
    run = paths.RUNS / name
    history = training.fit(
        model, loss_on(data.train), len(data.train), config, run=run, budget_s=budget_s,
        evaluate=lambda model: evaluate(model, data.valid, VALIDATION_CHORDS),
    )  # fmt: skip
    if not history.finished:
        return False
    training.load_weights(run / "best.safetensors", model)
    scores = {split: evaluate(model, getattr(data, split)) for split in ("valid", "test")}
    about = {"experiment": experiment.name, "training": asdict(config), "scores": scores}
    training.save_weights(checkpoint(name), model, about, torch.float16)
    ledger.record(
        name, system="musicslots", preset=size, seed=seed, wall_s=history.wall_s,
        config={"experiment": asdict(experiment), "model": asdict(model.config), "training": asdict(config)},
        metrics=scores | {"validation_curve": history.scores, "loss_curve": thinned(history.loss)},
    )  # fmt: skip
    return True


def trained(experiment: Experiment, size: str) -> MusicSlots:
    """The trained model of an experiment: the one that ships if there is one, else trained here and now."""
    name = experiment.run_name(size)
    if checkpoint(name).exists():
        print(f"Found the trained model {name}, loading it.")
    else:
        print(f"No trained model {name} yet: training it.")
        train(experiment, size)
    return load(name)


def thinned(values: list[float], points: int = 300) -> list[float]:
    """A long curve as the means of at most `points` equal stretches."""
    stretch = max(1, len(values) // points)
    return [
        round(sum(part) / len(part), 3) for part in (values[i : i + stretch] for i in range(0, len(values), stretch))
    ]


def checkpoint(name: str) -> Path:
    return paths.CHECKPOINTS / f"{name}.safetensors"


def load(name: str) -> MusicSlots:
    """A shipped model by the name of its run, ready to evaluate, on the best device here.

    Raises:
        CheckpointError: it does not ship or is damaged.
    """
    config, _ = training.read_metadata(checkpoint(name))
    model = MusicSlots(MusicSlotsConfig(**config))
    return training.load_weights(checkpoint(name), model).to(default_device()).eval()


def picture(chord: int = 4154) -> Figure:
    """The README's picture: one unseen chord taken apart by the small model."""
    model = load(shown("small").run_name("small"))
    data = datasets(shown("small").dataset, model.config.frames).valid
    index = torch.tensor([chord])
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(EVALUATION_SEED)
        heard = model(data.batch(index))
    notes, slots = data.targets(index)[0], heard.slot_db[0]
    names = [f"{PROGRAM_NAMES[program]} {plots.pitch_name(pitch)}" for program, pitch in data.examples[chord]]
    slot_of_note = metrics.note_iou(notes, slots).slot_of_note
    return plots.decomposition(data.batch(index), heard.reconstruction_db, slots, notes, slot_of_note, names)


def results_table(size: str | None = None) -> str:
    """Paper | ours in Markdown, for every experiment in the ledger (of one size, if given), on its test split."""
    rows = []
    for entry in ledger.entries("musicslots"):
        if size not in (None, entry["preset"]):
            continue
        experiment = EXPERIMENTS[entry["config"]["experiment"]["name"]]
        ours = entry["metrics"]["test"]
        paper = f"{experiment.paper['note_mse']:.2f} / {experiment.paper['miou']:.2f}" if experiment.paper else "–"
        rows.append([
            f"MusicSlots, {experiment.name}, {entry['preset']}",
            paper,
            f"{ours['note_mse']:.2f} / {ours['miou']:.2f} ± {ours['miou_standard_error']:.3f}",
            f"{entry['wall_s'] / 60:.0f} min on {entry['hardware']}",
        ])  # fmt: skip
    return ledger.table(rows, ["test split: note MSE ↓ / mIoU ↑", "paper", "ours", "cost"])
