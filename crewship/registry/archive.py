"""Read a feature's archive without trusting it, and write it anew as a tar that is safe to unpack.

The published media type says ``+tar``; what arrives is plain tar or gzip, so it is sniffed. The
parser is our own: the standard library's safe filter is missing in Python 3.11.2, and reading the
headers here bounds what extension headers may claim before anything is held in memory. Only
regular files and directories pass; everything else is ArchiveUnsafe, naming the member.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from crewship.devcontainer import jsonc
from crewship.devcontainer.types import Json
from crewship.domain.errors import ArchiveUnsafe, ConfigInvalid

METADATA_NAME = "devcontainer-feature.json"
INSTALL_NAME = "install.sh"
BLOCK = 512  # bytes: tar's unit
# 2000-01-01 UTC: fixed, so that equal content gives equal bytes, and not 1970, because zip (thus
# wheel building in an install script) can't store dates before 1980.
MTIME = 946_684_800

_REFUSED_TYPES = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a FIFO",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}
_EXTENSIONS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """In bytes of decompressed data; ``max_total_bytes`` counts headers and padding too."""

    max_file_bytes: int = 64 * 1024 * 1024
    max_total_bytes: int = 128 * 1024 * 1024
    max_members: int = 10_000
    max_extension_bytes: int = 64 * 1024  # one PAX or long-name header
    max_name_bytes: int = 1024


DEFAULT_LIMITS = ArchiveLimits()


@dataclass(frozen=True, slots=True)
class Member:
    path: str  # "library/setup.sh": relative, no ".", "..", "//" or trailing slash
    is_directory: bool
    executable: bool
    data: bytes


def repack(archive: Path, limits: ArchiveLimits = DEFAULT_LIMITS) -> bytes:
    """A plain tar of the archive's regular files and directories: sorted, owned by root, mode
    0755 or 0644 (set-uid dropped, exec bit kept), one fixed time. Equal content, equal bytes.

    Raises ArchiveUnsafe.
    """
    return write_tar(read_members(archive, limits))


def read_metadata(archive: Path, limits: ArchiveLimits = DEFAULT_LIMITS) -> dict[str, Any]:
    """The devcontainer-feature.json at the archive's top, which also has an install.sh there.

    Raises ArchiveUnsafe for an unsafe archive, one that lacks either, or JSON that is no object.
    """
    members = read_members(archive, limits)
    for name in (METADATA_NAME, INSTALL_NAME):
        if name not in members or members[name].is_directory:
            raise ArchiveUnsafe(f"The archive has no {name} at its top")
    try:
        metadata = _json(members[METADATA_NAME].data.decode("utf-8-sig"))
    except (ValueError, RecursionError, ConfigInvalid) as err:
        raise ArchiveUnsafe(f"The archive's {METADATA_NAME} is not valid JSON") from err
    if not isinstance(metadata, dict):
        raise ArchiveUnsafe(f"The archive's {METADATA_NAME} is no JSON object")
    return metadata


def _json(text: str) -> Json:
    """JSON as publishers write it: duplicate keys pass (the last counts), comments too."""
    try:
        return json.loads(text)
    except ValueError:
        return jsonc.parse(text)


def read_members(archive: Path, limits: ArchiveLimits = DEFAULT_LIMITS) -> dict[str, Member]:
    """Every file and directory by path, parents of files included. Raises ArchiveUnsafe."""
    members: dict[str, Member] = {}
    with _opened(archive, limits) as stream:
        for count, member in enumerate(_walk(stream, limits), start=1):
            _place(members, member)
            # Both: a deep path makes many directories, a repeated one makes none.
            if max(count, len(members)) > limits.max_members:
                raise ArchiveUnsafe(f"The archive has more than {limits.max_members} members")
    return members


def write_tar(members: Mapping[str, Member]) -> bytes:
    """The members as a reproducible tar (see ``repack``)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(members, key=lambda name: name.split("/")):
            member = members[path]
            info = tarfile.TarInfo(path)
            info.type = tarfile.DIRTYPE if member.is_directory else tarfile.REGTYPE
            info.mode = 0o755 if member.is_directory or member.executable else 0o644
            info.mtime = MTIME
            info.size = len(member.data)
            tar.addfile(info, io.BytesIO(member.data))
    return out.getvalue()


def _place(members: dict[str, Member], member: Member) -> None:
    parts = member.path.split("/")
    for depth in range(1, len(parts)):
        parent = "/".join(parts[:depth])
        known = members.setdefault(parent, Member(parent, True, True, b""))
        if not known.is_directory:
            raise ArchiveUnsafe(f"{member.path!r} lies below {parent!r}, which is a file")
    known_member = members.get(member.path)
    if known_member is not None and not (known_member.is_directory and member.is_directory):
        raise ArchiveUnsafe(f"{member.path!r} is in the archive twice")
    members[member.path] = member


class _Counted:
    """Reads exactly what is asked for, and at most ``limit`` bytes in all."""

    def __init__(self, source: IO[bytes] | gzip.GzipFile, limit: int) -> None:
        self._source = source
        self._left = limit

    def exactly(self, size: int) -> bytes:
        self._left -= size
        if self._left < 0:
            raise ArchiveUnsafe("The archive unpacks to more bytes than are accepted here")
        data = self._source.read(size)
        if len(data) != size:
            raise ArchiveUnsafe("The archive ends in the middle of a member")
        return data

    def padded(self, size: int) -> bytes:
        return self.exactly(size + -size % BLOCK)[:size]


@contextmanager
def _opened(archive: Path, limits: ArchiveLimits) -> Iterator[_Counted]:
    with archive.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        try:
            with gzip.GzipFile(fileobj=raw) if zipped else raw as source:
                yield _Counted(source, limits.max_total_bytes)
        except (gzip.BadGzipFile, EOFError, zlib.error) as err:
            raise ArchiveUnsafe("The archive is damaged (gzip)") from err


def _walk(stream: _Counted, limits: ArchiveLimits) -> Iterator[Member]:
    long_name: str | None = None
    extensions = 0
    while (header := stream.exactly(BLOCK)).strip(b"\0"):
        try:
            info = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
        except (tarfile.TarError, ValueError) as err:
            raise ArchiveUnsafe("The archive is no tar, or damaged") from err
        if info.type in _EXTENSIONS:
            extensions += 1
            if extensions > limits.max_members:
                raise ArchiveUnsafe("The archive has too many extension headers")
            if not 0 <= info.size <= limits.max_extension_bytes:
                raise ArchiveUnsafe(f"{info.name!r}: an extension header of {info.size} bytes")
            found = _extension_name(info, stream.padded(info.size))
            long_name = found if found is not None else long_name
            continue
        name = info.name if long_name is None else long_name
        long_name = None
        is_directory = info.type == tarfile.DIRTYPE
        _check_type(info, name)
        # A directory's size says nothing about data that follows; writers put 0 there.
        if not 0 <= info.size <= (0 if is_directory else limits.max_file_bytes):
            raise ArchiveUnsafe(f"{name[:200]!r} has {info.size} bytes: not accepted here")
        data = stream.padded(info.size)
        path = _safe_path(name, limits)
        if path:
            yield Member(path, is_directory, bool(info.mode & 0o111), data)
        elif not is_directory:
            raise ArchiveUnsafe(f"{name[:200]!r} is no name for a file")


def _check_type(info: tarfile.TarInfo, name: str) -> None:
    if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE):
        kind = _REFUSED_TYPES.get(info.type, f"of the unknown type {info.type!r}")
        raise ArchiveUnsafe(f"{name[:200]!r} is {kind}")
    if name.endswith("/") and info.type != tarfile.DIRTYPE:
        raise ArchiveUnsafe(f"{name[:200]!r} is a file with a directory's name")


def _safe_path(name: str, limits: ArchiveLimits) -> str:
    """The name without ``.`` parts; "" for the top directory itself."""
    if name.startswith("/"):
        raise ArchiveUnsafe(f"{name[:200]!r} is an absolute name")
    if len(name.encode()) > limits.max_name_bytes or not name.isprintable():
        raise ArchiveUnsafe(f"{name[:200]!r} is too long or has unprintable characters")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ArchiveUnsafe(f"{name[:200]!r} leads out of the archive")
    return "/".join(parts)


def _extension_name(info: tarfile.TarInfo, data: bytes) -> str | None:
    """The name that an extension header gives to the next member, if any."""
    try:
        if info.type == tarfile.GNUTYPE_LONGNAME:
            return data.rstrip(b"\0").decode()
        if info.type == tarfile.GNUTYPE_LONGLINK:
            return None  # only links have one, and the link itself is refused
        records = dict(_pax_records(data))
    except ValueError as err:  # UnicodeDecodeError is one
        raise ArchiveUnsafe(f"{info.name!r}: a damaged extension header") from err
    # A size here, sparse maps, or names for all members: ways to make two readers see two archives.
    is_global = info.type == tarfile.XGLTYPE
    odd = [key for key in records if key == "size" or key.startswith("GNU.sparse.")]
    if odd or (is_global and "path" in records):
        raise ArchiveUnsafe(f"{info.name!r}: an extension header with {odd or 'a global path'}")
    return records.get("path")


def _pax_records(data: bytes) -> Iterator[tuple[str, str]]:
    while data.strip(b"\0"):
        length_text, separator, _ = data.partition(b" ")
        if not separator or not length_text.isdigit() or len(length_text) > 6:
            raise ValueError("no length")
        length = int(length_text)
        if length > len(data):
            raise ValueError("longer than its header")
        record, data = data[len(length_text) + 1 : length], data[length:]
        key, equals, value = record.partition(b"=")
        if length <= len(length_text) or not record.endswith(b"\n") or not equals:
            raise ValueError("no record")
        # Other keys (LIBARCHIVE.xattr.… and such) may hold any bytes; they are not used.
        text = value[:-1]
        yield key.decode(), text.decode() if key == b"path" else text.decode(errors="replace")
