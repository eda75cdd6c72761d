"""The files of rag/deploy: they parse, name only what there is, and what can be run of them here runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

import rag
from rag.cli.shared import app
from rag.config import SECRETS, settings

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: pip install 'rag[dask]'")
HERE = Path(rag.__file__).parent / "deploy"
FILES = sorted(path for path in HERE.iterdir() if path.is_file())
KNOWN = {key for key, _, _ in settings()}
OPENSSL = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")

CHARTS = {  # the paths of the charts' own values that are used here: zilliztech/milvus 4.2, dask/dask 2024
    "milvus-values.yaml": """
        fullnameOverride cluster.enabled extraConfigFiles.user.yaml volumes volumeMounts service.type
        standalone.messageQueue standalone.resources standalone.extraEnv standalone.persistence.enabled
        standalone.persistence.persistentVolumeClaim.size etcd.replicaCount etcd.persistence.size minio.mode
        minio.existingSecret minio.persistence.size pulsar.enabled""",
    "dask-values.yaml": """
        fullnameOverride scheduler.image.repository scheduler.image.tag scheduler.image.pullPolicy
        scheduler.serviceType scheduler.extraArgs scheduler.env scheduler.resources worker.image.repository
        worker.image.tag worker.image.pullPolicy worker.image.dask_worker worker.replicas worker.custom_scheduler_url
        worker.threads_per_worker worker.env worker.resources webUI.ingress.enabled jupyter.enabled jupyter.rbac""",
}


def loaded(name: str) -> Any:
    documents = list(yaml.safe_load_all((HERE / name).read_text()))
    return documents if len(documents) > 1 else documents[0]


def paths(value: Any, at: str, known: set[str]) -> Iterator[str]:
    """The paths of a mapping, down to those that are known."""
    if at in known or not isinstance(value, dict):
        yield at
        return
    for key, inner in value.items():
        yield from paths(inner, f"{at}.{key}".lstrip("."), known)


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_every_setting_that_is_named_is_one(file: Path) -> None:
    text = file.read_text()
    known = {"RAG_" + key.replace(".", "_").upper() for key in KNOWN} | set(SECRETS)
    assert set(re.findall(r"\bRAG_[A-Z_]+\b", text)) <= known
    rooms = "|".join(sorted({key.partition(".")[0] for key in KNOWN}))
    named = set(re.findall(rf"(?<![\w./-])(?:{rooms})\.[a-z_]+(?![\w(/])", text))
    files = {"rag.yaml", "milvus.yaml", "index.md"}
    assert {name for name in named if not re.search(r"\.(md|py|yaml|crt|key|pem|toml)$", name)} - files <= KNOWN


def commands() -> Iterator[list[str]]:
    for service in loaded("compose.yaml")["services"].values():
        yield service.get("command", [])
    for document in loaded("rag.yaml"):
        for container in document["spec"].get("template", {}).get("spec", {}).get("containers", []):
            yield container["command"]
    for file in FILES:
        for line in re.findall(
            r"(?:^[#\s]*(?:\$ )?| add )(rag (?:add|serve) [^#`\n]*?)(?:   |$|`)", file.read_text(), re.M
        ):
            yield line.split()


def test_every_command_of_ours_has_only_options_that_there_are() -> None:
    ours = typer.main.get_command(app)
    found = [command for command in commands() if command[:1] == ["rag"]]
    assert len(found) >= 4
    for _, verb, *args in found:
        command = ours.commands[verb]  # type: ignore[attr-defined]
        options = {option for parameter in command.params for option in parameter.opts}
        assert {arg for arg in args if arg.startswith("--")} <= options, args


def test_compose_names_only_what_it_declares_and_opens_one_port() -> None:
    compose = loaded("compose.yaml")
    services = compose["services"]
    made = set(re.findall(r"^sign (\w+)", (HERE / "certificates.sh").read_text(), re.M))
    made_files = {f"{name}.{kind}" for name in made for kind in ("crt", "key", "pem")} | {"ca.pem"}
    for name, service in services.items():
        assert set(service.get("depends_on", ())) <= set(services), name
        assert set(service["networks"]) <= set(compose["networks"]), name
        for volume in service.get("volumes", ()):
            place = volume.partition(":")[0]
            if place.startswith("./certs/"):
                assert place.removeprefix("./certs/") in made_files, volume
            else:
                assert (HERE / place).is_file() if place.startswith("./") else place in compose["volumes"], volume
    assert {name for name, service in services.items() if "ports" in service} == {"balancer"}
    assert {name for name, service in services.items() if "outer" in service["networks"]} == {"balancer"}
    assert all(compose["networks"][name]["internal"] for name in ("engine", "inner"))


def test_no_secret_stands_in_a_file() -> None:
    secret = re.compile(r"TOKEN|PASSWORD|SECRET|RECEIPT_KEY")
    for name, service in loaded("compose.yaml")["services"].items():
        for key, value in service.get("environment", {}).items():
            assert not secret.search(key) or re.search(r"\$\{\w+:\?", value), (name, key)
    values = loaded("milvus-values.yaml")["standalone"]["extraEnv"]
    for one in [*values, *loaded("rag.yaml")[0]["spec"]["template"]["spec"]["containers"][0]["env"]]:
        assert ("valueFrom" in one) == bool(secret.search(one["name"])), one


def test_milvus_asks_for_a_password_and_shows_a_certificate_in_both_ways() -> None:
    alone, chart = loaded("milvus.yaml"), loaded("milvus-values.yaml")
    assert yaml.safe_load(chart["extraConfigFiles"]["user.yaml"]) == alone
    assert alone["common"]["security"] == {"authorizationEnabled": True, "tlsMode": 1}
    mounted = [volume.split(":")[1] for volume in loaded("compose.yaml")["services"]["milvus"]["volumes"]]
    assert {alone["tls"]["serverPemPath"], alone["tls"]["serverKeyPath"]} <= set(mounted)
    assert chart["volumeMounts"][0]["mountPath"] == str(Path(alone["tls"]["serverPemPath"]).parent)


@pytest.mark.parametrize("name", sorted(CHARTS))
def test_the_values_are_names_of_their_charts(name: str) -> None:
    known = set(CHARTS[name].split())
    assert set(paths(loaded(name), "", known)) == known


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certs")
    subprocess.run(["sh", str(HERE / "certificates.sh"), str(folder), "docs.example.org"], check=True)
    return folder


@OPENSSL
def test_the_certificates_are_signed_by_their_authority_and_their_keys_are_nobodys_else(certs: Path) -> None:
    for name in ("milvus", "dask", "web"):
        verify = ["openssl", "verify", "-CAfile", str(certs / "ca.pem"), str(certs / f"{name}.crt")]
        assert subprocess.run(verify, capture_output=True, check=True).stdout.endswith(b": OK\n")
    assert {path.name for path in certs.iterdir() if path.stat().st_mode & 0o077} == {
        "ca.pem", "milvus.crt", "dask.crt", "web.crt",
    }  # fmt: skip


@OPENSSL
@pytest.mark.slow
def test_the_daemons_of_the_dask_chart_speak_tls_with_certificates_out_of_the_environment(
    certs: Path, seeds: Path, tmp_path: Path
) -> None:
    """As its templates start them, with our values: names of programs, arguments, environment."""
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'rag[dask]'")
    from spread.dasks import Dask, added
    from spread.folders import wait_for

    values = loaded("dask-values.yaml")
    secrets = {path.name: path.read_text() for path in certs.iterdir()}
    environment = {
        one["name"]: one["value"] if "value" in one else secrets[one["valueFrom"]["secretKeyRef"]["key"]]
        for one in values["worker"]["env"]
    }
    assert values["scheduler"]["env"] == values["worker"]["env"]
    port = Dask(tmp_path).port
    worker = values["worker"]["custom_scheduler_url"].replace("dask-scheduler:8786", f"127.0.0.1:{port}")
    limits = values["worker"]["resources"]["limits"]
    threads = ["--nthreads", str(values["worker"]["threads_per_worker"]), "--memory-limit", limits["memory"]]
    started = (
        ["scheduler", f"--port={port}", "--dashboard-address=:0", *values["scheduler"]["extraArgs"]],
        ["worker", worker, *threads, "--no-dashboard", "--dashboard-address", "0"],
    )
    log = (tmp_path / "log").open("wb")
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "dask", *one, "--host", "127.0.0.1"], env=os.environ | environment, stderr=log
        )
        for one in started
    ]
    try:
        wait_for(lambda: "Register worker" in (tmp_path / "log").read_text())
        ours = {"cluster.tls_ca": str(certs / "ca.pem"), "cluster.tls_cert": str(certs / "dask.pem")}
        report = added(tmp_path / "index", seeds, settings=ours, cluster=f"tls://127.0.0.1:{port}")
        assert len(report[0]) == 2 and not report[4]
        (tmp_path / "note.txt").write_text("A note.")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("rag.spread.line.CONNECT_S", 3.0)
            with pytest.raises(rag.errors.ClusterLost):
                added(tmp_path / "index", tmp_path / "note.txt", cluster=f"tcp://127.0.0.1:{port}")
    finally:
        for process in running:
            process.terminate()
        time.sleep(0.5)
        for process in running:
            process.kill()
            process.wait()
        log.close()
