"""What is compared: a git revision, a checkout as it is, an interpreter, or what is installed here.

A revision is cloned next to nothing of the user's and installed into a virtual environment of its
own, which is kept by revision. All it shares with the other side are the packages that both depend
on: those of the environment that the harness runs in.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import signal
import site
import subprocess
import sys
import tempfile
import tomllib
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harness.errors import UsageError
from harness.store import repositories

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BUILD_LIMIT = 1800.0
"""Seconds after which an installation is given up."""

BUILDING = "building-"
"""What names of folders begin with while something is built in them."""

GITLINK = "160000"
"""The mode of a submodule in a tree of git."""

SHARED = "shared_with_the_other_side.pth"

RAISED = re.compile(r"(\w+\.)*[A-Z]\w*[a-z]\w*: .+")
"""The last line of a traceback."""

DATA = re.compile(r"\.(db|db-wal|db-shm|json|jsonl|csv|parquet|md|xml|html|svg|png|pdf)$")
"""New files that are no code: stores and reports."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of two to compare.

    Args:
        name: as the user gave it.
        python: the interpreter that it runs in.
        about: what it is, in a few words.
        kind: the environment that the harness itself runs in (``here``), another one, a revision,
            or a checkout as it is, with its changes.
        revision: full hash of the commit, or empty.
    """

    name: str
    python: str
    about: str
    kind: Literal["here", "environment", "revision", "checkout"] = "environment"
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Submodule:
    """A repository within another one.

    Args:
        path: from the top of the outermost.
        revision: full hash of the commit.
        repository: where that commit is on this machine; None if it is not.
    """

    path: Path
    revision: str
    repository: Path | None


HERE = Side("here", sys.executable, "this environment", "here")


def cache_folder() -> Path:
    """Where built revisions are kept; everything in it may be deleted at any time."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "classification-harness" / "sides"


@contextmanager
def side_of(
    text: str, folder: Path, *, tell: Callable[[str], object] = lambda _: None
) -> Iterator[Side]:
    """A side as the user names it, for as long as it is needed.

    Args:
        text: an interpreter, a virtual environment, a git checkout (its top, the folder of a
            project in it, or ``.`` anywhere in it; built as it is, changes included), or a revision
            of the repository that ``folder`` is in.  ``.`` and a revision are of the project that
            ``folder`` is in, where a repository has several.
        folder: the current one.
        tell: called with what takes time.

    Raises:
        UsageError: it is none of these, or cannot be built.
    """
    if not text:  # as a variable is that nobody set
        raise UsageError("a side is a revision, an environment or a checkout, not nothing")
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:  # nobody of that name has a home
        raise UsageError(f"'{text}': {error}") from error
    if not path.is_absolute():
        path = folder / path
    python = interpreter(path)
    if python:
        yield Side(text, str(python), f"the environment of {python}")
        return
    top = repositories.line(folder, "rev-parse", "--show-toplevel")
    checkout = path.resolve() if (path / ".git").exists() else None
    if top and path.is_dir() and folder.resolve().is_relative_to(path.resolve()):
        # `.` within a checkout is all of it. A folder further down may be a mistyped revision.
        checkout = checkout or (Path(top) if path.resolve().is_relative_to(top) else None)
    if checkout:
        with _built_as_it_is(text, checkout, _project_of(path, checkout), tell) as side:
            yield side
        return
    revision = top and repositories.line(
        folder, "rev-parse", "--verify", "--quiet", f"{text}^{{commit}}"
    )
    if not top and (refusal := _refusal(folder)):
        raise UsageError(f"'{text}': git does not read the repository here: {refusal}")
    around = (
        repositories.line(path, "rev-parse", "--show-toplevel")
        if not revision and _offers(path)
        else ""
    )
    if around:
        with _built_as_it_is(text, Path(around), _project_of(path, Path(around)), tell) as side:
            yield side
        return
    if not top or not revision:
        where = f"of the repository {top}" if top else f"({folder} is in no git repository)"
        raise UsageError(
            f"'{text}' is no Python interpreter, no virtual environment, no checkout, and no "
            f"revision {where}"
        )
    yield _built(text, Path(top), _project_of(folder, Path(top)), revision, tell)


def _project_of(folder: Path, top: Path) -> Path:
    """Where the nearest project at or above a folder of a checkout is, from the checkout's top."""
    folder, top = folder.resolve(), top.resolve()
    above = (place for place in (folder, *folder.parents) if place.is_relative_to(top))
    return next((place for place in above if _offers(place)), top).relative_to(top)


def _offers(folder: Path) -> bool:
    """Whether there is a project to install; many a pyproject.toml has settings of tools only."""
    try:
        settings = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except OSError:
        settings = {}
    except ValueError:  # whoever builds it tells what is wrong
        return True
    older = any((folder / file).is_file() for file in ("setup.py", "setup.cfg"))
    return older or bool({"project", "build-system"} & set(settings))


def interpreter(path: Path) -> Path | None:
    """The Python that a path names: itself, or that of a virtual environment."""
    for candidate in (path, path / "bin" / "python", path / "Scripts" / "python.exe"):
        named = candidate != path or "python" in path.name
        if named and candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate.absolute()
    return None


def _refusal(folder: Path) -> str:
    """Why git does not read the repository that a folder is in; empty where there is none."""
    done = repositories.asked(folder, "rev-parse", "--show-toplevel")
    said = done.stderr.strip().splitlines() if done and done.returncode else []
    first = said[0].removeprefix("fatal: ") if said else ""
    return "" if "not a git repository" in first else first


def uncommitted(folder: Path) -> bool:
    """Whether the checkout that a folder is in has changes that no revision has.

    New files count where they may be code: what a measurement leaves behind is none.
    """
    listed = repositories.line(folder, "status", "--porcelain", "-z").split("\0")
    return any(entry and not (entry.startswith("?? ") and DATA.search(entry)) for entry in listed)


def _built(
    name: str, top: Path, project: Path, revision: str, tell: Callable[[str], object]
) -> Side:
    """A revision in an environment of its own, which is made unless it is there."""
    submodules = list(_submodules(_common(top), revision, top))
    missing = [submodule for submodule in submodules if not submodule.repository]
    for submodule in missing:
        tell(_left_out(submodule.path, f"{name} is built", f"commit {submodule.revision[:10]}"))
    words = [str(top), revision, sys.executable, sys.version, *_here()]
    words += [f"in {project}"] * (project != Path()) + [f"without {one.path}" for one in missing]
    place = cache_folder() / hashlib.sha256("\0".join(words).encode()).hexdigest()[:20]
    about = f"revision {revision[:10]}"
    if not interpreter(place):
        tell(f"building {about} ({name})")
        with _workshop() as shop:
            source = shop / "source"
            _check_out(name, _common(top), revision, source)
            for submodule in submodules:
                if submodule.repository:
                    place_of_it = source / submodule.path
                    _check_out(name, submodule.repository, submodule.revision, place_of_it)
            _install(name, source, project, shop / "environment")
            place.parent.mkdir(parents=True, exist_ok=True)
            with _locked(place.parent):
                if not interpreter(place):  # else somebody else was quicker
                    # What is there is of an interpreter that is there no more.
                    shutil.rmtree(place, ignore_errors=True)
                    (shop / "environment").rename(place)
    return Side(name, str(interpreter(place)), about, "revision", revision)


def _check_out(name: str, repository: Path, revision: str, place: Path) -> None:
    """A revision of a git folder in a place of ours."""
    _clone(name, repository, place)
    _do(name, "check out", "git", "-C", place, "checkout", "--quiet", "--detach", revision)


def _clone(name: str, repository: Path, place: Path) -> None:
    """A clone of a git folder without files.

    A worktree would be noted in the user's repository, and stay there if this process were killed.
    """
    # --shared copies none of the history.
    words = ("clone", "--quiet", "--shared", "--no-checkout")
    _do(name, "clone", "git", *words, repository, place)
    _lend(repository, place)


def _common(top: Path) -> Path:
    """The git folder of a checkout, which its worktrees share."""
    return (top / repositories.line(top, "rev-parse", "--git-common-dir")).resolve()


def _submodules(
    repository: Path, revision: str, checkout: Path, at: Path = Path()
) -> Iterator[Submodule]:
    """The submodules of a revision, outer ones first, as far as they are on this machine.

    Args:
        repository: the git folder that has the revision.
        revision: of it.
        checkout: where the user has it checked out.
        at: where it is itself, from the top of the outermost.
    """
    for entry in filter(None, _git_in(repository, "ls-tree", "-r", "-z", revision).split("\0")):
        about, _, path = entry.partition("\t")
        mode, _, commit = about.split()
        if mode != GITLINK:
            continue
        places = [repository / "modules" / _submodule_name(repository, revision, path)]
        if (checkout / path / ".git").exists():  # else git would mean the one around it
            places.insert(0, _common(checkout / path))
        has = f"{commit}^{{commit}}"
        known = (p for p in places if _git_in(p, "rev-parse", "--verify", "--quiet", has))
        found = Submodule(at / path, commit, next(known, None))
        yield found
        if found.repository:
            yield from _submodules(found.repository, commit, checkout / path, found.path)


def _submodule_name(repository: Path, revision: str, path: str) -> str:
    """What .gitmodules calls the submodule at a path, which is mostly its first path."""
    words = ("--blob", f"{revision}:.gitmodules", "--get-regexp", r"^submodule\..*\.path$")
    for entry in _git_in(repository, "config", "-z", *words).split("\0"):
        key, _, value = entry.partition("\n")
        if value == path:
            return key.removeprefix("submodule.").removesuffix(".path")
    return path


def _git_in(repository: Path, *words: str) -> str:
    """What git says of a git folder, wherever that one's files are or were."""
    return repositories.line(
        repository, "--git-dir", str(repository), "--work-tree", str(repository), *words
    )


def _left_out(path: Path, doing: str, what: str) -> str:
    return (
        f"{doing} without its submodule '{path}': {what} of that submodule is missing here; "
        "`git submodule update --init --recursive` fetches it"
    )


def _lend(common: Path, source: Path) -> None:
    """Let a clone have all objects of its original, which git denies to clones of shallow ones.

    In CI the base is often a commit that was fetched alone, and no clone gets that.
    """
    alternates = source / ".git" / "objects" / "info" / "alternates"
    if not alternates.exists():
        alternates.write_text(f"{common / 'objects'}\n", encoding="utf-8")
    if (common / "shallow").is_file():
        shutil.copyfile(common / "shallow", source / ".git" / "shallow")


@contextmanager
def _built_as_it_is(
    name: str, top: Path, project: Path, tell: Callable[[str], object]
) -> Iterator[Side]:
    """A checkout with all that is changed in it, built anew each time."""
    tell(f"building {top / project} as it is")
    with _workshop() as shop:
        if repositories.line(top, "rev-parse", "--verify", "--quiet", "HEAD"):
            # What asks git for its version, as setuptools-scm does, is answered.
            source = shop / "source"
            _clone(name, _common(top), source)
            _do(
                name,
                "look at",
                "git",
                "-C",
                source,
                "read-tree",
                repositories.line(top, "rev-parse", "HEAD"),
            )
        for path in _files_of(name, top, tell):
            target = shop / "source" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if (top / path).is_symlink():
                target.symlink_to(_link(top / path, top))
            else:
                shutil.copy2(top / path, target)
        _install(name, shop / "source", project, shop / "environment")
        changed = ", with uncommitted changes" if uncommitted(top) else ""
        yield Side(
            name,
            str(interpreter(shop / "environment")),
            f"{top / project} as it is{changed}",
            "checkout",
            repositories.line(top, "rev-parse", "HEAD"),
        )


def _files_of(
    name: str, top: Path, tell: Callable[[str], object], at: Path = Path()
) -> Iterator[Path]:
    """The files and links of a checkout and of its submodules, from the outermost's top."""
    listed = repositories.line(
        top / at, "ls-files", "-z", "--cached", "--others", "--exclude-standard"
    )
    for entry in sorted(set(filter(None, listed.split("\0")))):
        path = at / entry
        place = top / path
        if place.is_symlink() or place.is_file():
            yield path
        elif place.is_dir() and not entry.endswith("/"):  # as of one that is no submodule
            if (place / ".git").exists():
                yield from _files_of(name, top, tell, path)
            else:
                tell(_left_out(path, f"{name} is built", "nothing"))


def _link(link: Path, top: Path) -> Path:
    """Where a copy of a link leads: within the tree to the copied file, else to the same place."""
    target = link.readlink()
    there = Path(os.path.normpath(link.parent / target))
    return target if target.is_absolute() or there.is_relative_to(top) else there


@contextmanager
def _workshop() -> Iterator[Path]:
    """A folder in the cache that is gone afterwards, so that what is done in it can be moved."""
    parent = cache_folder()
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot write to '{parent}', where built revisions are kept: "
            f"{error.strerror or error}; set XDG_CACHE_HOME"
        ) from error
    with ExitStack() as stack:
        with _locked(parent):
            _clean(parent)
            shop = Path(tempfile.mkdtemp(prefix=BUILDING, dir=parent))
            stack.callback(shutil.rmtree, shop, ignore_errors=True)
            stack.enter_context(_locked(shop))
        yield shop


def _clean(parent: Path) -> None:
    """Remove what builders left behind that were killed: nobody holds its lock."""
    for shop in parent.glob(f"{BUILDING}*"):
        with suppress(OSError), _locked(shop, wait=False):
            shutil.rmtree(shop, ignore_errors=True)


@contextmanager
def _locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """A folder that is this process's alone, as long as it lives; no process it starts inherits it.

    Raises:
        OSError: it is somebody else's and one does not wait, or there are no locks here.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            if not wait:
                raise
            # A file system without locks: nothing is ever found to be left behind on it.
        yield
    finally:
        os.close(descriptor)


def _install(name: str, tree: Path, project: Path, environment: Path) -> None:
    """Install a project of a tree alone; what it depends on comes from where the harness runs."""
    source = tree / project
    if not _offers(source):
        where = "at its top" if project == Path() else f"in '{project}'"
        below = sorted(path.parent.relative_to(tree) for path in tree.glob("*/**/pyproject.toml"))
        others = ", ".join(str(path) for path in below if _offers(tree / path))
        raise UsageError(
            f"side '{name}' does not build: no pyproject.toml {where} has a project, so that there "
            "is nothing to install" + (f"; go into one of its projects: {others}" if others else "")
        )
    _do(name, "make an environment", sys.executable, "-m", "venv", "--without-pip", environment)
    python = environment / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    install = ("install", "--quiet", "--no-deps", source)
    _do(name, "install", *pip, *install, scratch=environment.parent)
    found = _do(
        name,
        "look into its environment",
        *(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"),
    )
    # Its own packages come first on the path; what is installed here fills in the rest.
    lines = [f"import site; site.addsitedir({str(place)!r})" for place in _here()]
    (Path(found.strip()) / SHARED).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _here() -> list[str]:
    """Where this environment's packages are."""
    places = [*site.getsitepackages(), *([site.getusersitepackages()] if _user_site() else [])]
    return [place for place in places if Path(place).is_dir()]


def _user_site() -> bool:
    return bool(site.ENABLE_USER_SITE)


def _environment() -> dict[str, str]:
    """Ours, but for what would lead git to another repository and Python to other packages."""
    hidden = (*repositories.LOCAL, "PYTHONPATH", "PYTHONHOME")
    return {name: value for name, value in os.environ.items() if name not in hidden}


def _do(name: str, what: str, *command: str | Path, scratch: Path | None = None) -> str:
    """Run a command of a build, its temporary files in a folder that will be removed.

    Raises:
        UsageError: it fails; with the line that tells most of what it said.
    """
    try:
        with subprocess.Popen(  # noqa: S603  # no shell
            list(map(str, command)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=_environment() | ({"TMPDIR": str(scratch)} if scratch else {}),
            start_new_session=True,
        ) as process:
            try:
                said, errors = process.communicate(timeout=BUILD_LIMIT)
            except BaseException:
                # With all that it started: what goes on would write where it is tidied up.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"side '{name}' does not build: cannot {what}: {error}") from error
    if process.returncode:
        reason = _reason(said + errors) or f"status {process.returncode}"
        raise UsageError(f"side '{name}' does not build: cannot {what}: {reason}")
    return said


def _reason(said: str) -> str:
    r"""The line that tells most: what a build raised, or what pip or git calls an error.

    >>> _reason("error: subprocess-exited-with-error\n  OSError: no space left\n  [end]")
    'OSError: no space left'
    """
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    raised = [line for line in lines if RAISED.match(line)]
    errors = [line for line in lines if line.lower().startswith(("error", "fatal"))]
    return next((found[-1] for found in (raised, errors, lines) if found), "")
