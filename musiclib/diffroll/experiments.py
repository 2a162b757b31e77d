"""Experiments as data: what is trained on what, how long, and the paper's figures.

Notebooks: 10 transcription, 11 DiffRoll, 12 DiffRoll evaluation.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from musiclib import reproduction
from musiclib.diffroll.model import DiffRollConfig
from musiclib.reproduction import Study
from musiclib.training import TrainingConfig

PAPER_TRAINING = TrainingConfig(
    151_000, batch=16, learning_rate=1e-5, decay_factor=1.0, least_rate=0.0, clip_norm=None, evaluate_every=5000
)  # 2500 epochs of MAESTRO's 967 pieces
TRAINING = {
    "small": TrainingConfig(2000, batch=16, learning_rate=1.5e-3, warmup=50, evaluate_every=500),
    "short": TrainingConfig(6000, batch=16, learning_rate=2e-4, warmup=200, evaluate_every=1000),
    "paper": PAPER_TRAINING,
}
FRAMES = {"small": 160, "short": 640, "paper": 640}  # of a training segment
SMALL = {"width": 96, "layers": 6}
WEIGHTS = (0.0, 0.1, 0.5, 1.0, 1.5, 4.0)  # w of the paper's figure 4
PAPER_CURVES = {  # (p, k) → note F1 in percent at each of WEIGHTS, MAESTRO (the paper's figures 3 and 4)
    (0.0, 3): (67.1, 66.9, 55.1, 17.7, 4.3, 3.5),
    (0.1, 3): (66.4, 67.2, 70.0, 69.8, 67.6, 55.2),
    (0.5, 3): (62.8, 64.4, 67.5, 67.1, 65.4, 32.6),
    (0.1, 5): (71.5, 72.9, 75.0, 74.1, 71.6, 56.6),
    (0.1, 7): (74.0, 74.7, 77.0, 76.6, 74.8, 60.8),
    (0.1, 9): (74.9, 75.9, 78.1, 77.7, 76.5, 64.9),
}
PAPER_DILATION = {  # growth of the dilation → note F1 at w = 0, 0.1, 0.5, 1, k = 9 (table 1; its labels are lost)
    "none": (74.9, 75.9, 78.1, 77.7), "least": (74.0, 75.3, 77.1, 76.9), "more": (73.3, 74.0, 76.2, 75.8),
    "most": (72.2, 74.0, 75.9, 76.1),
}  # fmt: skip
PAPER_DROPOUT = {  # p → note F1 at w = 0, k = 3
    0.0: 67.1, 0.1: 66.4, 0.2: 65.2, 0.3: 64.6, 0.4: 64.3, 0.5: 62.8, 0.55: 61.3, 0.6: 59.7, 0.65: 58.6,
}  # fmt: skip
CURVES = {  # (p, k) of ours → experiment
    (0.0, 9): "p-0", (0.1, 9): "p-0.1", (0.5, 9): "p-0.5", (0.1, 7): "k-7", (0.1, 5): "k-5", (0.1, 3): "k-3",
}  # fmt: skip
CALLS = (1, 2, 3, 5, 8, 12, 25, 50)  # of the network, when a roll is drawn
STUDY = {"steps": 800, "batch": 8, "evaluate_every": 800}  # of the small size: one of many, so each is brief

BEST = {  # of ours, with an onset plane
    "small": {"width": 128, "layers": 8}, "training": {"steps": 6000, "evaluate_every": 1000}, "varied": True,
    "ships": True,
}  # fmt: skip


@dataclass(frozen=True)
class Experiment:
    """One model to train.

    Attributes:
        table: where it belongs. model: fields of DiffRollConfig; small: those that differ at the small size.
        dropout: p, how often the spectrogram is masked; 1 hears nothing, ever.
        corpora: those that ship, one corpus file, or a folder of recordings (MAESTRO, MAPS).
        pairs: the share of the pieces of which there are recordings, one of each; None is no end of recordings.
        varied: whether training strays further: other pianos beside the note bank's, `data.other_piano`, and wilder
            playing, `performance.VARIED`.
        unpaired: rolls of all pieces are learned beside, unheard ("p = 0+1" with dropout 0).
        training: changed fields at the small size. starts_from: the experiment whose weights it starts from.
        paper: note F1 in the paper, in percent: at w = 0 and at w = 0.5, or one for both.
        ships: whether the trained small weights are part of the course.
    """

    name: str
    table: str
    model: dict[str, Any] = field(default_factory=dict)
    small: dict[str, Any] = field(default_factory=dict)
    dropout: float = 0.1
    corpora: tuple[str, ...] = ("chorales", "piano-works")
    pairs: float | None = None
    varied: bool = False
    unpaired: bool = False
    training: dict[str, Any] = field(default_factory=dict)
    starts_from: str | None = None
    sizes: tuple[str, ...] = ("small", "short", "paper")
    paper: tuple[float, ...] | None = None
    ships: bool = False

    def model_config(self, size: str) -> DiffRollConfig:
        return DiffRollConfig(**((SMALL | self.small if size == "small" else {}) | self.model))

    def training_config(self, size: str, seed: int = 0) -> TrainingConfig:
        return replace(TRAINING[size], seed=seed, **(self.training if size == "small" else {}))

    def needs(self, size: str) -> str | None:
        """The experiment that must have been run before this one."""
        return self.starts_from

    def run_name(self, size: str, seed: int = 0) -> str:
        return f"diffroll-{self.name}-{size}" + (f"-seed{seed}" if seed else "")


TWIN = {"discriminative": True}
SHARES = {"all": 1.0, "tenth": 0.1, "fiftieth": 0.02}
MAPS_PAPER = {"twin": (50.6,), "diffroll": (55.9, 57.7), "pretrained": (59.0, 62.6), "pretrained-0+1": (60.5, 63.7)}


def _few_pairs(share: str) -> list[Experiment]:
    """The paper's table 2 with a share of our pieces in place of MAPS, and the rolls of all in place of MAESTRO's."""
    common = {"table": "few pairs", "pairs": SHARES[share], "training": STUDY}
    paper = MAPS_PAPER if share == "tenth" else {}
    before = {"starts_from": "rolls-only"}
    return [
        Experiment(f"{share}-twin", model=TWIN, dropout=0.0, paper=paper.get("twin"), **common),
        Experiment(f"{share}-diffroll", paper=paper.get("diffroll"), **common),
        Experiment(f"{share}-pretrained", paper=paper.get("pretrained"), **before, **common),
        Experiment(
            f"{share}-pretrained-0+1", dropout=0.0, unpaired=True, paper=paper.get("pretrained-0+1"), **before, **common
        ),
    ]


EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        Experiment("diffroll", "comparison", paper=(74.9, 78.1), ships=True),
        Experiment("twin", "comparison", model=TWIN, dropout=0.0, paper=(59.1,), ships=True),
        Experiment("diffroll-best", "more", model={"planes": 2}, **BEST),
        Experiment("twin-best", "more", model=TWIN | {"planes": 2}, dropout=0.0, **BEST),
        Experiment(  # at home again: the same network, trained on with the bank's own piano and calmer playing
            "twin-clean",
            "more",
            model=TWIN | {"planes": 2},
            small=BEST["small"],
            dropout=0.0,
            starts_from="twin-best",
            training={"steps": 1500, "learning_rate": 5e-4, "evaluate_every": 500},
            sizes=("small",),
        ),
        Experiment("rolls-only", "pretraining", dropout=1.0, training={"steps": 1600, "evaluate_every": 1600}),
        *_few_pairs("fiftieth"),
        *_few_pairs("tenth"),
        *_few_pairs("all"),
        Experiment("p-0", "dropout", dropout=0.0, training=STUDY, paper=(67.1, 55.1)),
        Experiment("p-0.1", "dropout", training=STUDY, paper=(66.4, 70.0)),
        Experiment("p-0.5", "dropout", dropout=0.5, training=STUDY, paper=(62.8, 67.5)),
        Experiment("zero-snr", "schedule", model={"schedule": "zero-snr"}, training=STUDY),
        Experiment("cosine", "schedule", model={"schedule": "cosine"}, training=STUDY),
        *(
            Experiment(f"k-{k}", "kernel", model={"kernel": k}, training=STUDY, paper=paper)
            for k, paper in ((3, (66.4, 70.0)), (5, (71.5, 75.0)), (7, (74.0, 77.0)))
        ),
        *(
            Experiment(f"dilation-{d}", "kernel", model={"dilation": d}, training=STUDY, sizes=("short", "paper"))
            for d in (2, 4)
        ),
    )
}


def _study(name: str, table: str, kind: str, of: str) -> Study:
    """See `studies.KINDS`."""
    return Study("diffroll", name, table, kind, of)


GUIDED = ("diffroll", "p-0", "p-0.1", "p-0.5", "k-3", "k-5", "k-7")
STUDIES = {
    study.name: study
    for study in (
        *(_study(f"guidance-{name}", "guidance", "guidance", name) for name in GUIDED),
        *(
            _study(f"guidance-{e.name}", "guidance, few pairs", "two weights", e.name)
            for e in EXPERIMENTS.values()
            if e.table == "few pairs"
        ),
        *(
            _study(f"samplers-{name}", "samplers", "samplers", name)
            for name in ("diffroll", "p-0.1", "zero-snr", "cosine")
        ),
        _study("published-diffroll", "published", "published", "diffroll"),
        *(_study(f"planes-{name}", "planes", "onsets", name) for name in ("diffroll-best", "twin-best")),
        # last, since these render whole pieces and so need FluidSynth
        *(_study(f"whole-{name}", "whole pieces", "whole", name) for name in ("diffroll", "twin", "twin-best")),
    )
}


def find(name: str) -> Experiment | Study:
    """An experiment by name, see `reproduction.find`; or of a corpus of your own, which `ingest` made, or of a folder
    of recordings, MAESTRO's or MAPS'."""
    path = Path(name)
    if path.is_file() or path.is_dir():
        return Experiment(path.resolve().stem, "own", corpora=(str(path),))
    return reproduction.find(EXPERIMENTS | STUDIES, name)
