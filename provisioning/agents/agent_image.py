"""Which image an agent is started on; reading only."""

from __future__ import annotations

from cache.models import CachedImage
from cache.selectors import present_images
from crewship.crews.models import Agent, Crew
from crewship.domain.errors import BuildStepFailed, ImageNotFound
from crewship.engine.running import ContainerState
from provisioning.selectors import latest_job
from provisioning.states import JobState


def image_for(host_name: str, agent: Agent, state: ContainerState | None) -> CachedImage | None:
    """The crew's current image on the host; without one, what the agent runs serves once more."""
    images = present_images().filter(host__name=host_name)
    crew = agent.crew
    current = images.filter(tag=crew.cached_image, config_hash=crew.config_hash).first()
    if current is None and state is not None:
        return images.filter(image_id=state.image_id).first()
    return current


def known_image(host_name: str, agent: Agent, state: ContainerState | None) -> CachedImage:
    """The image that the agent ran, while it is there; else the crew's current one.

    Raises ImageNotFound.
    """
    images = present_images().filter(host__name=host_name)
    ran = images.filter(image_id=state.image_id).first() if state else None
    found = ran or image_for(host_name, agent, None)
    if found is None:
        raise ImageNotFound("The image of the agent is gone.", hint="Provision the crew.")
    return found


def refuse_if_none_comes(crew: Crew) -> None:
    """Raises BuildStepFailed when the crew's last build ended without an image."""
    job = latest_job(crew)
    if job is not None and job.state == JobState.FAILED:
        raise BuildStepFailed(f"The crew's image could not be built: {job.error}", hint="")
    if job is not None and job.state == JobState.CANCELLED:
        raise BuildStepFailed("The build of the crew's image was cancelled.", hint="")
