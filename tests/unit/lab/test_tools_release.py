# SPDX-License-Identifier: Apache-2.0
"""Released programs: where they are, and that only checked ones are kept. From a local server."""

from __future__ import annotations

import functools
import hashlib
import io
import shutil
import tarfile
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.tools import release
from lab.tools.catalog import PROGRAMS, pinned, program
from lab.tools.release import Asset, Image, Places, origin

KUBERNETES = pinned("k8s.io/kubernetes", "kubernetes")
ETCD = pinned("go.etcd.io/etcd/server/v3", "etcd")
COREDNS = pinned("github.com/coredns/coredns", "coredns").removeprefix("v")
# That of the API which go.mod names: there is a release of the same number.
ISTIO = "1.31.1"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, Places]]:
    """A directory that a local server publishes, and the places on it."""
    root = tmp_path / "site"
    root.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    base = f"http://127.0.0.1:{server.server_port}"
    yield (
        root,
        Places(f"{base}/kubernetes", f"{base}/etcd", f"{base}/coredns", f"{base}/istio", "x"),
    )
    server.shutdown()
    thread.join()
    server.server_close()


def publish(root: Path, path: str, content: bytes) -> str:
    """Put a file on the site; gives its SHA-256."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def tar(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name.replace("__", "/"))
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


# What the projects' own documents and release scripts say: file, its checksums, program within.
K8S = f"https://dl.k8s.io/release/{KUBERNETES}/bin/linux"
ETCD_AT = f"https://github.com/etcd-io/etcd/releases/download/{ETCD}"
COREDNS_AT = f"https://github.com/coredns/coredns/releases/download/v{COREDNS}"
ISTIO_AT = f"https://blob.istio.io/istio-release/releases/{ISTIO}"
PUBLISHED = [
    # kubernetes.io, "Download Kubernetes": binaries, and for each a file NAME.sha256.
    *(
        (name, "x86_64", f"{K8S}/amd64/{name}", f"{K8S}/amd64/{name}.sha256", None)
        for name in (p.name for p in PROGRAMS if p.module == "kubernetes")
    ),
    ("kubelet", "aarch64", f"{K8S}/arm64/kubelet", f"{K8S}/arm64/kubelet.sha256", None),
    # etcd's scripts/build-binary.sh and scripts/release.sh; the page of the release.
    *(
        (
            "etcd",
            machine,
            f"{ETCD_AT}/etcd-{ETCD}-linux-{arch}.tar.gz",
            f"{ETCD_AT}/SHA256SUMS",
            f"etcd-{ETCD}-linux-{arch}/etcd",
        )
        for machine, arch in (("x86_64", "amd64"), ("aarch64", "arm64"))
    ),
    # CoreDNS's Makefile.release, targets tar and github-push.
    (
        "coredns",
        "x86_64",
        f"{COREDNS_AT}/coredns_{COREDNS}_linux_amd64.tgz",
        f"{COREDNS_AT}/coredns_{COREDNS}_linux_amd64.tgz.sha256",
        "coredns",
    ),
    # istio/release-builder: release/publish.sh (the bucket; istio.io's "An update on our move to
    # AWS", and istio/istio#61467, say where it is seen), pkg/build/archive.go, pkg/build/debian.go;
    # in the package, istio/istio's tools/packaging/packaging.mk.
    (
        "istioctl",
        "aarch64",
        f"{ISTIO_AT}/istioctl-{ISTIO}-linux-arm64.tar.gz",
        f"{ISTIO_AT}/istioctl-{ISTIO}-linux-arm64.tar.gz.sha256",
        "istioctl",
    ),
    *(
        (
            "pilot-agent",
            machine,
            f"{ISTIO_AT}/deb/istio-sidecar{suffix}.deb",
            f"{ISTIO_AT}/deb/istio-sidecar{suffix}.deb.sha256",
            "./usr/local/bin/pilot-agent",
        )
        for machine, suffix in (("x86_64", ""), ("aarch64", "-arm64"))
    ),
]


@pytest.mark.parametrize(("name", "machine", "url", "checksum", "member"), PUBLISHED)
def test_files_are_where_the_projects_publish_them(
    name: str, machine: str, url: str, checksum: str, member: str | None
) -> None:
    assert origin(program(name), machine=machine) == Asset(url, checksum, member)


def test_istiod_is_published_as_an_image() -> None:
    # release/publish.sh of istio/release-builder; istio/istio's pilot/docker/Dockerfile.pilot.
    image = Image(f"docker.io/istio/pilot:{ISTIO}", "/usr/local/bin/pilot-discovery")
    assert origin(program("istiod"), machine="x86_64") == image
    assert {name for name, *_rest in PUBLISHED} | {"istiod"} == {p.name for p in PROGRAMS}


def test_nobody_publishes_for_other_machines() -> None:
    with pytest.raises(LabError, match="no releases for riscv64"):
        origin(program("etcd"), machine="riscv64")


@pytest.mark.parametrize(
    "text",
    [
        "{digest}",  # Kubernetes
        "{other}  coredns.tgz\n{digest}  x.tgz\n",  # etcd, as shasum -a 256 writes it
        "{digest}  x.tgz\n",  # CoreDNS, as sha256sum does
        "{digest} x.tgz\n",  # Istio, CreateSha of pkg/util/files.go
        "{digest} *x.tgz\n",
    ],
)
def test_checksums_are_read_as_each_project_writes_them(
    site: tuple[Path, Places], tmp_path: Path, text: str
) -> None:
    root, places = site
    digest = publish(root, "x.tgz", tar(x=b"it"))
    publish(root, "sums", text.format(digest=digest, other="0" * 64).encode())
    base = places.etcd.rpartition("/")[0]
    source = Asset(f"{base}/x.tgz", f"{base}/sums", "x")
    release.download(program("etcd"), tmp_path, source=source)
    assert (tmp_path / "etcd").read_bytes() == b"it"


def test_a_single_file_is_checked_and_made_executable(
    site: tuple[Path, Places], tmp_path: Path
) -> None:
    root, places = site
    path = f"kubernetes/{KUBERNETES}/bin/linux/amd64/kubectl"
    digest = publish(root, path, b"kubectl")
    publish(root, f"{path}.sha256", digest.encode())
    source = origin(program("kubectl"), machine="x86_64", places=places)
    release.download(program("kubectl"), tmp_path, source=source)
    assert (tmp_path / "kubectl").read_bytes() == b"kubectl"
    assert (tmp_path / "kubectl").stat().st_mode & 0o777 == 0o755


def test_a_program_is_taken_out_of_an_archive(site: tuple[Path, Places], tmp_path: Path) -> None:
    root, places = site
    stem = f"etcd-{ETCD}-linux-amd64"
    digest = publish(root, f"etcd/{ETCD}/{stem}.tar.gz", tar(**{f"{stem}__etcd": b"etcd itself"}))
    sums = f"{'0' * 64}  other.tar.gz\n{digest}  {stem}.tar.gz\n"
    publish(root, f"etcd/{ETCD}/SHA256SUMS", sums.encode())
    source = origin(program("etcd"), machine="x86_64", places=places)
    release.download(program("etcd"), tmp_path, source=source)
    assert (tmp_path / "etcd").read_bytes() == b"etcd itself"


def test_a_program_is_taken_out_of_a_debian_package(
    site: tuple[Path, Places], tmp_path: Path
) -> None:
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is not installed")
    root, places = site
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        "Package: istio-sidecar\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n"
    )
    (tree / "usr/local/bin").mkdir(parents=True)
    (tree / "usr/local/bin/pilot-agent").write_bytes(b"agent")
    package = tmp_path / "x.deb"
    release._run(["dpkg-deb", "--build", str(tree), str(package)])
    source = origin(program("pilot-agent"), machine="x86_64", places=places)
    assert isinstance(source, Asset)
    path = source.url.partition("/istio/")[2]
    digest = publish(root, f"istio/{path}", package.read_bytes())
    publish(root, f"istio/{path}.sha256", f"{digest} istio-sidecar.deb\n".encode())
    release.download(program("pilot-agent"), tmp_path, source=source)
    assert (tmp_path / "pilot-agent").read_bytes() == b"agent"


@pytest.mark.parametrize(
    ("content", "checksum", "message"),
    [
        (tar(coredns=b"x"), "f" * 64, r"its SHA-256 is [0-9a-f]{64}, but \S+\.sha256 says f{64}"),
        (tar(coredns=b"x"), "nothing of use", r"\.sha256: no SHA-256 of coredns_\S+\.tgz"),
        (tar(other=b"x"), None, r"coredns_\S+\.tgz: holds no file coredns"),
        (None, "f" * 64, r"coredns_\S+\.tgz: HTTP Error 404"),
    ],
)
def test_what_is_not_as_published_is_not_kept(
    site: tuple[Path, Places],
    tmp_path: Path,
    content: bytes | None,
    checksum: str | None,
    message: str,
) -> None:
    root, places = site
    source = origin(program("coredns"), machine="x86_64", places=places)
    assert isinstance(source, Asset)
    path = "coredns/" + source.url.partition("/coredns/")[2]
    if content is not None:
        digest = publish(root, path, content)
        publish(root, f"{path}.sha256", (checksum or digest).encode())
    target = tmp_path / "tools"
    target.mkdir()
    with pytest.raises(LabError, match=message):
        release.download(program("coredns"), target, source=source)
    assert list(target.iterdir()) == []
