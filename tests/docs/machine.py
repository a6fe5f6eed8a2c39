"""A machine as docs/deploy.md finds it: a folder that stands for `/`, and stand-ins for what only root may do.

Grantwell, nginx, curl and the shell are real. Packages and users of the system are not touched; `systemctl` runs what
the unit says, and waits, as systemd does, until the service says that it is ready.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.cli.processes import environment
from tests.interop.tls import Certificates, make_certificates

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")

_LIMIT_SECONDS = 120
_NOTHING = "#!/bin/sh\n"
_SYSTEMCTL = """\
#!{python}
import os, re, signal, socket, subprocess, sys, time

root = {root!r}
words = [word for word in sys.argv[1:] if not word.startswith("--")]
verb = words[0]
pid_file = os.path.join(root, "run", "grantwell.pid")


def start():
    unit = open(os.path.join(root, "etc/systemd/system/grantwell.service")).read()
    command = re.search(r"^ExecStart=(.*)$", unit, re.M)[1]
    address = os.path.join(root, "run", "notify")
    if os.path.exists(address):
        os.unlink(address)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, open(os.path.join(root, "log"), "ab") as log:
        told.bind(address)
        told.settimeout(60)
        child = subprocess.Popen(
            command.split(), env=os.environ | {{"NOTIFY_SOCKET": address}}, stdin=subprocess.DEVNULL, stdout=log,
            stderr=log, start_new_session=True,
        )
        with open(pid_file, "w") as file:
            file.write(str(child.pid))
        assert told.recv(100) == b"READY=1"


def stop():
    pid = int(open(pid_file).read())
    os.kill(pid, signal.SIGTERM)
    for _ in range(1500):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return os.unlink(pid_file)
        # Its parent may be the process that reaps the orphans of this machine; until then it is a zombie.
        if open(f"/proc/{{pid}}/stat").read().rpartition(")")[2].split()[0] == "Z":
            return os.unlink(pid_file)
        time.sleep(0.02)
    sys.exit("the service does not stop")


if verb in ("start", "enable"):
    start()
elif verb == "stop":
    stop()
elif words == ["reload", "nginx"]:
    pid = int(open(os.path.join(root, "run", "nginx.pid")).read())
    os.kill(pid, signal.SIGHUP)
elif verb != "daemon-reload":
    sys.exit(f"systemctl {{verb}} is not known here")
"""


@dataclass
class Machine:
    """A folder that stands for `/`, with what the guide puts there; ports are free ones instead of 443, 80 and 8000."""

    root: Path
    upstream: str
    certificates: Certificates
    ports: dict[str, int] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """What stands for https://api.example.com."""
        return f"https://localhost:{self.ports['443']}"

    @property
    def log(self) -> str:
        """What the service has written."""
        return (self.root / "log").read_text()

    def here(self, text: str) -> str:
        """A text of the guide, with the paths, names and ports of this machine."""
        text = text.replace("https://api.example.com", self.origin).replace("http://127.0.0.1:9000", self.upstream)
        text = text.replace("api.example.com", "localhost").replace(":8000", f":{self.ports['8000']}")
        text = re.sub(
            r"listen (\[::\]:)?(443|80)\b", lambda m: f"listen {m[1] or '127.0.0.1:'}{self.ports[m[2]]}", text
        )
        return re.sub(r"(?<![\w.])/(etc|var/lib/grantwell|opt|usr/local)/", rf"{self.root}/\1/", text)

    def put_files(self) -> None:
        """Save each file of the guide where it says."""
        for name, text in files_of(GUIDE).items():
            if not name.startswith("/"):
                continue
            path = Path(self.here(name))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.here(text), encoding="utf-8")

    def run(self, name: str) -> str:
        """Run a block of commands of the guide, as a shell that stops at the first failure; returns what it said."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.here(commands_of(GUIDE)[name])],
            cwd=ROOT.parent,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=_LIMIT_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}\n{self.log}"
        return done.stdout

    def _environment(self) -> Mapping[str, str]:
        return environment(
            PATH=f"{self.root}/stand-ins:{self.root}/usr/local/bin:{os.environ['PATH']}",
            GRANTWELL_PASSWORD="correct horse battery staple",
            GRANTWELL_CONFIG=f"{self.root}/etc/grantwell.toml",
            GRANTWELL_SERVER__PORT=str(self.ports["8000"]),
            SSL_CERT_FILE=str(self.certificates.authority),
            NO_PROXY="*",
        )

    def stop(self) -> None:
        """End what still runs."""
        for name in ("grantwell.pid", "nginx.pid"):
            pid_file = self.root / "run" / name
            if pid_file.exists():
                os.kill(int(pid_file.read_text()), signal.SIGTERM)


def files_of(guide: str) -> dict[str, str]:
    """The files that a guide tells one to make, by their names."""
    return dict(re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", guide, re.DOTALL))


def commands_of(guide: str) -> dict[str, str]:
    """The blocks of commands of a guide, by their names, in order."""
    return dict(re.findall(r"<!-- run: (\S+) -->\n```sh\n(.*?)```", guide, re.DOTALL))


@contextmanager
def machine(root: Path, upstream: str) -> Iterator[Machine]:
    """A machine with nginx running, and nothing of Grantwell on it yet."""
    for folder in ("run", "stand-ins", "etc/nginx/sites-enabled", "var/lib/grantwell", "usr/local/bin", "opt"):
        (root / folder).mkdir(parents=True)
    (root / "log").touch()
    live = root / "etc/letsencrypt/live/localhost"
    live.mkdir(parents=True)
    certificates = make_certificates(live)
    certificates.certificate.rename(live / "fullchain.pem")
    certificates.key.rename(live / "privkey.pem")
    made = Machine(root, upstream, certificates, {name: _free_port() for name in ("443", "80", "8000")})
    _put_stand_ins(made)
    main = root / "etc/nginx/nginx.conf"
    main.write_text(_nginx_main(root))
    subprocess.run([root / "stand-ins/nginx"], check=True, timeout=_LIMIT_SECONDS)
    try:
        yield made
    finally:
        made.stop()


def _put_stand_ins(made: Machine) -> None:
    root = made.root
    python = sys.executable
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    # What `pip install ./grantwell` would put there; that a wheel works in a new environment is seen by make check.
    command = f'#!/bin/sh\nexec {python} -m grantwell.cli "$@"\n'
    stand_ins = {
        "apt-get": _NOTHING,
        "adduser": _NOTHING,
        "python3": f"""#!/bin/sh
mkdir -p "$3/bin"
printf '%s' '{_NOTHING}' > "$3/bin/pip"
cp {root}/stand-ins/.grantwell "$3/bin/grantwell"
chmod 755 "$3/bin/pip"
""",
        ".grantwell": command,
        "runuser": '#!/bin/sh\n[ "$1 $2 $3" = "-u grantwell --" ] && shift 3 && exec "$@"\n',
        "nginx": f'#!/bin/sh\nexec {nginx} -e {root}/log -p {root}/run -c {root}/etc/nginx/nginx.conf "$@"\n',
        "systemctl": _SYSTEMCTL.format(python=python, root=str(root)),
    }
    for name, text in stand_ins.items():
        path = root / "stand-ins" / name
        path.write_text(text)
        path.chmod(0o755)


def _nginx_main(root: Path) -> str:
    """What Debian's own nginx.conf would include the site from, for a user who is not root."""
    folders = "\n".join(
        f"    {name}_temp_path {root}/run/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return textwrap.dedent("""\
        worker_processes 1;
        error_log {root}/log;
        pid {root}/run/nginx.pid;
        events {{}}
        http {{
            access_log off;
        {folders}
            include {root}/etc/nginx/sites-enabled/*;
        }}
        """).format(root=root, folders=folders)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
