"""The provisioning routes of CONTRACT.md; each calls one service or selector."""

from __future__ import annotations

from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from crewship.crews.scope import CrewViewSet
from crewship.devcontainer.lock import lock_text
from crewship.domain.errors import ConfigError, NotFound
from crewship.domain.ids import IdPrefix, is_well_formed
from crewship.domain.roles import Action
from crewship.web.downloads import text_download
from crewship.web.pagination import NewestFirst
from crewship.web.schema import WORKSPACE_PARAMETERS, problems
from crewship.workspaces.views import WorkspaceViewSet
from provisioning.agents.services import restart_agents
from provisioning.api.serializers import (
    CancelOutput,
    ImageStatusOutput,
    JobOutput,
    LockOutput,
    ProvisionStatusOutput,
    RestartedOutput,
    StartedOutput,
)
from provisioning.freshness import image_status
from provisioning.models import ProvisionJob
from provisioning.retention import check_log
from provisioning.selectors import jobs_of, log_lines, provision_status, resolved_features
from provisioning.services import cancel_provision, request_provision


@extend_schema(tags=["provisioning"], parameters=WORKSPACE_PARAMETERS)
class ProvisionViewSet(CrewViewSet):
    """A crew's image: its status, and the verbs that change it."""

    pagination_class = NewestFirst  # the schema reads it
    actions = {
        "status": Action.READ,
        "provision": Action.CREATE,
        "rebuild": Action.CREATE,
        "refresh_image": Action.CREATE,
        "image_status": Action.READ,
        "cancel": Action.CREATE,
        "restart_agents": Action.UPDATE,
        "jobs": Action.READ,
        "lock": Action.READ,
    }

    @extend_schema(responses={200: ProvisionStatusOutput, **problems(400, 404)})
    def status(self, request: Request, crew_id: str) -> Response:
        """The crew's state, read from the database alone."""
        return Response(ProvisionStatusOutput(provision_status(self.crew)).data)

    @extend_schema(
        request=None, responses={202: StartedOutput, **problems(400, 403, 404, 409, 503)}
    )
    def provision(self, request: Request, crew_id: str) -> Response:
        """Build the crew's image in a worker, or link it at once where it is there already."""
        request_provision(crew=self.crew, actor=self.scope.user)
        return self._started()

    @extend_schema(
        request=None, responses={202: StartedOutput, **problems(400, 403, 404, 409, 503)}
    )
    def rebuild(self, request: Request, crew_id: str) -> Response:
        """Clear the marker and build afresh: base and features are resolved again, no existing
        layer is used."""
        request_provision(crew=self.crew, actor=self.scope.user, rebuild=True)
        return self._started()

    @extend_schema(
        request=None, responses={202: StartedOutput, **problems(400, 403, 404, 409, 503)}
    )
    def refresh_image(self, request: Request, crew_id: str) -> Response:
        """Build afresh as a rebuild does, but with the present image in use until the new one is
        there; then restart the agents that are meant to run. A failure changes nothing."""
        request_provision(crew=self.crew, actor=self.scope.user, refresh=True)
        return self._started()

    @extend_schema(responses={200: ImageStatusOutput, **problems(400, 404)})
    def image_status(self, request: Request, crew_id: str) -> Response:
        """Whether base and features of the crew's image are what their registries have now; they
        are asked at most every 60 s and waited for at most 5 s."""
        return Response(ImageStatusOutput(image_status(self.crew)).data)

    @extend_schema(request=None, responses={200: CancelOutput, **problems(400, 403, 404)})
    def cancel(self, request: Request, crew_id: str) -> Response:
        """End the crew's active job; its container is dead within 5 s. Idempotent."""
        job = cancel_provision(self.crew)
        self.crew.refresh_from_db()
        return Response(
            {
                "cancelled": job is not None,
                "job_id": job.pk if job else None,
                "status": provision_status(self.crew).status.value,
            }
        )

    @extend_schema(request=None, responses={200: RestartedOutput, **problems(400, 403, 404, 503)})
    def restart_agents(self, request: Request, crew_id: str) -> Response:
        """Stop and start every agent that is meant to run, without building an image; the answer
        comes when that is done. ``failed`` is there only if one did not start."""
        return Response(RestartedOutput(restart_agents(self.crew)).data)

    @extend_schema(
        operation_id="crews_jobs_list",
        responses={200: JobOutput(many=True), **problems(400, 404)},
    )
    def jobs(self, request: Request, crew_id: str) -> Response:
        """The crew's jobs, newest first."""
        paginator = NewestFirst()
        page = paginator.paginate_queryset(jobs_of(self.crew), request, view=self)
        return paginator.get_paginated_response(JobOutput(page, many=True).data)

    @extend_schema(responses={200: LockOutput, **problems(400, 404)})
    def lock(self, request: Request, crew_id: str) -> HttpResponse:
        """The devcontainer-lock.json of the crew's image: what its features resolved to."""
        text = lock_text(resolved_features(self.crew))
        return HttpResponse(
            text,
            content_type="application/json",
            headers={"Content-Disposition": 'inline; filename="devcontainer-lock.json"'},
        )

    def _started(self) -> Response:
        message = (
            f"Provisioning started. Monitor with 'crewship crew provision status {self.crew.slug}'."
        )
        return Response({"status": "started", "message": message}, status=202)


@extend_schema(tags=["provisioning"], parameters=WORKSPACE_PARAMETERS)
class JobViewSet(WorkspaceViewSet):
    """Single jobs: those of a crew's newest, and all that are not too old."""

    actions = {"retrieve": Action.READ, "log": Action.READ}
    job: ProvisionJob

    def load(self, **kwargs: str) -> None:
        job_id = kwargs["job_id"]
        if not is_well_formed(job_id, IdPrefix.JOB):
            raise ConfigError(f"{job_id[:80]!r} is not a job's id.", code="invalid_id")
        found = ProvisionJob.objects.filter(workspace=self.scope.workspace, pk=job_id).first()
        if found is None:
            raise NotFound("There is no such job in this workspace.")
        self.job = found

    @extend_schema(responses={200: JobOutput, **problems(400, 404)})
    def retrieve(self, request: Request, job_id: str) -> Response:
        """One job, with its error and what its features resolved to."""
        return Response(JobOutput(self.job).data)

    @extend_schema(responses={(200, "text/plain"): OpenApiTypes.STR, **problems(400, 404, 410)})
    def log(self, request: Request, job_id: str) -> StreamingHttpResponse:
        """The whole log as text; lines of scripts begin with `| `. Of a long log the middle is not
        kept: one line says how many lines and bytes are missing there. Logs of old jobs are
        removed (410), never those of a crew's newest jobs."""
        check_log(self.job)
        return text_download(request._request, log_lines(self.job), f"{self.job.pk}.log")
