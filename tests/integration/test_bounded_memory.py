"""Memory does not grow with the object, nor with the listing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

LISTING = """
import json, os, sys, tracemalloc
from infrastructure.storage.providers import LocalProvider
store = sys.argv[1]
folders, files = 500, 100
for folder in range(folders):
    os.makedirs(f"{store}/{folder:04d}")
    for file in range(files):
        os.mknod(f"{store}/{folder:04d}/{file:04d}")
provider = LocalProvider({"base_path": store})
for _ in provider.list_objects("0000/"): pass
tracemalloc.start()
count = sum(1 for _ in provider.list_objects())
stream = tracemalloc.get_traced_memory()[1]
tracemalloc.stop()
tracemalloc.start()
whole = list(provider.list_objects())
everything = tracemalloc.get_traced_memory()[1]
first = next(provider.list_objects(start_after="0499/0098")).key
print(json.dumps({"count": count, "whole": len(whole), "stream": stream, "everything": everything, "first": first}))
"""

MOVING = """
import json, os, resource, sys
from infrastructure.storage.providers import LocalProvider
folder, way = sys.argv[1:]
size = 300 << 20
path = folder + "/big"
with open(path, "wb") as file:
    file.truncate(size)
provider = LocalProvider({"base_path": folder + "/store", "durable": False})
with open(folder + "/warm", "wb") as file:
    file.truncate(3 << 20)
provider.upload(folder + "/warm", "warm")
provider.download("warm", folder + "/warm")
if way == "by hand":
    os.rename(path, folder + "/store/big")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
if way == "up":
    moved = provider.upload(path, "big").size
elif way == "by hand":
    moved = provider.download("big", folder + "/out").size
elif way == "copy":
    os.rename(path, folder + "/store/big")
    moved = provider.copy("big", "other").size
elif way == "copy from another store":
    os.rename(path, folder + "/store/big")
    with LocalProvider({"base_path": folder + "/other", "durable": False}) as other:
        moved = other.copy_from(provider, "big", "other").size
else:
    os.rename(path, folder + "/store/big")
    moved = 0
    with provider.open_reader("big") as reader, provider.open_writer("other") as writer:
        while data := reader.read(1 << 20):
            moved += writer.write(data)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
provider.disconnect()
for name in ("big", "store/big", "store/other", "other/other", "out"):
    if os.path.exists(f"{folder}/{name}"):
        os.unlink(f"{folder}/{name}")
print(json.dumps({"moved": moved, "grown": grown * (1 if sys.platform == "darwin" else 1024)}))
"""


def test_a_listing_is_a_stream(run) -> None:
    # In memory where there is such a file system: 50,000 new files are slow on a busy disk.
    with TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        said = json.loads(run(LISTING, f"{folder}/store"))
    assert said["count"] == said["whole"] == 50_000
    assert said["first"] == "0499/0099"
    assert said["stream"] < said["everything"] / 20
    assert said["stream"] < 2_000_000


@pytest.mark.parametrize("way", ["up", "by hand", "copy", "copy from another store", "streams"])
def test_a_large_object_takes_no_more_memory_than_a_small_one(run, tmp_path: Path, way: str) -> None:
    said = json.loads(run(MOVING, tmp_path, way))
    assert said["moved"] == 300 << 20
    assert said["grown"] < 60 << 20
