"""The floors of the house: what a module may import, by its folder. CONTRIBUTING.md draws them."""

import ast
from pathlib import Path

import pytest

import fer_lib

TOP = Path(fer_lib.__file__).parent
FLOORS = {
    1: ("errors", "progress", "machine"),
    2: ("files", "expressions", "claims"),
    3: ("data", "learn"),
    4: ("features", "evidence"),
    5: ("faces", "judge"),
    6: ("papers", "show"),
    7: ("play", "cli"),
}
FLOOR = {folder: floor for floor, folders in FLOORS.items() for folder in folders}
STRANGERS = {("papers", "show"), ("show", "papers")}  # only notebooks and play join them


def module_of(path):
    """fer_lib/data/corpus.py -> ("data", "corpus")."""
    parts = path.relative_to(TOP).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def nodes(tree):
    """Yield what is in a tree, but not what only a reader of types imports."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            waiting.extend(ast.iter_child_nodes(node))


def imports(path):
    """Yield the modules of the library that a file imports anywhere in it, as tuples of names."""
    for node in nodes(ast.parse(path.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            first, *parts = name.split(".")
            if first == "fer_lib":
                while parts and not (
                    TOP.joinpath(*parts).is_dir() or TOP.joinpath(*parts).with_suffix(".py").is_file()
                ):
                    parts = parts[:-1]  # a name of a module is the module
                if parts:
                    yield tuple(parts)


FILES = sorted(path for path in TOP.rglob("*.py") if module_of(path))
ARROWS = sorted({(module_of(path), wanted) for path in FILES for wanted in imports(path)})


def named(arrow):
    return " -> ".join(".".join(module) for module in arrow)


def test_every_folder_has_a_floor():
    assert {module_of(path)[0] for path in FILES} == set(FLOOR)


@pytest.mark.parametrize("arrow", ARROWS, ids=named)
def test_no_arrow_goes_up(arrow):
    (source, *_), (wanted, *_) = arrow
    assert FLOOR[wanted] <= FLOOR[source], (
        f"{named(arrow)} goes up from floor {FLOOR[source]} to {FLOOR[wanted]}"
    )
    assert (source, wanted) not in STRANGERS, (
        f"{named(arrow)}: papers and show are joined by notebooks and play"
    )


def test_only_the_zoo_imports_several_papers():
    papers = {
        path.name for path in (TOP / "papers").iterdir() if path.is_dir() and path.name != "__pycache__"
    }
    for path in FILES:
        used = {wanted[1] for wanted in imports(path) if wanted[0] == "papers" and len(wanted) > 1} & papers
        own = {module_of(path)[1]} if module_of(path)[0] == "papers" and len(module_of(path)) > 1 else set()
        if path != TOP / "play" / "zoo.py":
            assert len(used - own) <= (0 if own else 1), f"{path.name} imports {sorted(used)}"


def test_imports_have_no_circle():
    graph = {}
    for source, wanted in ARROWS:
        if source != wanted[: len(source)]:  # a package's face may name its rooms
            graph.setdefault(source, set()).add(wanted)
    done, path = set(), []

    def visit(module):
        assert module not in path, "a circle: " + " -> ".join(".".join(m) for m in [*path, module])
        if module not in done:
            path.append(module)
            for wanted in sorted(graph.get(module, ())):
                visit(wanted)
            path.pop()
            done.add(module)

    for module in sorted(graph):
        visit(module)
