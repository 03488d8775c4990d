"""The usual views of cameras in the store: replaced as a whole, asked for by people, and gone with a merged camera."""

from vigil.store import CameraRecord, Store
from vigil.store.camera_views import StoredView, StoredViews


def view(grey: int = 100) -> StoredView:
    return StoredView(picture=bytes([grey]) * 1728, visible=bytes(1728), sharpness=3.25, seen_s=20.5)


def test_views_come_back_in_their_order_and_new_ones_replace_all(store: Store) -> None:
    assert store.camera_views.of("cam_1") == StoredViews()
    store.camera_views.keep("cam_1", [view(1), view(2)])
    store.camera_views.keep("cam_2", [view(3)])
    assert store.camera_views.of("cam_1").views == (view(1), view(2))
    store.camera_views.keep("cam_1", [view(4)])
    assert store.camera_views.of("cam_1").views == (view(4),)
    assert store.camera_views.of("cam_2").views == (view(3),)


def test_what_was_asked_for_waits_until_just_that_is_done(store: Store) -> None:
    store.camera_views.ask("cam_1")
    first = store.camera_views.of("cam_1").request
    assert store.camera_views.requests() == {"cam_1": first} and first
    store.camera_views.keep("cam_1", [view()], request="2020-01-01T00:00:00.000Z")
    assert store.camera_views.requests() == {"cam_1": first}
    store.camera_views.keep("cam_1", [view()], request=first)
    assert store.camera_views.of("cam_1") == StoredViews(views=(view(),))


def test_a_camera_that_is_merged_into_another_takes_its_views_with_it(store: Store) -> None:
    kept = store.cameras.register(CameraRecord(id="", name="door", identity="a"))
    other = store.cameras.register(CameraRecord(id="", name="gate", identity="b"))
    for each in (kept, other):
        store.camera_views.keep(each.id, [view()])
    store.camera_views.ask(other.id)
    store.cameras.move(kept.id, CameraRecord(id="", name="door", identity="b"))
    assert store.camera_views.of(kept.id).views and store.camera_views.of(other.id) == StoredViews()
