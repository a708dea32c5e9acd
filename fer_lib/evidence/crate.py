"""A run as an RO-Crate, so that archives and workflow hubs understand what it is and how it was made.

The crate follows the Process Run Crate profile: one action, its instrument (this library at a commit), what
it read (a corpus by its fingerprint, which is not in the crate, and the parameters) and every file it made,
weights apart.
"""

from __future__ import annotations

import mimetypes
from pathlib import Path

from fer_lib.errors import FerError
from fer_lib.evidence.runs import Run

PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
KINDS = {".ipynb": "application/x-ipynb+json", ".npz": "application/zip", ".csv": "text/csv"}


def export(run: Run, target: Path) -> Path:
    """Write the run as a zipped RO-Crate to ``target``, which may not be there yet, and return it."""
    from rocrate.model.contextentity import ContextEntity
    from rocrate.model.softwareapplication import SoftwareApplication
    from rocrate.rocrate import ROCrate

    from fer_lib.data import datasets

    if target.exists() or run.path.resolve() in target.resolve().parents:
        raise FerError(f"{target} is there already or lies in the run; name another file with --output.")
    made, card, crate = run.info["provenance"], datasets.CARDS[run.dataset], ROCrate()

    def entity(key: str, kind: str, **facts: object) -> ContextEntity:
        return crate.add(ContextEntity(crate, key, {"@type": kind, **facts}))

    crate.name = f"{run.paper} on {card.title}, budget {run.budget}, seed {run.seed}"
    crate.name += f", {run.variant}" if run.variant else ""
    crate.description = "Evidence and notebook of a re-executed paper on facial-expression recognition."
    crate.license = "https://spdx.org/licenses/BSD-3-Clause"
    crate.root_dataset["conformsTo"] = entity(PROFILE, "CreativeWork", name="Process Run Crate")
    files = []
    for path in sorted(run.path.rglob("*")):
        if path.is_file() and path.parent.name != "weights":
            kind = {"encodingFormat": KINDS.get(path.suffix) or mimetypes.guess_type(path.name)[0]}
            files.append(crate.add_file(path, path.relative_to(run.path).as_posix(), properties=kind))
    facts = {"name": card.title, "identifier": run.info["fingerprint"], "usageInfo": card.licence}
    said = f"Owner: {card.owner}. Not part of this crate. {card.obtain}"
    corpus = entity("#corpus", "Dataset", **facts, description=said)
    given = {name: str(value) for name, value in run.info["parameters"].items() if name != "data_dir"}
    software = {
        "name": "fer_lib",
        "version": made["commit"] or "unknown",
        "softwareRequirements": [f"{package} {version}" for package, version in made["packages"].items()],
    }
    machine = ", ".join(filter(None, (made["cpu"], made["gpu"], made["platform"])))
    crate.root_dataset["mentions"] = entity(
        "#run",
        "CreateAction",
        name=crate.name,
        instrument=crate.add(SoftwareApplication(crate, "#fer_lib", software)),
        object=[corpus, *(entity(f"#{n}", "PropertyValue", name=n, value=v) for n, v in given.items())],
        result=files,
        endTime=made["finished"],
        description=f"{made['wall_seconds']:.0f} s on {machine}, {made['threads']} threads.",
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    return Path(crate.write_zip(target))
