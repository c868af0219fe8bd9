"""An RQ worker that provisions; ``crewship start`` runs some of them."""

from __future__ import annotations

from typing import Any

import django_rq
from django.core.management.base import BaseCommand, CommandParser
from django.db import connections
from rq.serializers import JSONSerializer
from ulid import ULID

from provisioning.queue import QUEUE
from provisioning.rq_worker import ProvisionWorker


class Command(BaseCommand):
    help = "Run provision jobs until SIGTERM; a running one is handed back then."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", default="worker")

    def handle(self, *args: Any, **options: Any) -> None:
        connections.close_all()  # the work horses are forks and must not share a connection
        worker = ProvisionWorker(
            [django_rq.get_queue(QUEUE)],
            name=f"{options['name']}-{ULID()}",
            connection=django_rq.get_connection(QUEUE),
            serializer=JSONSerializer,
            job_monitoring_interval=5,
            maintenance_interval=30,
        )
        worker.work(logging_level="WARNING")
