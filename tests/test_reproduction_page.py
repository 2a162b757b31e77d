"""Notebook 14 as it is committed shows what the ledger says now: every table, cell by cell."""

import nbformat
import pytest

from musiclib import equations, traps
from musiclib.diffroll import report as diffroll
from musiclib.improvise import report as improvise
from musiclib.musicslots import claims
from musiclib.musicslots import report as musicslots
from musiclib.musicvae import report as musicvae
from musiclib.paths import ROOT

SIZE = "small"
TABLES = {
    **{
        f"MusicSlots, {table}": lambda table=table: musicslots.results_table(table, SIZE) for table in musicslots.TABLES
    },
    "MusicSlots, slots × iterations": lambda: musicslots.slots_and_iterations_table(SIZE),
    "MusicSlots, claims": lambda: claims.claims_table(SIZE),
    "MusicVAE, reconstruction": lambda: musicvae.results_table(SIZE),
    "MusicVAE, length": lambda: musicvae.results_table(SIZE, "length"),
    "MusicVAE, features": lambda: musicvae.features_table(SIZE),
    "improvisation, bars": improvise.results_table,
    "improvisation, rates": improvise.rates_table,
    "DiffRoll, models": lambda: diffroll.results_table(SIZE, "comparison", "more", "dropout", "schedule", "kernel"),
    "DiffRoll, guidance": lambda: diffroll.guidance_table(SIZE),
    "DiffRoll, dropout": lambda: diffroll.dropout_table(SIZE),
    "DiffRoll, dilation": diffroll.dilation_table,
    "DiffRoll, samplers": lambda: diffroll.samplers_table(SIZE),
    "DiffRoll, few pairs": lambda: diffroll.few_pairs_table(SIZE),
    "DiffRoll, claims": lambda: diffroll.claims_table(SIZE),
    **{f"traps, {system}": lambda system=system: traps.table(system) for system in traps.SYSTEMS},
    "equations": equations.index,
}


@pytest.fixture(scope="module")
def shown():
    notebook = nbformat.read(ROOT / "notebooks" / "14_reproduction.ipynb", as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return {output["data"]["text/markdown"] for output in outputs if "text/markdown" in output.get("data", {})}


@pytest.mark.parametrize("table", TABLES)
def test_the_page_shows_what_the_ledger_says(shown, table):
    assert TABLES[table]() in shown
