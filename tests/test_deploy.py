"""The recipes in ``deploy/``: what the programs they are for say of them."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sanicish.command.flags import Parser

DEPLOY = Path(__file__).parent.parent / "deploy"
PATH = f"{os.environ['PATH']}:/usr/sbin"


def program(name):
    found = shutil.which(name, path=PATH)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def check(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, **options)
    return done.returncode, done.stdout + done.stderr


def test_haproxy_takes_its_configuration():
    environment = {**os.environ, "BIND": ":8000", "REPLICA_1": "127.0.0.1:8001", "REPLICA_2": "127.0.0.1:8002"}
    code, said = check(program("haproxy"), "-c", "-f", str(DEPLOY / "haproxy.cfg"), env=environment)
    assert code == 0 and "WARNING" not in said, said


def test_nginx_takes_its_configuration(tmp_path):
    enough = ("sh", "-c", 'ulimit -n 8192; exec "$@"', "sh")  # it warns where a user has fewer descriptors
    code, said = check(*enough, program("nginx"), "-t", "-p", str(tmp_path), "-c", str(DEPLOY / "nginx.conf"))
    assert code == 0 and "[warn]" not in said, said


def test_apache_takes_its_configuration(tmp_path):
    code, said = check(program("apache2"), "-t", "-d", str(tmp_path), "-f", str(DEPLOY / "apache.conf"))
    assert code == 0 and said == "Syntax OK\n", said


def test_squid_takes_its_configuration():
    code, said = check(program("squid"), "-k", "parse", "-f", str(DEPLOY / "squid.conf"))
    assert code == 0 and "ERROR" not in said and "WARNING" not in said, said


def test_caddy_takes_its_configuration(tmp_path):
    home = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    caddyfile = str(DEPLOY / "Caddyfile")
    code, said = check(program("caddy"), "validate", "--adapter", "caddyfile", "--config", caddyfile, env=home)
    assert code == 0 and "not formatted" not in said, said


def test_systemd_takes_its_units(tmp_path):
    systemd = program("systemd-analyze")
    (tmp_path / "sanicish.socket").write_text((DEPLOY / "systemd" / "sanicish.socket").read_text())
    service = (DEPLOY / "systemd" / "sanicish.service").read_text()
    (tmp_path / "sanicish.service").write_text(service.replace("/srv/shop/.venv/bin/sanicish", sys.executable))
    code, said = check(systemd, "verify", str(tmp_path / "sanicish.service"), env={**os.environ, "PATH": PATH})
    assert (code, said) == (0, "")


def commands():
    """What every recipe says on the command line of the server."""
    service = re.search(r"^ExecStart=\S+sanicish (.*)$", (DEPLOY / "systemd" / "sanicish.service").read_text(), re.M)
    container = (DEPLOY / "Containerfile").read_text()
    parts = [ast.literal_eval(one) for one in re.findall(r"^(?:ENTRYPOINT|CMD) (\[.*\])$", container, re.M)]
    (pod,) = next(kubernetes())["spec"]["template"]["spec"]["containers"]
    recipes = ("haproxy.cfg", "nginx.conf", "apache.conf", "varnish.vcl", "squid.conf", "Caddyfile")
    proxies = [line for name in recipes for line in (DEPLOY / name).read_text().splitlines()]
    return [
        service[1].split(),
        parts[0][1:] + parts[1],
        parts[0][1:] + pod["args"],
        *(line.split("sanicish ")[1].split() for line in proxies if "#   sanicish " in line),
    ]


def kubernetes():
    return yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())


def test_the_command_line_takes_what_the_recipes_say():
    for said in commands():
        assert Parser("1").parse_args(said).app == "shop:app"


def test_kubernetes_waits_longer_than_a_pod_takes_to_end():
    deployment, service, budget = kubernetes()
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    args = Parser("1").parse_args(["shop:app", *container["args"]])
    environment = {one["name"]: one.get("value") for one in container["env"]}
    longest = int(container["lifecycle"]["preStop"]["exec"]["command"][1]) + args.DRAIN_DELAY
    longest += int(environment["SANICISH_GRACEFUL_SHUTDOWN_TIMEOUT"]) + 5
    assert pod["spec"]["terminationGracePeriodSeconds"] > longest
    for selector in (deployment["spec"]["selector"]["matchLabels"], service["spec"]["selector"]):
        assert selector == pod["metadata"]["labels"] == budget["spec"]["selector"]["matchLabels"]
    for probe, path in (("startup", args.READY_PATH), ("readiness", args.READY_PATH), ("liveness", args.HEALTH_PATH)):
        assert container[f"{probe}Probe"]["httpGet"] == {"path": path, "port": container["ports"][0]["name"]}


def test_the_file_for_ray_is_python():
    ast.parse((DEPLOY / "ray_serve.py").read_text())
