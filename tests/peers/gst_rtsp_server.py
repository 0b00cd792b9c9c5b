"""GStreamer's RTSP server, taking pushed streams (RECORD) into files. Runs under the system's Python, which has `gi`.

gst_rtsp_server.py FOLDER NAMES [USER PASSWORD]: prints its port; ends when its standard input does. What is pushed to
`rtsp://127.0.0.1:PORT/NAME` goes to FOLDER/NAME.ts.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402 - gi wants the versions first

folder, names, *login = sys.argv[1:]
Gst.init(None)
loop = GLib.MainLoop()
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service("0")
for name in names.split(","):
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
    factory.set_latency(0)
    factory.set_launch(
        "( rtph264depay name=depay0 ! h264parse ! mpegtsmux !"
        f" filesink sync=false buffer-mode=unbuffered location={folder}/{name}.ts )"
    )
    if login:
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("user", "media.factory.access", True)
        permissions.add_permission_for_role("user", "media.factory.construct", True)
        factory.set_permissions(permissions)
    server.get_mount_points().add_factory(f"/{name}", factory)
if login:
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    auth.add_digest(login[0], login[1], token)
    server.set_auth(auth)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.io_add_watch(GLib.IOChannel.unix_new(0), 0, GLib.IO_HUP, lambda *_: loop.quit())
loop.run()
