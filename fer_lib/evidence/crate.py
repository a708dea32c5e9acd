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
    """Write the run as a zipped RO-Crate to ``target`` and return it.

    Raises
    ------
    FerError
        If ``target`` is there already or lies in the run's own folder.
    """
    from rocrate.model.contextentity import ContextEntity
    from rocrate.model.softwareapplication import SoftwareApplication
    from rocrate.rocrate import ROCrate

    from fer_lib.data import datasets

    if target.exists() or run.path.resolve() in target.resolve().parents:
        raise FerError(f"{target} is there already or lies in the run; name another file with --output.")
    info, made = run.info, run.info["provenance"]
    card = datasets.CARDS[run.dataset]
    crate = ROCrate()
    name = f"{run.paper} on {card.title}, budget {run.budget}, seed {run.seed}"
    crate.name = f"{name}, {run.variant}" if run.variant else name
    crate.description = "Evidence and notebook of a re-executed paper on facial-expression recognition."
    crate.license = "https://spdx.org/licenses/BSD-3-Clause"
    crate.root_dataset["conformsTo"] = crate.add(
        ContextEntity(crate, PROFILE, {"@type": "CreativeWork", "name": "Process Run Crate"})
    )
    files = [
        crate.add_file(
            path,
            path.relative_to(run.path).as_posix(),
            properties={"encodingFormat": KINDS.get(path.suffix) or mimetypes.guess_type(path.name)[0]},
        )
        for path in sorted(run.path.rglob("*"))
        if path.is_file() and path.parent.name != "weights"
    ]
    corpus = {
        "@type": "Dataset",
        "name": card.title,
        "identifier": info["fingerprint"],
        "usageInfo": card.licence,
        "description": f"Owner: {card.owner}. Not part of this crate. {card.obtain}",
    }
    parameters = [
        crate.add(
            ContextEntity(crate, f"#{key}", {"@type": "PropertyValue", "name": key, "value": str(value)})
        )
        for key, value in info["parameters"].items()
        if key != "data_dir"
    ]
    machine = ", ".join(filter(None, (made.get("cpu"), made.get("gpu"), made.get("platform"))))
    software = {
        "name": "fer_lib",
        "version": made.get("commit") or "unknown",
        "softwareRequirements": [f"{package} {version}" for package, version in made["packages"].items()],
    }
    action = {
        "@type": "CreateAction",
        "name": crate.name,
        "instrument": crate.add(SoftwareApplication(crate, "#fer_lib", software)),
        "object": [crate.add(ContextEntity(crate, "#corpus", corpus)), *parameters],
        "result": files,
        "endTime": made["finished"],
        "description": f"{made['wall_seconds']:.0f} s on {machine}, {made['threads']} threads.",
    }
    crate.root_dataset["mentions"] = crate.add(ContextEntity(crate, "#run", action))
    target.parent.mkdir(parents=True, exist_ok=True)
    return Path(crate.write_zip(target))
