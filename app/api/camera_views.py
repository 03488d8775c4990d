"""The usual view of a camera: somebody says that what it shows now is right, after it was turned on purpose."""

from fastapi import APIRouter

from ..problems import ConflictError
from .auth import CameraOperator, write_down
from .camera_schemas import CameraOut
from .cameras import CameraPath, WatchedCameras
from .context import ApiContext
from .schemas import problems


def camera_views_router(context: ApiContext) -> APIRouter:
    """The route of the usual views."""
    router = APIRouter(tags=["cameras"])

    @router.post("/cameras/{camera}/view", response_model=CameraOut, responses=problems(404, 409, 503))
    def accept_view(caller: CameraOperator, camera: CameraPath) -> CameraOut:
        """Makes what a camera shows its only usual view, within seconds, or once it is watched and can be recognised.

        What was open because it was turned away closes by itself.
        """
        cameras = WatchedCameras(context)
        found = cameras.get(camera)
        if not found.has_usual_view:
            raise ConflictError(f"no rule of {found.name} is about its view (type camera: covered, moved or blurred)")
        write_down("accept the view of a camera", caller, camera=found.name)
        context.store.camera_views.ask(found.id)
        return found

    return router
