"""Tells whether beat and the workers do their work; for the health checks of containers."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from cryptopredict.operations.health import JOBS


class Command(BaseCommand):
    help = "Exits with an error when beat is silent or jobs wait too long for a worker."
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(JOBS)}; all by default")

    def handle(self, *args: Any, **options: Any) -> None:
        names = options["names"] or list(JOBS)
        unknown = [name for name in names if name not in JOBS]
        if unknown:
            raise CommandError(f"There is no check called {unknown[0]}; there are {', '.join(JOBS)}.")
        problems = [text for name in names if (text := JOBS[name]())]
        if problems:
            raise CommandError(" ".join(problems))
        self.stdout.write("All is well.")
