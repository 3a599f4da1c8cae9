"""The names in a run folder: what they are, and that no other module knows them."""

import ast
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from lotus.runs import RunFolder

REPOSITORY = Path(__file__).resolve().parents[2]
LAYOUT = REPOSITORY / "lotus/runs/layout.py"
RUN = RunFolder(Path("runs/student/1"))
NAMES = {
    "config.yaml": RUN.config,
    "environment.json": RUN.environment,
    "splits.json": RUN.splits,
    "data.json": RUN.data,
    "log.txt": RUN.log,
    "metrics.csv": RUN.curves,
    "checkpoints/best.ckpt": RUN.best,
    "checkpoints/last.ckpt": RUN.last,
    "checkpoints/student.ckpt": RUN.student,
    "encoder.safetensors": RUN.encoder,
    "predictions/a.1.tif": RUN.prediction_of("a.1"),
    "targets/a.1.tif": RUN.target_of("a.1"),
    "images/a.1.png": RUN.image_of("a.1"),
    "classes/a.1.tif": RUN.classes_of("a.1"),
    "scores.csv": RUN.scores,
    "domains.csv": RUN.domain_scores,
    "predict/images/a.png": RUN.predicted.image_of("a"),
    "report.html": RUN.report,
    "fold3/scores.csv": RUN.fold(3).scores,
    "fold{fold}/checkpoints/best.ckpt": RUN.fold("{fold}").best,
    "splits/fold3.json": RUN.split_of_fold(3),
    "fold_scores.csv": RUN.fold_scores,
    "nnunet": RUN.nnunet,
    "trial007/trial.json": RUN.trial(7).trial_record,
    "sweep.csv": RUN.trial_table,
    "comparison.tex": RUN.comparison(".tex"),
    "per_image.csv": RUN.compared_images,
    "explained/explained.csv": RUN.explanation.explained,
    "explained/patients.csv": RUN.explanation.explained_patients,
    "explained/summary.csv": RUN.explanation.explained_summary,
    "explained/explained.json": RUN.explanation.explained_settings,
    "explained/overlays.png": RUN.explanation.explained_sheet,
    "explained/overlays/s@0,5.png": RUN.explanation.overlay_of("s@0,5"),
    "against.csv": RUN.explained_against,
    "other/explained.csv": RUN.explained_other.explained,
}


@pytest.mark.parametrize("name", NAMES)
def test_names(name):
    assert NAMES[name] == RUN.path / name


def test_every_scored_run_has_three_folders_of_images():
    run = RUN.path
    expected = {run / "predictions": "*.tif", run / "targets": "*.tif", run / "images": "*.png"}
    assert RUN.patterns == expected


def test_planned_folds_need_not_have_been_run(tmp_path):
    run = RunFolder(tmp_path)
    assert list(run.planned_folds()) == []
    for number in range(2):
        run.split_of_fold(number).parent.mkdir(exist_ok=True)
        run.split_of_fold(number).touch()
    assert list(run.planned_folds()) == [run.fold(0), run.fold(1)]


def test_a_checkpoint_tells_its_run_wherever_it_is_called_from(tmp_path, monkeypatch):
    run = RunFolder(tmp_path.resolve() / "run")
    run.checkpoints.mkdir(parents=True)
    assert RunFolder.of_checkpoint(run.best) == run
    monkeypatch.chdir(run.checkpoints)
    assert RunFolder.of_checkpoint(Path("best.ckpt")) == run
    assert RunFolder.of_checkpoint(tmp_path / "best.ckpt") is None
    assert RunFolder.of_checkpoint(Path("/best.ckpt")) is None


# Names of files are unlike anything else. Those of folders are everyday words, which count where
# they are joined to a path, and only in `lotus`: data sets have folders of images too.
_TABLES = r"(metrics|scores|fold_scores|sweep|per_image)\.csv|comparison\.\w"
_RECORDS = r"config\.yaml|(environment|splits|data|trial)\.json|log\.txt|report\.html(?!\.)"
_CHECKPOINTS = r"(best|last|student)\.ckpt"
_MAPS = r"^(predictions|targets|images|classes)/\*"
FILE = re.compile(rf"(?<![\w.])({_TABLES}|{_RECORDS}|{_CHECKPOINTS})|{_MAPS}")
FOLDER = re.compile(
    r"(^|/)(checkpoints|predictions|targets|images|classes|predict|splits|nnunet|(fold|trial)\d*)"
    r"(/|$)"
)
JOINING = {"Path", "joinpath", "with_name", "glob", "rglob"}
HELP = {"help", "description", "epilog", "metavar"}


def is_shown(node: ast.AST) -> bool:
    """Whether a node is a docstring, or what a command line shows of itself."""
    return (
        (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or (isinstance(node, ast.keyword) and node.arg in HELP)
        or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "USAGE")
    )


def joined(node: ast.AST) -> list[ast.expr]:
    """What is joined to a path here, by ``/``, ``Path(...)`` or a method of paths."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return [node.right]
    if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in JOINING:
        return node.args
    return []


def inside(nodes: Iterable[ast.AST]) -> set[ast.AST]:
    return {part for node in nodes for part in ast.walk(node)}


def own_names(source: str, folders: bool) -> list[str]:
    """Texts of a module that know a name of the run folder, with their lines."""
    nodes = list(ast.walk(ast.parse(source)))
    shown = inside(filter(is_shown, nodes))
    parts = inside(part for node in nodes for part in joined(node)) if folders else set()
    return [
        f"{node.lineno}: {node.value!r}"
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in shown
        if FILE.search(node.value) or (node in parts and FOLDER.search(node.value))
    ]


MODULES = [
    path
    for package in ("lotus", "data_modules")
    for path in sorted((REPOSITORY / package).rglob("*.py"))
    if path != LAYOUT
]


def test_no_other_module_knows_the_names():
    wrong = [
        f"{path.relative_to(REPOSITORY)}:{found}"
        for path in MODULES
        for found in own_names(
            path.read_text(encoding="utf-8"), folders=path.is_relative_to(REPOSITORY / "lotus")
        )
    ]
    assert wrong == []


def test_no_template_knows_the_names():
    templates = sorted((REPOSITORY / "lotus").rglob("*.j2"))
    assert templates
    assert [path for path in templates if FILE.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    "source",
    [
        "run / 'config.yaml'",
        "run / 'predictions' / name",
        "f'{run} has no scores.csv: test it'",
        "f'fold{number}/a' ; run / f'fold{number}'",
        "Path('checkpoints', best)",
        "patterns = ('targets/*.tif',)",
        "LOG = 'log.txt'",
        "folder.glob('splits')",
    ],
)
def test_a_name_is_found_wherever_it_stands(source):
    assert own_names(source, folders=True)


@pytest.mark.parametrize(
    "source",
    [
        "'''Reads config.yaml.'''",
        "parser.add_argument('--folds', help='splits.json of a cross-validation')",
        "outputs['classes'] + batch['images']",
        "template = 'report.html.j2'",
        "raw / 'dataset.json'",
    ],
)
def test_other_texts_are_left_alone(source):
    assert own_names(source, folders=True) == []
