"""``fer data``: which corpora are here, are they complete, and how they come here."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from fer_lib.errors import AbsentDataError, FerError

PLACES = "Corpora lie in --data-dir, else $FER_DATA, else ~/fer-data, each in a folder of its name."
IMPORT = f"""\
Bring the files that a corpus's owner gave you into the data folder, and check what they held.

{PLACES}
Zip, tar, tar.gz, tar.xz and tar.bz2 archives are unpacked, other files (fer2013.csv) copied; several
(CK+ comes in four archives) are merged into one folder; archives inside an archive are unpacked too,
one level deep.

Links, devices and members that would land outside the folder are refused by name. Files are unpacked
aside, and put in place only once the corpus is recognised: a refused or interrupted import leaves the
data folder as it was."""
IMPORT_EXAMPLES = """\
examples:
  fer data import jaffe jaffedbase.zip
  fer data import fer2013 fer2013.csv fer2013new.csv
  fer data import ckplus extended-cohn-kanade-images.zip Emotion_labels.zip --data-dir ~/data
  fer data import fer2013 fer2013.tar.gz --replace

exit: 0 in place and complete; 1 in place, but the check found problems (the files stay, for an
      owner's archive may be what it is); 2 refused, nothing changed; 130 interrupted, nothing changed"""
FETCH = f"""\
Download CMU Face Images (UCI Machine Learning Repository no. 124; free for educational use with
attribution), unpack and check them. It is the one corpus here that anyone may download; for any
other name this says who grants it.

{PLACES}

No sha256 of the archive is published. So the images are counted at every scale and held against
what the set is known to have; the sha256 of what was downloaded is printed and recorded in
cmu_faces/download.json. With --sha256 the archive must have that one."""
FETCH_EXIT = """\
exit: 0 downloaded and complete; 1 the check found problems; 2 refused, or the address cannot be
      reached, nothing changed; 130 interrupted, nothing changed"""


def add(commands: Any) -> None:
    """Add ``data`` with its commands to the subparsers of ``fer``."""
    raw = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    data = commands.add_parser("data", help="list corpora, check one's files, import or fetch one")
    actions = data.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listing = actions.add_parser("list", help="the corpora, where to obtain them, which are here")
    check = actions.add_parser("check", help="count and verify the files of one corpus")
    check.add_argument("name", metavar="NAME", help="corpus, for example fer2013")
    check.add_argument("--json", action="store_true", help="print one JSON object")
    unpack = "unpack the owner's files of a corpus and check them"
    bring = actions.add_parser("import", help=unpack, description=IMPORT, epilog=IMPORT_EXAMPLES, **raw)
    bring.add_argument("name", metavar="NAME", help="corpus, for example ckplus")
    bring.add_argument("files", nargs="+", metavar="FILE", help="archive or plain file; several are merged")
    anyone = "download the one corpus that anyone may have: cmu_faces"
    fetch = actions.add_parser("fetch", help=anyone, description=FETCH, epilog=FETCH_EXIT, **raw)
    fetch.add_argument("name", metavar="NAME", help="cmu_faces")
    fetch.add_argument("--url", metavar="URL", help="another address of the same archive")
    fetch.add_argument("--sha256", metavar="HEX", help="checksum that the archive must have")
    for command in (listing, check):
        command.add_argument("--data-dir", metavar="D", help="its own folder, or the folder that holds it")
    for command in (bring, fetch):
        folder = "the folder that holds corpora, made if needed (default: $FER_DATA, else ~/fer-data)"
        command.add_argument("--data-dir", metavar="D", help=folder)
        command.add_argument("--replace", action="store_true", help="replace a copy that is there already")
    check.set_defaults(action=lambda given: _check(given.name, given.data_dir, given.json))
    for command, action in ((listing, _list), (bring, _import), (fetch, _fetch)):
        command.set_defaults(action=action)


def _list(arguments: argparse.Namespace) -> int:
    from fer_lib.data import datasets

    base = datasets.data_folder(arguments.data_dir)
    if arguments.data_dir and not base.is_dir():
        raise FerError(f"--data-dir {base}: there is no such folder.")
    print(f"Looked for in {base} (--data-dir, else $FER_DATA, else ~/fer-data)")
    for name, card in datasets.CARDS.items():
        try:
            state, more = "built in", ""
            if not card.synthetic:
                state, more = "here", os.fspath(datasets.find(name, base))
        except AbsentDataError:
            state, more = "absent", " ".join(card.obtain.split())
        except FerError as error:
            state, more = "faulty", str(error)
        print(f"{name:<11} {state:<9} {card.title}" + (f"\n{'':<21} {more}" if more else ""))
    return 0


def _check(name: str, folder: str | Path | None, as_json: bool = False) -> int:
    """Check a corpus, print what was found and return the exit code."""
    from fer_lib import faces
    from fer_lib.data import datasets

    found = datasets.check(name, folder, faces.FACE)
    if as_json:
        print(json.dumps(found, indent=1, ensure_ascii=False, default=lambda array: array.tolist()))
    else:
        print_check(found)
    return 0 if found["ok"] else 1


def _import(arguments: argparse.Namespace) -> int:
    from fer_lib.data.arrival import import_files

    folder, packed = import_files(arguments.name, arguments.files, arguments.data_dir, arguments.replace)
    names = " and ".join(Path(path).name for path in arguments.files)
    print(f"Brought {names} into {folder}")
    for name in packed:
        print(f"  still packed: {name}")
    return _check(arguments.name, folder.parent)


def _fetch(arguments: argparse.Namespace) -> int:
    from fer_lib.data.arrival import RECORD, fetch

    chosen = {key: getattr(arguments, key) for key in ("url", "sha256", "replace")}
    folder, record = fetch(arguments.name, arguments.data_dir, **chosen)
    print(f"Downloaded {record['url']} ({record['size'] / 1e6:,.1f} MB) into {folder}")
    print(f"  sha256 {record['sha256']}, recorded in {RECORD}")
    return _check(arguments.name, folder.parent)


def print_check(found: dict[str, Any]) -> None:
    """Print a check's findings, the problems last where they are seen."""
    form = f" ({found['form']})" if found.get("form") else ""
    print(f"{found['dataset']} at {found['root']}{form}" if found["root"] else f"{found['dataset']}{form}")
    rows = {name: found.get(name) for name in ("images", "sequences", "subjects", "splits", "per_class")}
    if found.get("ignored"):
        some = ", ".join(found.get("ignored_names") or ())
        rows["passed over"] = f"{found['ignored']:,} files, because of their names" + (some and f": {some}")
        rows["passed over"] += " ..." if some and found["ignored"] > len(found["ignored_names"]) else ""
    expected = found.get("expected") or {}
    facts = found.get("facts") or {}
    counted = rows["splits"] | facts
    rows["found of expected"] = {name: f"{counted.get(name, 0)}/{n}" for name, n in expected.items()}
    rows["also found"] = {name: n for name, n in facts.items() if name not in expected}
    if told := found.get("authenticity"):
        figures = [f"{name.replace('_', ' ')} {value}" for name, value in list(told.items())[2:]]
        rows["original"] = f"{'yes' if told['original'] else 'no'} ({', '.join(figures)})"
    audit = {name: value for name, value in (found.get("audit") or {}).items() if name not in rows}
    for name, value in (rows | audit | {"fingerprint": found["fingerprint"]}).items():
        if value is not None and value != {}:
            inner = value.items() if isinstance(value, dict) else ()
            text = ", ".join(f"{key} {count}" for key, count in inner) if inner else value
            print(f"  {name.replace('_', ' '):<24} {text}")
    if found.get("licence"):
        print(f"  {'licence':<24} {found['licence']}")
    for remark in found.get("remarks", ()):
        print(f"  note: {remark}")
    problems = found["problems"]
    title = "1 problem:" if len(problems) == 1 else f"{len(problems)} problems, gravest first:"
    print("all well" if found["ok"] else title)
    for problem in problems:
        print(f"  - {problem}")
