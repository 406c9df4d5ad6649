import re
import signal
import subprocess
import sys

import requests
from click.testing import CliRunner

from akool_dagster.emulator.command import emulator
from akool_dagster_tests.emulator.api import WAIT


def test_help_teaches_markers_faults_and_shapes() -> None:
    result = CliRunner().invoke(emulator, ["--help"])
    assert result.exit_code == 0
    for word in ("[[video:failed", "truncate", "faceswap_fail_reason", "--state-dir", "127.0.0.1"):
        assert word in result.output


def test_a_wrong_fault_is_explained_without_a_traceback() -> None:
    result = CliRunner().invoke(emulator, ["--fault", "explode"])
    assert result.exit_code == 1
    assert "explode" in result.output
    assert "Traceback" not in result.output


def test_a_real_process_serves_and_stops_on_ctrl_c(tmp_path) -> None:
    options = ["--port", "0", "--speed", "60", "--seed", "7", "--slots", "2", "--any-size"]
    options += ["--fault", "status,on=GET */avatar/list", "--state-dir", str(tmp_path / "state")]
    command = [sys.executable, "-u", "-m", "akool_dagster.emulator", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            lines = [process.stdout.readline() for _ in range(6)]
            printed = dict(re.findall(r"(AKOOL_\w+)=(\S+)", "".join(lines)))
            url, key = printed["AKOOL_BASE_URL"], printed["AKOOL_API_KEY"]
            headers = {"x-api-key": key}
            quota = requests.get(
                f"{url}/api/open/v3/faceswap/quota/info", headers=headers, timeout=WAIT
            )
            broken = requests.get(f"{url}/api/open/v3/avatar/list", headers=headers, timeout=WAIT)
        finally:
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=20)
    assert key == "emulator-key"
    assert quota.json()["data"]["credit"] == 100_000
    assert broken.status_code == 500
    assert (process.returncode, rest.strip(), errors) == (0, "Stopped.", "")
    assert (tmp_path / "state" / "account.sqlite").exists()


def test_importing_the_emulator_loads_no_media_libraries() -> None:
    code = (
        "import sys, akool_dagster.emulator\n"
        "heavy = {'av', 'numpy', 'PIL', 'cryptography', 'uvicorn', 'requests', 'dagster'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
