from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from crewship.domain.errors import ArchiveUnsafe
from crewship.registry.archive import ArchiveLimits, read_metadata, repack
from tests.registry.tars import METADATA, entry, feature_tar, tar_of


def saved(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "archive.tgz"
    path.write_bytes(data)
    return path


def listed(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {info.name: info for info in tar}


@pytest.mark.parametrize("zipped", [False, True])
def test_plain_and_gzipped_archives_give_the_same_tar(tmp_path: Path, zipped: bool) -> None:
    out = repack(saved(tmp_path, feature_tar(zipped=zipped)))
    assert list(listed(out)) == ["devcontainer-feature.json", "install.sh"]
    assert out == repack(saved(tmp_path, feature_tar()))


def test_order_owner_and_time_do_not_shape_the_result(tmp_path: Path) -> None:
    one = tar_of(entry("a", b"1", uid=1000, mtime=5), entry("b/c", b"2", uname="joe"))
    two = tar_of(
        entry("./b/", type=tarfile.DIRTYPE, mode=0o700), entry("b/c", b"2"), entry("a", b"1")
    )
    assert repack(saved(tmp_path, one)) == repack(saved(tmp_path, two))


def test_modes_are_masked_and_set_uid_is_dropped(tmp_path: Path) -> None:
    data = tar_of(
        entry("run", b"x", mode=0o6777), entry("read", b"x", mode=0o666), entry("d/f", b"x")
    )
    modes = {name: info.mode for name, info in listed(repack(saved(tmp_path, data))).items()}
    assert modes == {"run": 0o755, "read": 0o644, "d": 0o755, "d/f": 0o644}


def test_everything_belongs_to_root(tmp_path: Path) -> None:
    data = tar_of(entry("a", b"x", uid=1001, gid=5, uname="joe"))
    info = listed(repack(saved(tmp_path, data)))["a"]
    assert (info.uid, info.gid, info.uname) == (0, 0, "")


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_survive(tmp_path: Path, format: int) -> None:
    name = "/".join(["directory"] * 30) + "/umlaut-ä.sh"
    assert name in listed(repack(saved(tmp_path, tar_of(entry(name, b"x"), format=format))))


def test_a_global_comment_as_git_archive_writes_it_is_fine(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", pax_headers={"comment": "abc"}) as tar:
        tar.addfile(*_with_file("a", b"x"))
    assert "a" in listed(repack(saved(tmp_path, out.getvalue())))


def _with_file(name: str, data: bytes) -> tuple[tarfile.TarInfo, io.BytesIO]:
    info, content = entry(name, data)
    return info, io.BytesIO(content)


def raw_header(name: str, size: int, kind: bytes) -> bytes:
    return entry(name, type=kind, size=size)[0].tobuf(tarfile.USTAR_FORMAT)


def pax(records: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    return raw_header("ext", len(records), kind) + records.ljust(
        -(-len(records) // 512) * 512, b"\0"
    )


END = b"\0" * 1024
HOSTILE = {
    "parent": (tar_of(entry("../x", b"x")), "../x"),
    "parent inside": (tar_of(entry("a/../../x", b"x")), "a/../../x"),
    "absolute": (tar_of(entry("/etc/passwd", b"x")), "/etc/passwd"),
    "absolute directory": (tar_of(entry("/etc", type=tarfile.DIRTYPE)), "/etc"),
    "symlink": (tar_of(entry("s", type=tarfile.SYMTYPE, linkname="x")), "'s' is a symbolic link"),
    "hard link": (tar_of(entry("h", type=tarfile.LNKTYPE, linkname="x")), "'h' is a hard link"),
    "character device": (tar_of(entry("null", type=tarfile.CHRTYPE)), "'null' is a device"),
    "block device": (tar_of(entry("sda", type=tarfile.BLKTYPE)), "'sda' is a device"),
    "fifo": (tar_of(entry("pipe", type=tarfile.FIFOTYPE)), "'pipe' is a FIFO"),
    "sparse": (raw_header("sp", 0, tarfile.GNUTYPE_SPARSE) + END, "'sp' is a sparse file"),
    "contiguous": (raw_header("c", 0, tarfile.CONTTYPE) + END, "'c' is of the unknown type"),
    "twice": (tar_of(entry("a", b"1"), entry("a", b"2")), "'a' is in the archive twice"),
    "twice by another spelling": (tar_of(entry("a/b", b"1"), entry("./a//b", b"2")), "'a/b'"),
    "file below a file": (tar_of(entry("a", b"1"), entry("a/b", b"2")), "'a/b' lies below 'a'"),
    "file over a directory": (tar_of(entry("a/b", b"1"), entry("a", b"2")), "'a' is in the"),
    "top as a file": (tar_of(entry(".", b"x")), "'.' is no name"),
    "control character": (tar_of(entry("a\nb", b"x")), "unprintable"),
    "name that goes on for ever": (tar_of(entry("x" * 2000, b"x")), "too long"),
    "huge file": (raw_header("big", 8 * 2**30 - 1, tarfile.REGTYPE), "'big' has 8589934591 bytes"),
    "data in a directory": (raw_header("d", 512, tarfile.DIRTYPE) + END, "'d' has 512 bytes"),
    "PAX bomb": (raw_header("ext", 2**32, tarfile.XHDTYPE), "extension header of 4294967296"),
    "long name bomb": (raw_header("ext", 2**32, tarfile.GNUTYPE_LONGNAME), "extension header of"),
    "size by PAX": (pax(b"9 size=9\n") + END, "size"),
    "path for all": (pax(b"9 path=x\n", tarfile.XGLTYPE) + END, "global path"),
    "sparse by PAX": (pax(b"21 GNU.sparse.size=9\n") + END, "sparse"),
    "PAX length that lies": (pax(b"99 path=x\n") + END, "damaged extension"),
    "PAX length of nothing": (pax(b"0 path=x\n") + END, "damaged extension"),
    "absolute by PAX": (pax(b"11 path=/x\n") + tar_of(entry("a", b"x")), "absolute name"),
    "parent by PAX": (pax(b"13 path=../x\n") + tar_of(entry("a", b"x")), "'../x' leads out"),
    "no tar": (b"<html>sorry</html>".ljust(2048), "no tar"),
    "cut short": (tar_of(entry("a", b"x" * 5000))[:1024], "middle of a member"),
    "empty": (b"", "middle of a member"),
    "damaged gzip": (gzip.compress(feature_tar())[:80], "gzip"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_is_refused_by_name(tmp_path: Path, case: str) -> None:
    data, part = HOSTILE[case]
    with pytest.raises(ArchiveUnsafe) as caught:
        repack(saved(tmp_path, data))
    assert part in caught.value.message
    assert caught.value.error_code == "archive_unsafe"


def test_a_gzip_bomb_is_stopped_by_what_it_unpacks_to(tmp_path: Path) -> None:
    bomb = gzip.compress(tar_of(*(entry(f"f{n}", bytes(2**20)) for n in range(20))), 1)
    with pytest.raises(ArchiveUnsafe, match="unpacks to more bytes"):
        repack(saved(tmp_path, bomb), ArchiveLimits(max_total_bytes=2**22))


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    data = tar_of(*(entry(f"f{n}") for n in range(11)))
    with pytest.raises(ArchiveUnsafe, match="more than 10 members"):
        repack(saved(tmp_path, data), ArchiveLimits(max_members=10))


def test_directories_that_deep_paths_imply_count_too(tmp_path: Path) -> None:
    data = tar_of(entry("/".join("abcdefghijkl"), b"x"))
    with pytest.raises(ArchiveUnsafe, match="more than 10 members"):
        repack(saved(tmp_path, data), ArchiveLimits(max_members=10))


def test_metadata_is_read_from_the_top(tmp_path: Path) -> None:
    assert read_metadata(saved(tmp_path, feature_tar(zipped=True))) == METADATA


def test_metadata_may_have_comments(tmp_path: Path) -> None:
    text = b'{"id": "x", // why\n}'
    data = tar_of(entry("install.sh", b""), entry("devcontainer-feature.json", text))
    assert read_metadata(saved(tmp_path, data)) == {"id": "x"}


@pytest.mark.parametrize("missing", ["install.sh", "devcontainer-feature.json"])
def test_a_feature_without_its_two_files_is_refused(tmp_path: Path, missing: str) -> None:
    names = {"install.sh", "devcontainer-feature.json"} - {missing}
    data = tar_of(*(entry(name, b"{}") for name in names))
    with pytest.raises(ArchiveUnsafe, match=missing):
        read_metadata(saved(tmp_path, data))


@pytest.mark.parametrize("text", [b"[1]", b"{", b"\xff", b"[" * 100_000])
def test_metadata_that_is_no_json_object_is_refused(tmp_path: Path, text: bytes) -> None:
    data = tar_of(entry("install.sh", b""), entry("devcontainer-feature.json", text))
    with pytest.raises(ArchiveUnsafe, match="JSON"):
        read_metadata(saved(tmp_path, data))
