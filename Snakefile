"""The matrix of runs and the book, for one machine's cores or, with an executor plug-in, a cluster.

    snakemake -j1                                            the default matrix and the book
    snakemake -j1 -n                                         what would be done, and why
    snakemake -j4 runs --config datasets=fer2013 budgets=paper seeds=0,1,2 data_dir=~/fer-data
    snakemake -j8 runs --resources gpu=1 --config ...                    one run at a time on the GPU
    snakemake -j4 sensitivity --config datasets=fer2013 data_dir=~/fer-data      probes of open readings
    snakemake -j4 search --config workers=4                              workers of one architecture search

Every value of the matrix may be a list or text with commas. A run is made again when its notebook or the
library changes, and only then; evidence of runs outside the matrix is never touched. Which runs were made here
is not part of the repository: in a new clone, recorded runs that are asked for are made again.
"""

import os
import sys
from pathlib import Path
from shlex import quote

sys.path.insert(0, workflow.basedir)
from fer_lib import sensitivity  # noqa: E402 (of this checkout, not of another that is installed)
from fer_lib.evidence.provenance import library  # noqa: E402

MATRIX = {"papers": "cnn_sift,multimodal,cspp,cnn3d,lkrnet,matrix", "datasets": "synthetic", "budgets": "smoke", "seeds": "0"}
OPTIONS = {"data_dir": "", "device": "auto", "threads": 2}
# The search: how many workers on which study; empty is what `fer search run` takes by itself.
SEARCH = {"workers": 2, "trials": "", "journal": "", "study_dataset": "synthetic"}
SEARCH |= {"study_budget": "smoke", "study_seed": 0}
config = MATRIX | OPTIONS | SEARCH | config
if config["data_dir"]:
    os.environ["FER_DATA"] = str(Path(config["data_dir"]).expanduser().resolve())


def values(name):
    """Return one axis of the matrix as a list of strings."""
    value = config[name]
    value = value.split(",") if isinstance(value, str) else value
    return [str(item).strip() for item in (value if isinstance(value, list | tuple) else [value])]


PAPERS, DATASETS, BUDGETS, SEEDS = (values(name) for name in ("papers", "datasets", "budgets", "seeds"))
# Snakemake deletes a job's outputs before it starts. So that evidence stays whole until its successor is, a
# run's output is a stamp inside the evidence folder, and `fer run` alone replaces the folder.
STAMP = "results/{paper}/{dataset}/{budget}/seed{seed}{variant}/.made"
RUNS = expand(STAMP, paper=PAPERS, dataset=DATASETS, budget=BUDGETS, seed=SEEDS, variant="")


def probes(_):
    """Return the stamps of the runs that flip one open reading each, and of our own readings."""
    return [
        STAMP.format(
            paper=probe.paper,
            dataset=dataset,
            budget="probe",
            seed=probe.seed,
            variant=probe.variant and f",{probe.variant}",
        )
        for dataset in DATASETS
        for probe in sensitivity.planned()
        if probe.paper in PAPERS
    ]


LIBRARY = sorted(path.as_posix() for kind in ("py", "yaml") for path in Path("fer_lib").rglob(f"*.{kind}"))
# Recorded runs of other machines or matrices are shown in the book as they are.
RECORDED = sorted(
    path.as_posix()
    for path in Path("results").glob("[!.]*/*/*/seed*/run.json")
    if path.with_name(".made").as_posix() not in RUNS
)
# What was measured of the corpora themselves and of speed, for their pages.
MEASURED = sorted(path.as_posix() for kind in ("data", "benchmarks") for path in Path("results", kind).rglob("*.*"))
# A page writes scorecard.csv: as an input it would call for the book once more.
PAGES = sorted(path.as_posix() for path in Path("book").rglob("*.*") if path.suffix not in (".pyc", ".csv"))

# Everything runs with the environment that snakemake itself runs in.
shell.prefix(f'set -euo pipefail; export PATH="{Path(sys.executable).parent}:$PATH"; ')


localrules:
    all,
    runs,
    sensitivity,
    search,
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
        probes,


rule run:
    input:
        "notebooks/{paper}.ipynb",
        lambda wildcards: [path.relative_to(Path.cwd()).as_posix() for path in library(wildcards.paper)],
    output:
        touch(STAMP),
    wildcard_constraints:
        paper="|".join(PAPERS),
        dataset="|".join(DATASETS),
        budget="|".join([*BUDGETS, "probe"]),
        seed="[0-9]+",
        variant="(,[^/]+)?",
    params:
        knobs=lambda wildcards: " ".join(f"-p {quote(text)}" for text in wildcards.variant.split(",") if text),
    # A smoke is mostly Python: two of them side by side are done sooner than one after the other on two threads.
    threads: lambda wildcards: 1 if wildcards.budget == "smoke" else int(config["threads"])
    # The longest smokes come first: begun last, one would run alone.
    priority: lambda wildcards: int(wildcards.paper in ("cnn3d", "lkrnet"))
    resources:
        gpu=0 if config["device"] == "cpu" else 1,
    shell:
        "fer run {wildcards.paper} {wildcards.dataset} --budget {wildcards.budget} --seed {wildcards.seed}"
        " --device {config[device]} {params.knobs}"


def study():
    """Yield the arguments of `fer search run`."""
    yield quote(config["study_dataset"])
    names = {"budget": "study_budget", "seed": "study_seed"} | {k: k for k in ("device", "trials", "journal")}
    for option, name in names.items():
        if config[name] != "":
            yield f"--{option} {quote(str(config[name]))}"


# A worker leaves nothing of its own: the study is in the journal. Stamps are removed at the end, so that the
# same command joins again, after a loss or for more trials; where the study has enough, a worker ends at once.
rule search:
    input:
        expand("results/.work/search/worker{worker}.done", worker=range(1, int(config["workers"]) + 1)),
    shell:
        "rm {input}"


rule worker:
    output:
        touch("results/.work/search/worker{worker}.done"),
    params:
        # All that makes a study: a stamp left by a search that lost a worker is none of another study.
        study=lambda _: " ".join(study()),
    resources:
        gpu=0 if config["device"] == "cpu" else 1,
    shell:
        "fer search run {params.study}"


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
    threads: workflow.cores or 1
    params:
        data=os.environ.get("FER_DATA", ""),  # pages of corpora show the copy at hand
    shell:
        # Pages read evidence and claims, which Sphinx does not know of: build all pages, from nothing.
        "rm -rf _build/html _build/.jupyter_cache && FER_JOBS={threads} jupyter-book build . --all -q -n -W --keep-going"
