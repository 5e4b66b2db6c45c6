"""``python -m bench [P1,P3]``: runs the benchmarks, prints one table and writes bench/results.json."""

import importlib
import os
import pkgutil
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import bench
from bench import report
from bench.measuring import Result
from cryptopredict.tests.servers import ServerMissing, running_postgres

RESULTS = Path(__file__).parent / "results.json"
DATABASE = "cryptopredict_bench"


def modules() -> dict[str, str]:
    """The benchmarks by id, in the order of their numbers."""
    names = [module.name for module in pkgutil.iter_modules(bench.__path__)]
    found = {match[1].upper(): name for name in names if (match := re.match(r"(p\d+)_", name))}
    return dict(sorted(found.items(), key=lambda pair: int(pair[0][1:])))


def chosen(only: str) -> dict[str, str]:
    """Those of a list such as "P1,P3", all for an empty one. Raises ValueError for an unknown id."""
    known = modules()
    wanted = [name.strip().upper() for name in only.split(",") if name.strip()]
    if unknown := set(wanted) - set(known):
        raise ValueError(f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(known)}.")
    return {name: module for name, module in known.items() if not wanted or name in wanted}


@contextmanager
def prepared() -> Iterator[None]:
    """Django on an empty, migrated database of its own, which is dropped afterwards; never on what is there."""
    with tempfile.TemporaryDirectory(prefix="cryptopredict-bench-") as folder:
        os.environ |= {"VAR_DIR": folder, "MARKET": "sample", "DEBUG": "0"}
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cryptopredict.settings")
        if os.environ.get("DATABASE_URL"):
            with _own_database(os.environ["DATABASE_URL"]):
                yield
        else:
            with running_postgres() as server, _own_database(server.url):
                yield


@contextmanager
def _own_database(server_url: str) -> Iterator[None]:
    import psycopg2

    admin = psycopg2.connect(server_url)
    admin.autocommit = True
    try:
        with admin.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
            cursor.execute(f"CREATE DATABASE {DATABASE}")
            os.environ["DATABASE_URL"] = urlsplit(server_url)._replace(path=f"/{DATABASE}").geturl()
            _migrate()
            yield
            cursor.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
    finally:
        admin.close()


def _migrate() -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def main(arguments: list[str]) -> int:
    results: list[Result] = []
    try:
        wanted = chosen(",".join(arguments))
        with prepared():
            for name, module in wanted.items():
                print(f"{name} …", file=sys.stderr, flush=True)
                for result in importlib.import_module(f"bench.{module}").run():
                    print(f"   {result.id}: {result.ratio:.3g} (goal {result.goal})", file=sys.stderr, flush=True)
                    results.append(result)
    except (ServerMissing, ValueError) as problem:
        print(problem, file=sys.stderr)
        return 2
    print(report.table(results))
    report.write(results, RESULTS)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
