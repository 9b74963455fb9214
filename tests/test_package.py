"""The installed project is only `hierrec`, and works from any folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shared_imports import commands

ROOT = Path(__file__).parents[1]


PIP = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]


def copy_source(folder: Path) -> Path:
    """Copy what is installed, since a build writes into its source."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("pipeline", ".package"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content."""
    source, target = copy_source(tmp_path_factory.mktemp("source")), tmp_path_factory.mktemp("site")
    subprocess.run([*PIP, "--target", str(target), str(source)], check=True)
    return target


def isolated(program: str, folder: Path) -> str:
    """Run code in a folder, without the PYTHONPATH of the tests; return what it prints."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [commands() / "python", "-c", program]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def python(installed: Path, code: str) -> str:
    """Run code in another folder, with the installed package first on the path."""
    return isolated(f"import sys; sys.path.insert(0, {str(installed)!r})\n{code}", installed.parent)


def test_no_generic_name_reaches_site_packages(installed: Path) -> None:
    names = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert names <= {"hierrec", "bin"}


@pytest.mark.parametrize(
    ("environment", "spins"), [("", "1000"), ("GOMP_SPINCOUNT=7", "7"), ("OMP_WAIT_POLICY=ACTIVE", None)]
)
def test_waiting_threads_sleep_soon_unless_the_user_says_otherwise(
    installed: Path, environment: str, spins: str | None
) -> None:
    name, _, value = environment.partition("=")
    code = (
        "import os\n"
        "for name in ('GOMP_SPINCOUNT', 'OMP_WAIT_POLICY'): os.environ.pop(name, None)\n"
        f"os.environ |= {{{name!r}: {value!r}}} if {name!r} else {{}}\n"
        "import hierrec\n"
        "print(os.environ.get('GOMP_SPINCOUNT'))"
    )
    assert python(installed, code) == str(spins)


def test_the_bundled_encoder_works_from_another_folder(installed: Path) -> None:
    code = (
        "import hierrec\n"
        "from hierrec.encode.encoder import ItemEncoder\n"
        "from hierrec.encode.params import EncodeParams\n"
        "some = {'model': 't5-nano', 'revision': None, 'template': '{title}', 'max_length': 64}\n"
        "encoder = ItemEncoder.of(EncodeParams(**some, batch_tokens=4096, whitening_dimension=None))\n"
        "vectors = encoder.encode(['A space war', 'A love story'], 4096)\n"
        "print(hierrec.__file__, vectors.shape[0])"
    )
    file, count = python(installed, code).split()
    assert Path(file).is_relative_to(installed)
    assert count == "2"


def test_every_package_is_in_the_wheel(installed: Path) -> None:
    sources = {path.relative_to(ROOT / "pipeline") for path in (ROOT / "pipeline").rglob("*.py")}
    assert {path for path in sources if not (installed / "hierrec" / path).is_file()} == set()


def test_an_editable_install_works_from_the_folder_that_holds_the_clone(tmp_path: Path) -> None:
    """There the clone's folder `hierrec` looks like a package without code."""
    clone, site = copy_source(tmp_path / "hierrec"), tmp_path / "site"
    subprocess.run([*PIP, "--target", str(site), "--editable", str(clone)], check=True)
    code = "import hierrec; from hierrec import Recommender; print(hierrec.__file__, Recommender.__name__)"
    # `addsitedir` reads .pth files as in site-packages; a --target folder is not read.
    # The environment's own editable install is another checkout's.
    others = "sys.path[:] = [path for path in sys.path if not path.endswith('.package')]"
    program = f"import site, sys; {others}; site.addsitedir({str(site)!r}); sys.path.insert(0, ''); {code}"
    for folder in (tmp_path, clone):
        file, name = isolated(program, folder).split()
        assert Path(file).resolve() == clone / "pipeline" / "__init__.py"
        assert name == "Recommender"


def test_the_command_starts_without_heavy_imports() -> None:
    heavy = {"torch", "transformers", "faiss", "polars"}
    code = f"import sys, hierrec.cli; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_processes_that_tests_start_run_this_checkout(tmp_path: Path) -> None:
    code = "import hierrec; print(hierrec.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).resolve() == ROOT / "pipeline" / "__init__.py"
