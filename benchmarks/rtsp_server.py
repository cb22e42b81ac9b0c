"""An RTSP server like that of a camera or restreamer: GStreamer's, run by Debian's Python.

/usr/bin/python3 benchmarks/rtsp_server.py --port 8554 --rtp-port 5004
    [--login basic|digest --user U --password-file F] [--protocols tcp,udp]

Serves rtsp://HOST:PORT/door to any number of clients: the H.264 that somebody sends as RTP to
--rtp-port on 127.0.0.1, unchanged, as go2rtc and mediamtx do. Packages: gir1.2-gst-rtsp-server-1.0
python3-gi gstreamer1.0-plugins-good. Says "ready" once it listens; ends with SIGTERM.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

CAPS = "application/x-rtp,media=video,clock-rate=90000,encoding-name=H264,payload=96"
PROTOCOLS = {"tcp": GstRtsp.RTSPLowerTrans.TCP, "udp": GstRtsp.RTSPLowerTrans.UDP}


def main() -> None:
    """Read the command line, serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rtp-port", type=int, required=True)
    parser.add_argument("--login", choices=("basic", "digest"))
    parser.add_argument("--user")
    parser.add_argument("--password-file", type=Path)
    parser.add_argument("--protocols", default="tcp,udp")
    options = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer.new()
    server.set_service(str(options.port))
    factory = GstRtspServer.RTSPMediaFactory.new()
    factory.set_launch(
        f'( udpsrc address=127.0.0.1 port={options.rtp_port} caps="{CAPS}" ! rtph264depay'
        " ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
    )
    factory.set_shared(True)
    protocols = GstRtsp.RTSPLowerTrans(0)
    for name in options.protocols.split(","):
        protocols |= PROTOCOLS[name]
    factory.set_protocols(protocols)
    if options.login is not None:
        _ask_for_a_login(server, factory, options)
    server.get_mount_points().add_factory("/door", factory)
    server.attach(None)
    print("ready", flush=True)
    GLib.MainLoop().run()


def _ask_for_a_login(
    server: GstRtspServer.RTSPServer,
    factory: GstRtspServer.RTSPMediaFactory,
    options: argparse.Namespace,
) -> None:
    password = options.password_file.read_text(encoding="utf-8")
    token = GstRtspServer.RTSPToken.new()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "viewer")
    auth = GstRtspServer.RTSPAuth.new()
    if options.login == "digest":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(options.user, password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(options.user, password), token)
    permissions = GstRtspServer.RTSPPermissions.new()
    for what in ("access", "construct"):
        permissions.add_permission_for_role("viewer", f"media.factory.{what}", True)
    factory.set_permissions(permissions)
    server.set_auth(auth)


if __name__ == "__main__":
    main()
