"""An RQ worker that provisions; ``crewship start`` runs some of them."""

from __future__ import annotations

from typing import Any

import django_rq
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import connections
from rq.serializers import JSONSerializer
from ulid import ULID

from provisioning.queue import QUEUE
from provisioning.rq_worker import LOOK_S, ProvisionWorker, wait_for_redis, worker_connection


class Command(BaseCommand):
    help = "Run provision jobs until SIGTERM; a running one is handed back then."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", default="worker")

    def handle(self, *args: Any, **options: Any) -> None:
        connections.close_all()  # the work horses are forks and must not share a connection
        redis = worker_connection(settings.CREWSHIP.redis_url)
        wait_for_redis(redis)
        worker = ProvisionWorker(
            [django_rq.get_queue(QUEUE, connection=redis)],
            name=f"{options['name'][:60]}-{ULID()}",
            host_name=settings.CREWSHIP.host_name,
            connection=redis,
            serializer=JSONSerializer,
            job_monitoring_interval=LOOK_S,
            maintenance_interval=30,
        )
        worker.work(logging_level="WARNING")
