"""The command `hierrec serve`, as a process."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

SERVE = ("-c", "from hierrec.cli import main; main()", "serve")


@pytest.mark.usefixtures("shared_imports")
@pytest.mark.parametrize("host", ["127.0.0.1", *(["::1"] * socket.has_ipv6)])
def test_it_serves_until_it_is_interrupted(artifacts: Path, host: str) -> None:
    command = [sys.executable, *SERVE, "--host", host, "--port", "0", "--artifacts", str(artifacts)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[0]
        assert requests.get(f"{address}health", timeout=60).json()["status"] == "ok"
        assert "<title>hierrec</title>" in requests.get(address, timeout=60).text
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    assert process.returncode == 128 + signal.SIGTERM


@pytest.mark.usefixtures("shared_imports")
def test_a_port_in_use_is_said(artifacts: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, *SERVE, "--port", port, "--artifacts", str(artifacts)]
        run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 1
    assert f"127.0.0.1:{port}: cannot listen" in run.stderr
    assert "--port" in run.stderr
    command[command.index("--port") :] = ["--host", "no.such.host.invalid", "--artifacts", str(artifacts)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert "no.such.host.invalid:8000: cannot listen" in run.stderr
    assert "Unknown error" not in run.stderr
