"""Where a gateway listens: names of addresses are as good as addresses."""

from pathlib import Path

from tests.e2e.gateway import Gateway
from tests.e2e.processes import poll, ready_pids, status_of, workers

NAMED = "server: {host: localhost, admin_host: localhost, port: 0, admin_port: 0, workers: 2}\n"


def test_a_host_may_be_a_name_also_for_workers_that_come_later(tmp_path: Path) -> None:
    with Gateway(tmp_path, config=NAMED) as gateway:
        assert gateway.url.startswith("http://localhost:")
        assert status_of(gateway.url + "/readyz") == 200
        assert status_of(gateway.admin_url + "/readyz") == 200
        first = {worker.pid for worker in workers(gateway)}
        for worker in workers(gateway):
            worker.kill()
        poll(lambda: len(ready_pids(gateway) - first) == 2)
        assert status_of(gateway.url + "/readyz") == 200
