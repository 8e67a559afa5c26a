"""A real nginx before replicas, with the configuration that the guide gives out."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import pytest
from tests.e2e.gateway import PATIENCE
from tests.e2e.processes import free_port, poll, status_of

SITE = Path(__file__).parents[2] / "deploy/nginx"
NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
MAIN = """
{user}
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log notice;
events {{ worker_connections 512; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {site}
}}
"""


class Front:
    """`with Front(tmp_path, [url, …]) as front:`; `deploy/nginx/headgate.conf` without TLS, on a free port."""

    def __init__(self, folder: Path, replicas: Sequence[str]) -> None:
        if NGINX is None:
            pytest.skip("nginx is not installed")
        self.folder = folder
        self.replicas = [urlsplit(url).netloc for url in replicas]
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def write(self, down: Sequence[str] = ()) -> None:
        """Write the configuration; the replicas at the URLs in `down` get no calls."""
        out = [urlsplit(url).netloc for url in down]
        site = (SITE / "headgate.conf").read_text()
        servers = re.findall(r"^ *server (\S+)( .*);$", site, re.MULTILINE)
        assert len(servers) == len(self.replicas)
        for (place, options), replica in zip(servers, self.replicas, strict=True):
            state = " down" if replica in out else ""
            site = site.replace(f"server {place}{options};", f"server {replica}{options}{state};")
        site = re.sub(r"^ *ssl_certificate.*\n", "", site, flags=re.MULTILINE)
        site = site.replace("listen 443 ssl;", f"listen 127.0.0.1:{self.port};")
        site = site.replace("snippets/", f"{SITE}/")
        user = "user root;" if os.geteuid() == 0 else ""
        (self.folder / "nginx.conf").write_text(MAIN.format(user=user, folder=self.folder, site=site))

    def reload(self) -> None:
        """Take the new configuration, and wait until no process goes by the old one."""
        assert self._process is not None
        log = self.folder / "error.log"
        ended = log.read_text().count("exited with code 0")
        self._process.send_signal(signal.SIGHUP)
        poll(lambda: log.read_text().count("exited with code 0") > ended)

    def __enter__(self) -> Self:
        self.write()
        assert NGINX is not None
        self._process = subprocess.Popen(
            [NGINX, "-p", self.folder, "-e", self.folder / "error.log", "-c", self.folder / "nginx.conf"]
        )
        poll(lambda: status_of(self.url + "/healthz") == 200)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
