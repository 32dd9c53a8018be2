"""A disk that fails when it is told to: a VFS around SQLite's own, the default while it is in force."""

import apsw


class Disk(apsw.VFS):
    """Counts syncs and writes by file name; ``fail_sync``, ``fail_write`` hold the SQLite code to fail with, or None.

    ``only`` limits the faults to files whose name ends so.
    """

    def __init__(self):
        self.base = next(name for name in apsw.vfs_names() if name != "faulty")
        self.syncs = []
        self.writes = []
        self.fail_sync = None
        self.fail_write = None
        self.only = ""
        super().__init__("faulty", self.base, makedefault=True)

    def xOpen(self, name, flags):  # noqa: N802 - SQLite's name
        return File(self, name, flags)

    def repair(self):
        self.fail_sync = self.fail_write = None


class File(apsw.VFSFile):
    def __init__(self, disk, name, flags):
        self.disk = disk
        self.name = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        super().__init__(disk.base, name, flags)

    def _fails(self, code):
        return code is not None and self.name.endswith(self.disk.only)

    def xSync(self, flags):  # noqa: N802 - SQLite's name
        self.disk.syncs.append(self.name)
        if self._fails(self.disk.fail_sync):
            raise apsw.exception_for(self.disk.fail_sync)
        return super().xSync(flags)

    def xWrite(self, data, offset):  # noqa: N802 - SQLite's name
        self.disk.writes.append(self.name)
        if self._fails(self.disk.fail_write):
            raise apsw.exception_for(self.disk.fail_write)
        return super().xWrite(data, offset)
