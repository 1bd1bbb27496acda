"""A real RTSP server for the tests, run by the system's Python: serves one MPEG-4 file at /stream.

usage: rtsp_server.py VIDEO PORT [USER PASSWORD]
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402


def secure(
    server: GstRtspServer.RTSPServer, factory: GstRtspServer.RTSPMediaFactory, user: str, password: str
) -> None:
    """Let in whoever knows user and password (basic authentication)."""
    auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", user)
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    access = GstRtspServer.RTSPPermissions()
    access.add_permission_for_role(user, "media.factory.access", True)
    access.add_permission_for_role(user, "media.factory.construct", True)
    factory.set_permissions(access)


def main(video: str, port: str, *credentials: str) -> None:
    """Serve until killed; says `ready` when it listens."""
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        f"( filesrc location={video} ! qtdemux ! mpeg4videoparse ! rtpmp4vpay config-interval=1 pt=96 name=pay0 )"
    )
    factory.set_shared(True)
    if credentials:
        secure(server, factory, *credentials)
    server.get_mount_points().add_factory("/stream", factory)
    if not server.attach(None):
        sys.exit(f"port {port} cannot be listened on")
    print("ready", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(*sys.argv[1:])
