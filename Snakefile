"""The runs and the book, for one machine's cores or, with an executor plug-in, a cluster.

    snakemake -j1                                            the default matrix and the book
    snakemake -j1 -n                                         what would be done
    snakemake -j4 runs --config datasets=fer2013 budgets=paper seeds=0,1,2 data_dir=~/fer-data
    snakemake -j2 campaign --config data_dir=~/fer-data      the runs of campaign.yaml, in its order
    snakemake -j8 runs --resources gpus=1 --config device=cuda ...       one run at a time on the GPU
    snakemake -j4 sensitivity --config datasets=fer2013 data_dir=~/fer-data      probes of open readings
    snakemake --profile profiles/slurm campaign --config ...             on a cluster

Every value of the matrix may be a list or text with commas; pairs of paper and corpus that no protocol of the
paper can use are left out. A run is made where its evidence is absent, incomplete or not what today's code and
parameters would give, however it came there: by `fer run`, papermill or JupyterLab. Other evidence is never touched.
"""

import os
import sys
from functools import cache
from pathlib import Path
from shlex import quote
from typing import NamedTuple

import yaml

sys.path.insert(0, workflow.basedir)  # of this checkout, not of another that is installed
from fer_lib import claims  # noqa: E402
from fer_lib.data import datasets  # noqa: E402
from fer_lib.errors import FerError, one_of  # noqa: E402
from fer_lib.evidence.preflight import STUDIES, asked, typed, usable  # noqa: E402
from fer_lib.evidence.provenance import OFFERED, evidence_folder, variant  # noqa: E402
from fer_lib.evidence.runs import current  # noqa: E402
from fer_lib.judge import sensitivity  # noqa: E402

NOTEBOOKS = [name for name in (*claims.PAPERS, *STUDIES) if Path("notebooks", f"{name}.ipynb").exists()]
DEFAULTS = {"papers": NOTEBOOKS, "datasets": "synthetic", "budgets": "smoke", "seeds": "0"}
DEFAULTS |= {"data_dir": "", "device": "auto", "threads": 2, "campaign": "campaign.yaml"}
# Of one run by budget: memory in MB (recorded peaks, with room) and minutes.
NEEDS = {"smoke": (3000, 30), "probe": (6000, 120), "full": (8000, 2880), "paper": (16000, 10080)}
STAMP = "results/.work/made/{paper}/{dataset}/{budget}/seed{seed}{variant}"

for name in config:
    one_of(name, DEFAULTS, "--config option")
for name, value in DEFAULTS.items():
    config.setdefault(name, value)
one_of(config["device"], ("auto", "cpu", "cuda"), "value of device:")
config["threads"] = typed("threads", config["threads"], DEFAULTS["threads"])
if config["data_dir"]:
    os.environ["FER_DATA"] = str(datasets.data_folder(config["data_dir"]).resolve())


def values(name):
    """Return one axis of the matrix as a list of strings."""
    value = config[name]
    value = value.split(",") if isinstance(value, str) else value
    return [str(item).strip() for item in (value if isinstance(value, list | tuple) else [value])]


class Planned(NamedTuple):
    """One run that may be asked for; knobs as ``fer run -p`` has them."""

    paper: str
    dataset: str
    budget: str
    seed: int
    knobs: tuple = ()
    priority: int = 0

    def asked(self):
        """Return the parameters of its notebook, after `fer run`'s own check."""
        return asked(self.paper, {n: getattr(self, n) for n in ("dataset", "budget", "seed")}, self.knobs)

    def stamp(self):
        """Return the file that says that the run's evidence is complete and current.

        Snakemake deletes what a job makes before it starts, and evidence must stay whole until its successor
        is: therefore a file apart, which follows the evidence.
        """
        name = variant(self.paper, self.asked())
        return STAMP.format(**self._asdict(), variant=name and f",{name}")


def stamped(runs):
    """Return the stamps of runs, each brought up to date with the evidence that there is."""
    stamps = []
    for run in runs:
        stamps.append(run.stamp())
        if workflow.is_main_process:  # not once more in each job
            stamp, parameters = Path(stamps[-1]), run.asked()
            made = current(evidence_folder("results", *run[:4], variant(run.paper, parameters)), parameters)
            if made is None:
                stamp.unlink(missing_ok=True)
            else:
                stamp.parent.mkdir(parents=True, exist_ok=True)
                stamp.touch()
                when = (made.path / "run.json").stat().st_mtime
                os.utime(stamp, (when, when))
    return stamps


def matrix():
    """Return the runs of the matrix, without pairs of paper and corpus that no protocol allows."""
    for axis, names in {"papers": NOTEBOOKS, "datasets": datasets.NAMES, "budgets": OFFERED}.items():
        for value in values(axis):
            one_of(value, names, f"value of {axis}:")
    pairs = [(p, d) for p in values("papers") for d in values("datasets") if p in STUDIES or d in usable(p)]
    if not pairs:
        Planned(values("papers")[0], values("datasets")[0], "smoke", 0).asked()  # says why
    return [
        # The longest smokes come first: begun last, one would run alone.
        Planned(paper, dataset, budget, typed("seeds", seed, 0), (), int(paper in ("cnn3d", "lkrnet")))
        for paper, dataset in pairs
        for budget in values("budgets")
        for seed in values("seeds")
    ]


def probes():
    """Return the runs that flip one open reading each, and those of our own readings."""
    return [
        Planned(probe.paper, dataset, "probe", probe.seed, (probe.variant,) if probe.variant else ())
        for dataset in values("datasets")
        for probe in sensitivity.planned()
        if probe.paper in values("papers") and dataset in usable(probe.paper)
    ]


def campaign():
    """Return the runs of the campaign's file; what stands higher there starts first."""
    file = Path(config["campaign"])
    try:
        entries = yaml.safe_load(file.read_text("utf-8"))
        for name in {name for entry in entries for name in entry}:
            one_of(name, ("paper", "dataset", "budget", "seeds", "knobs", "priority"), f"key of a run in {file}")
        return [
            Planned(
                *(entry["paper"], entry["dataset"], entry["budget"], seed),
                tuple(f"{name}={value}" for name, value in entry.get("knobs", {}).items()),
                entry.get("priority", 100 * (len(entries) - place)) - number,
            )
            for place, entry in enumerate(entries)
            for number, seed in enumerate(entry["seeds"])
        ]
    except (OSError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise FerError(
            f"{file} should be a list of runs, each with paper, dataset, budget and seeds, and if need be knobs "
            f"and priority ({type(error).__name__}: {error})."
        ) from None


@cache
def behind(stamp, *named):
    """Return the run that a stamp is of; ``named`` are its paper, dataset, budget and seed."""
    sources = [campaign] * Path(config["campaign"]).exists() + [matrix, probes]
    runs = (run for source in sources for run in source())
    return next(run for run in runs if named == (*run[:3], str(run.seed)) and run.stamp() == stamp)


def of(wildcards):
    return behind(STAMP.format(**wildcards), *list(wildcards)[:4])


def gpus(_):
    return int(config["device"] == "cuda")


RUNS = stamped(matrix())
# Recorded runs of other machines or matrices are shown in the book as they are.
MADE = {stamp.replace("results/.work/made", "results") for stamp in RUNS}
RECORDED = sorted(
    path.as_posix()
    for path in Path("results").glob("[!.]*/*/*/seed*/run.json")
    if path.parent.as_posix() not in MADE
)
LIBRARY = sorted(path.as_posix() for kind in ("py", "yaml") for path in Path("fer_lib").rglob(f"*.{kind}"))
# What was measured of the corpora themselves and of speed, for their pages.
MEASURED = sorted(path.as_posix() for kind in ("data", "benchmarks") for path in Path("results", kind).rglob("*.*"))
# What the book's own build writes would, as an input, call for the book once more.
WRITTEN = {".pyc", ".csv"}
PAGES = sorted(p.as_posix() for p in Path("book").rglob("*.*") if p.suffix not in WRITTEN and "_api" not in p.parts)

# Everything runs with the environment that snakemake itself runs in.
shell.prefix(f'set -euo pipefail; export PATH="{Path(sys.executable).parent}:$PATH"; ')


localrules:
    all,
    runs,
    sensitivity,
    campaign,
    book,


rule all:
    input:
        RUNS,  # named here too: a missing stamp alone would not be missed once a book is built
        "_build/html/index.html",
    default_target: True


rule runs:
    input:
        RUNS,


rule sensitivity:
    input:
        lambda _: stamped(probes()),


rule campaign:
    input:
        lambda _: stamped(campaign()),


rule run:
    output:
        touch(STAMP),
    wildcard_constraints:
        paper="[^/]+",
        dataset="[^/]+",
        budget="[^/]+",
        seed="[0-9]+",
        variant="(,[^/]+)?",
    params:
        knobs=lambda wildcards: " ".join(f"-p {quote(text)}" for text in of(wildcards).knobs),
    # A smoke is mostly Python: two of them side by side are done sooner than one after the other on two threads.
    threads: lambda wildcards: 1 if wildcards.budget in ("smoke", "probe") else int(config["threads"])
    priority: lambda wildcards: of(wildcards).priority
    resources:
        mem_mb=lambda wildcards: NEEDS[wildcards.budget][0],
        runtime=lambda wildcards: NEEDS[wildcards.budget][1],
        gpus=gpus,
        gpu=gpus,  # as the executor for Slurm calls it
    shell:
        "fer run {wildcards.paper} {wildcards.dataset} --budget {wildcards.budget} --seed {wildcards.seed}"
        " --device {config[device]} --threads {threads} {params.knobs}"


rule book:
    input:
        RUNS,
        RECORDED,
        MEASURED,
        LIBRARY,
        PAGES,
        "_config.yml",
        "_toc.yml",
        "requirements.lock",  # the page on the environment
    output:
        "_build/html/index.html",
    threads: os.cpu_count() or 1  # no more than --cores
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        data=os.environ.get("FER_DATA", ""),  # pages of corpora show the copy at hand
    shell:
        # Pages read evidence and claims, which Sphinx does not know of: build all pages, from nothing.
        "rm -rf _build/html _build/.jupyter_cache book/_api && FER_JOBS={threads} jupyter-book build . --all -q -n -W --keep-going"
