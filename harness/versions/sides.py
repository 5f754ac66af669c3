"""The sides of a comparison: a git revision, a checkout, an interpreter, or this environment.

A revision is cloned into the cache folder, away from the user's files, and installed into a virtual
environment of its own, which is kept for the next time. The two sides share only the packages that
both depend on, which come from the environment that the harness runs in.
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

from harness.errors import UsageError, cannot_write
from harness.store import repositories

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BUILD_LIMIT = 1800.0
"""Time limit in seconds for each command of a build."""

BUILDING = "building-"
"""Prefix of the names of folders in which a build is in progress."""

GITLINK = "160000"
"""The mode of a submodule in a git tree."""

SHARED = "shared_with_the_other_side.pth"

RAISED = re.compile(r"(\w+\.)*[A-Z]\w*[a-z]\w*: .+")
"""The last line of a traceback."""

DATA = re.compile(r"\.(db|db-wal|db-shm|json|jsonl|csv|parquet|md|xml|html|svg|png|pdf)$")
"""New files that cannot be code, such as stores and reports."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two sides of a comparison.

    Args:
        name: the name that the user gave.
        python: path of the interpreter that runs the side.
        about: a short description.
        kind: ``here`` is the environment that the harness itself runs in; ``environment`` is
            another one; ``revision`` is a commit; ``checkout`` is a checkout with its changes.
        revision: full hash of the commit, or empty.
    """

    name: str
    python: str
    about: str
    kind: Literal["here", "environment", "revision", "checkout"] = "environment"
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Submodule:
    """A git repository within another one.

    Args:
        path: path from the top of the outermost repository.
        revision: full hash of the commit.
        repository: git folder on this machine that has the commit; None if there is none.
    """

    path: Path
    revision: str
    repository: Path | None


HERE = Side("here", sys.executable, "this environment", "here")


def cache_folder() -> Path:
    """The folder of built revisions; everything in it may be deleted at any time."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "classification-harness" / "sides"


@contextmanager
def side_of(
    text: str, folder: Path, *, tell: Callable[[str], object] = lambda _: None
) -> Iterator[Side]:
    """The side that the user names, built if necessary; a context manager.

    Args:
        text: an interpreter, a virtual environment, a git checkout (its top, the folder of a
            project in it, or ``.`` anywhere in it; built with all uncommitted changes), or a
            revision of the repository that contains ``folder``. If the repository has several
            projects, ``.`` and a revision mean the project that contains ``folder``.
        folder: the current folder.
        tell: called with a description of each slow step.

    Raises:
        UsageError: the text names none of these, or the side cannot be built.
    """
    if not text:  # for example an unset variable of the shell
        raise UsageError("a side is empty; name a revision, an environment or a checkout")
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:  # `~name` of a user without a home
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
        # `.` anywhere in a checkout means that checkout. Another folder in it may be a mistyped
        # revision.
        checkout = checkout or (Path(top) if path.resolve().is_relative_to(top) else None)
    if checkout:
        with _built_as_it_is(text, checkout, _project_of(path, checkout), tell) as side:
            yield side
        return
    revision = top and repositories.line(
        folder, "rev-parse", "--verify", "--quiet", f"{text}^{{commit}}"
    )
    if not top and (refusal := _refusal(folder)):
        raise UsageError(f"'{text}': git refuses to read the repository here: {refusal}")
    enclosing = (
        repositories.line(path, "rev-parse", "--show-toplevel")
        if not revision and _offers(path)
        else ""
    )
    if enclosing:
        with _built_as_it_is(
            text, Path(enclosing), _project_of(path, Path(enclosing)), tell
        ) as side:
            yield side
        return
    if not top or not revision:
        where = f"of the repository {top}" if top else f"({folder} is in no git repository)"
        raise UsageError(
            f"'{text}' is neither a Python interpreter, a virtual environment or a checkout, nor a "
            f"revision {where}"
        )
    yield _built(text, Path(top), _project_of(folder, Path(top)), revision, tell)


def _project_of(folder: Path, top: Path) -> Path:
    """The nearest project at or above a folder, as a path from the top of its checkout."""
    folder, top = folder.resolve(), top.resolve()
    above = (place for place in (folder, *folder.parents) if place.is_relative_to(top))
    return next((place for place in above if _offers(place)), top).relative_to(top)


def _offers(folder: Path) -> bool:
    """Whether a folder has a project to install, not just a pyproject.toml with tools' settings."""
    try:
        settings = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except OSError:
        settings = {}
    except ValueError:  # the build will report what is wrong
        return True
    older = any((folder / file).is_file() for file in ("setup.py", "setup.cfg"))
    return older or bool({"project", "build-system"} & set(settings))


def interpreter(path: Path) -> Path | None:
    """The Python interpreter that a path names, by itself or by its virtual environment."""
    for candidate in (path, path / "bin" / "python", path / "Scripts" / "python.exe"):
        named = candidate != path or "python" in path.name
        if named and candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate.absolute()
    return None


def _refusal(folder: Path) -> str:
    """Why git refuses to read the repository around a folder; empty if there is no repository."""
    answer = repositories.git(folder, "rev-parse", "--show-toplevel")
    lines = answer.stderr.strip().splitlines() if answer and answer.returncode else []
    first = lines[0].removeprefix("fatal: ") if lines else ""
    return "" if "not a git repository" in first else first


def uncommitted(folder: Path) -> bool:
    """Whether the checkout around a folder has uncommitted changes.

    New files count only if they may be code: stores and reports of measurements do not.
    """
    listed = repositories.line(folder, "status", "--porcelain", "-z").split("\0")
    return any(entry and not (entry.startswith("?? ") and DATA.search(entry)) for entry in listed)


def _built(
    name: str, top: Path, project: Path, revision: str, tell: Callable[[str], object]
) -> Side:
    """A revision in an environment of its own, which is built unless the cache has it."""
    submodules = list(_submodules(_common(top), revision, top))
    missing = [submodule for submodule in submodules if not submodule.repository]
    for submodule in missing:
        tell(_left_out(submodule.path, f"{name} is built", f"commit {submodule.revision[:10]}"))
    identity = [str(top), revision, sys.executable, sys.version, *_here()]
    identity += [f"in {project}"] * (project != Path()) + [
        f"without {submodule.path}" for submodule in missing
    ]
    place = cache_folder() / hashlib.sha256("\0".join(identity).encode()).hexdigest()[:20]
    about = f"revision {revision[:10]}"
    if not interpreter(place):
        tell(f"building {about} ({name})")
        with _workshop() as shop:
            source = shop / "source"
            _check_out(name, _common(top), revision, source)
            for submodule in submodules:
                if submodule.repository:
                    target = source / submodule.path
                    _check_out(name, submodule.repository, submodule.revision, target)
            _install(name, source, project, shop / "environment")
            place.parent.mkdir(parents=True, exist_ok=True)
            with _locked(place.parent):
                if not interpreter(place):  # unless another process was faster
                    # An environment whose interpreter has been removed may be in the way.
                    shutil.rmtree(place, ignore_errors=True)
                    (shop / "environment").rename(place)
    return Side(name, str(interpreter(place)), about, "revision", revision)


def _check_out(name: str, repository: Path, revision: str, place: Path) -> None:
    """Check a revision out into a new clone at ``place``."""
    _clone(name, repository, place)
    checkout = repositories.command(place, "checkout", "--quiet", "--detach", revision)
    _do(name, "check out", *checkout)


def _clone(name: str, repository: Path, place: Path) -> None:
    """Clone a git folder without checking files out.

    A worktree would be registered in the user's repository, and stay there if this process were
    killed.
    """
    # --shared copies none of the history.
    options = ("--quiet", "--shared", "--no-checkout")
    clone = repositories.command(Path(), "clone", *options, str(repository), str(place))
    _do(name, "clone", *clone)
    _lend(repository, place)


def _common(top: Path) -> Path:
    """The git folder of a checkout, which all worktrees of a repository share."""
    return (top / repositories.line(top, "rev-parse", "--git-common-dir")).resolve()


def _submodules(
    repository: Path, revision: str, checkout: Path, at: Path = Path()
) -> Iterator[Submodule]:
    """The submodules of a revision, outer ones first; inner ones only as far as they are available.

    Args:
        repository: the git folder that has the revision.
        revision: a revision of that repository.
        checkout: the user's checkout of that repository.
        at: path of that repository from the top of the outermost.
    """
    for entry in filter(None, _git_in(repository, "ls-tree", "-r", "-z", revision).split("\0")):
        about, _, path = entry.partition("\t")
        mode, _, commit = about.split()
        if mode != GITLINK:
            continue
        places = [repository / "modules" / _submodule_name(repository, revision, path)]
        if (checkout / path / ".git").exists():  # otherwise git would find the outer repository
            places.insert(0, _common(checkout / path))
        has = f"{commit}^{{commit}}"
        known = (p for p in places if _git_in(p, "rev-parse", "--verify", "--quiet", has))
        submodule = Submodule(at / path, commit, next(known, None))
        yield submodule
        if submodule.repository:
            yield from _submodules(submodule.repository, commit, checkout / path, submodule.path)


def _submodule_name(repository: Path, revision: str, path: str) -> str:
    """The name in .gitmodules of the submodule at a path; usually its first path."""
    options = ("--blob", f"{revision}:.gitmodules", "--get-regexp", r"^submodule\..*\.path$")
    for entry in _git_in(repository, "config", "-z", *options).split("\0"):
        key, _, value = entry.partition("\n")
        if value == path:
            return key.removeprefix("submodule.").removesuffix(".path")
    return path


def _git_in(repository: Path, *words: str) -> str:
    """Git's output for a git folder, wherever its files are or were."""
    return repositories.line(
        repository, "--git-dir", str(repository), "--work-tree", str(repository), *words
    )


def _left_out(path: Path, doing: str, what: str) -> str:
    return (
        f"{doing} without its submodule '{path}': {what} of that submodule is missing here; "
        "`git submodule update --init --recursive` fetches it"
    )


def _lend(common: Path, source: Path) -> None:
    """Give a clone access to all objects of its original, even if the original is shallow.

    In CI the base is often a single commit that was fetched alone, which git would not clone.
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
    """A checkout with all its uncommitted changes, built anew each time."""
    tell(f"building {top / project} as it is")
    with _workshop() as shop:
        if repositories.line(top, "rev-parse", "--verify", "--quiet", "HEAD"):
            # Build tools such as setuptools-scm ask git for the version.
            source = shop / "source"
            _clone(name, _common(top), source)
            head = repositories.line(top, "rev-parse", "HEAD")
            _do(name, "look at", *repositories.command(source, "read-tree", head))
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
        elif place.is_dir() and not entry.endswith("/"):  # git marks other repositories by "/"
            if (place / ".git").exists():
                yield from _files_of(name, top, tell, path)
            else:
                tell(_left_out(path, f"{name} is built", "nothing"))


def _link(link: Path, top: Path) -> Path:
    """The target for a copy of a link: the copied file if within the tree, else the same place."""
    target = link.readlink()
    there = Path(os.path.normpath(link.parent / target))
    return target if target.is_absolute() or there.is_relative_to(top) else there


@contextmanager
def _workshop() -> Iterator[Path]:
    """A temporary folder within the cache, so that its contents can be moved to the cache."""
    parent = cache_folder()
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        hint = "built revisions are kept there; set XDG_CACHE_HOME"
        raise cannot_write(parent, error, hint) from error
    with ExitStack() as stack:
        with _locked(parent):
            _clean(parent)
            shop = Path(tempfile.mkdtemp(prefix=BUILDING, dir=parent))
            stack.callback(shutil.rmtree, shop, ignore_errors=True)
            stack.enter_context(_locked(shop))
        yield shop


def _clean(parent: Path) -> None:
    """Remove the folders of builds that were killed; no process holds their locks."""
    for shop in parent.glob(f"{BUILDING}*"):
        with suppress(OSError), _locked(shop, wait=False):
            shutil.rmtree(shop, ignore_errors=True)


@contextmanager
def _locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Lock a folder for this process; its child processes do not inherit the lock.

    Raises:
        OSError: unless ``wait``, another process holds the lock or there are no locks here.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            if not wait:
                raise
            # On a file system without locks `_clean` never removes anything.
        yield
    finally:
        os.close(descriptor)


def _install(name: str, tree: Path, project: Path, environment: Path) -> None:
    """Install a project without its dependencies, which come from the harness's environment."""
    source = tree / project
    if not _offers(source):
        where = "at its top" if project == Path() else f"in '{project}'"
        project_folders = sorted(
            path.parent.relative_to(tree) for path in tree.glob("*/**/pyproject.toml")
        )
        others = ", ".join(str(path) for path in project_folders if _offers(tree / path))
        raise UsageError(
            f"side '{name}' does not build: no pyproject.toml {where} has a project, so that there "
            "is nothing to install" + (f"; go into one of its projects: {others}" if others else "")
        )
    _do(name, "make an environment", sys.executable, "-m", "venv", "--without-pip", environment)
    python = environment / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    install = ("install", "--quiet", "--no-deps", source)
    _do(name, "install", *pip, *install, scratch=environment.parent)
    site_packages = _do(
        name,
        "look into its environment",
        *(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"),
    )
    # The side's own packages come first on the path, before those of this environment.
    lines = [f"import site; site.addsitedir({str(place)!r})" for place in _here()]
    (Path(site_packages.strip()) / SHARED).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _here() -> list[str]:
    """The folders of this environment's packages."""
    places = [*site.getsitepackages(), *([site.getusersitepackages()] if _user_site() else [])]
    return [place for place in places if Path(place).is_dir()]


def _user_site() -> bool:
    return bool(site.ENABLE_USER_SITE)


def _environment() -> dict[str, str]:
    """This process's environment without variables that redirect git or Python."""
    hidden = (*repositories.LOCAL, "PYTHONPATH", "PYTHONHOME")
    return {name: value for name, value in os.environ.items() if name not in hidden}


def _do(name: str, what: str, *command: str | Path, scratch: Path | None = None) -> str:
    """Run a command of a build and return its output.

    Args:
        name: name of the side, for errors.
        what: description of the step, for errors.
        command: the command and its arguments.
        scratch: folder for the command's temporary files.

    Raises:
        UsageError: the command fails; with the most informative line of its output.
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
                output, errors = process.communicate(timeout=BUILD_LIMIT)
            except BaseException:
                # Ends its child processes, too: they would write into folders being removed.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"side '{name}' does not build: cannot {what}: {error}") from error
    if process.returncode:
        reason = _reason(output + errors) or f"status {process.returncode}"
        raise UsageError(f"side '{name}' does not build: cannot {what}: {reason}")
    return output


def _reason(output: str) -> str:
    r"""The most informative line of output: an exception, or an error reported by pip or git.

    >>> _reason("error: subprocess-exited-with-error\n  OSError: no space left\n  [end]")
    'OSError: no space left'
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    raised = [line for line in lines if RAISED.match(line)]
    errors = [line for line in lines if line.lower().startswith(("error", "fatal"))]
    return next((candidates[-1] for candidates in (raised, errors, lines) if candidates), "")
